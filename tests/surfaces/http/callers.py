"""Who asks in the walk over the permissions: a token of every kind, and what each may do by the table.

What it does: makes the tokens on a server, and says of a principal and a permission what the answer is. What it does
not do: it asks nothing of the code that decides: what is expected is read from the rows of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from interlock.access.table import PermissionRow
from interlock.app import App
from interlock.base.part import Effect
from interlock.base.principal import local_principal
from tests.surfaces.http.serving import TOKEN

NAMESPACE: Final = 7
ELSEWHERE: Final = "elsewhere"
SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "access": {
        "roles": {
            "keeper": {"permissions": ["scenario.*", "run.read", "shape.read"], "namespaces": [NAMESPACE]},
            "stager": {"permissions": ["*"], "tenants": ["staging"]},
            "idle": {"permissions": []},
        }
    },
    "events": {"sources": {"walk": {"source": "/walk"}}},
    "gates": {
        "namespace": {"allow_default": True, "default_tenants": [1]},
        # Else a scenario's pack, which holds evidence, is withheld by another rule than the table.
        "evidence": {"allow_raw_values": True, "require_provider_opt_in": False},
    },
}
MINUTE_MS: Final = 60_000
ADMINISTRATION: Final = {"token.new", "token.revoke", "debug.read"}
KEPT: Final = {"run.read", "shape.read"}

May = Callable[[PermissionRow, bool], bool]
"""Whether a call of a permission is made; the second says whether it names the namespace of the walk."""


def of_effects(*effects: Effect) -> May:
    """What a built-in role permits."""
    return lambda row, _named: row.effects <= {*effects} and row.permission not in ADMINISTRATION


def nothing(_row: PermissionRow, _named: bool) -> bool:
    """What nobody permits."""
    return False


def everything(_row: PermissionRow, _named: bool) -> bool:
    """What an administrator may, and the user of this machine."""
    return True


def kept(row: PermissionRow, named: bool) -> bool:
    """What the role of one namespace permits."""
    return named and (row.permission.startswith("scenario.") or row.permission in KEPT)


@dataclass(frozen=True)
class Caller:
    """Somebody who asks: with which token, if any; None of `may` is somebody whom nobody knows."""

    token: str | None
    may: May | None
    local: bool = False


async def callers(app: App) -> dict[str, Caller]:
    """Everybody of the walk."""

    async def token(name: str, *roles: str, tenant: str = "default") -> str:
        made = await app.tokens.new(
            name, roles=roles, groups=(), lifetime_ms=MINUTE_MS, principal=local_principal("ada", tenant)
        )
        assert made.text is not None
        return made.text

    revoked = await app.tokens.new(
        "revoked", roles=("admin",), groups=(), lifetime_ms=MINUTE_MS, principal=local_principal("ada")
    )
    await app.tokens.revoke(revoked.id, "lost", principal=local_principal("ada"))
    return {
        "no credentials": Caller(None, None),
        "a token that nobody made": Caller("guessed", None),
        "a token of the right form": Caller(f"{(await token('form', 'admin'))[:-4]}AAAA", None),
        "a token that has expired": Caller(await expired(app), None),
        "a token that was revoked": Caller(revoked.text, None),
        "a role without permissions": Caller(await token("idle", "idle"), nothing),
        "a viewer": Caller(await token("viewer", "viewer"), of_effects(Effect.READS)),
        "an operator": Caller(await token("operator", "operator"), of_effects(*Effect)),
        "an administrator": Caller(await token("admin", "admin"), everything),
        "the keeper of a namespace": Caller(await token("keeper", "keeper"), kept),
        "an administrator elsewhere": Caller(await token("other", "admin", tenant=ELSEWHERE), everything),
        "a role of another tenant": Caller(await token("stager", "stager"), nothing),
        "the user of this machine": Caller(TOKEN, everything, local=True),
    }


async def expired(app: App) -> str:
    """A token whose time is over: made by a clock that is behind."""
    clock = app.journal.clock
    made_ms = clock.now_ms() - 2 * MINUTE_MS

    class Behind:
        def now_ms(self) -> int:
            return made_ms

    app.journal.clock = Behind()
    try:
        made = await app.tokens.new(
            "expired", roles=("admin",), groups=(), lifetime_ms=MINUTE_MS, principal=local_principal("ada")
        )
    finally:
        app.journal.clock = clock
    assert made.text is not None
    return made.text
