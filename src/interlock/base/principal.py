"""Who acts.

What it does: the immutable record of an identity that an edge has established. What it does not do: it decides no
permission (that is the access package's work) and reads no environment.

Rule: a `Principal` is made only at an edge (a surface, a worker, a test), never from input of a command.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from interlock.base.ids import Tenant


class PrincipalKind(StrEnum):
    """How the identity was established."""

    LOCAL = "local"
    LOCAL_DECLARED = "local_declared"
    TOKEN = "token"  # noqa: S105 - the name of a kind
    JWT = "jwt"
    MTLS = "mtls"
    SYSTEM = "system"


TRUSTED = frozenset({PrincipalKind.LOCAL, PrincipalKind.SYSTEM})
"""Kinds of principals that may do everything: who could read and write the store without us."""


class Principal(Struct, frozen=True, kw_only=True):
    """An identity: `id` is recorded as the actor of every event that it causes.

    `token` is the id of the bearer token that proves it, where one does: what it makes lives no longer.
    """

    id: str
    tenant: Tenant = "default"
    kind: PrincipalKind = PrincipalKind.LOCAL
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    token: str | None = None


ENGINE = Principal(id="system:engine", kind=PrincipalKind.SYSTEM)
"""The engine itself, where it acts on its own account."""


def local_principal(user: str, tenant: str = "default") -> Principal:
    """The person at this machine, as the operating system names them."""
    return Principal(id=f"local:{user}", tenant=tenant)
