"""The section `access` of the settings: principals, roles and groups that are declared.

What it does: declares the records, each under its name. What it does not do: it proves no name that another one
refers to (`roles`), and holds no secret: tokens stand in the journal, as digests.

Rules: an unknown member is refused; every table and list is bounded; a role without tenants is for the tenant of
whoever has it, one without namespaces for all of them.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from interlock.access.patterns import PATTERN
from interlock.base.ids import Tenant

NAME = r"\A[a-z0-9][a-z0-9._@-]{0,62}\Z"
"""The form of the name of a principal, a role, a group or a token."""

ENTRIES_MAX = 1_000
NAMES_MAX = 64

Name = Annotated[str, Meta(pattern=NAME)]
Names = Annotated[tuple[Name, ...], Meta(max_length=NAMES_MAX)]
Pattern = Annotated[str, Meta(pattern=PATTERN, max_length=130)]
Namespace = Annotated[int, Meta(ge=1)]


class PrincipalSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A principal that is declared: what it has, and whose data it works on."""

    roles: Names = ()
    groups: Names = ()
    tenant: Tenant = "default"


class RoleSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role: permissions (`run.read`, `run.*`, `*`), the tenants it is good in, and the namespaces of gates."""

    permissions: Annotated[tuple[Pattern, ...], Meta(max_length=ENTRIES_MAX)] = ()
    tenants: Annotated[tuple[Tenant, ...], Meta(max_length=ENTRIES_MAX)] = ()
    namespaces: Annotated[tuple[Namespace, ...], Meta(max_length=ENTRIES_MAX)] = ()


class AccessSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may do what: principals, roles and groups."""

    principals: Annotated[
        dict[Name, PrincipalSettings],
        Meta(max_length=ENTRIES_MAX, description="Principals by name, each with roles, groups and tenant."),
    ] = {}
    roles: Annotated[
        dict[Name, RoleSettings],
        Meta(max_length=ENTRIES_MAX, description="Roles by name, each with permissions, tenants and namespaces."),
    ] = {}
    groups: Annotated[
        dict[Name, Names], Meta(max_length=ENTRIES_MAX, description="Groups by name, each with its roles.")
    ] = {}
