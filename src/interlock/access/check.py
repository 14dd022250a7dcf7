"""The one permission check.

What it does: says whether a principal may do something, refuses and records what it may not, and knows the principals
that are declared. What it does not do: it makes no principal of what a caller says about itself, and reads no input.

Rules: the user of this machine and the engine itself may do everything; everybody else may what their roles permit, and
nothing by default; a principal acts in its own tenant alone; an error names the permission and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable

from interlock.access.audit import Audit
from interlock.access.errors import PERMISSION_DENIED, PRINCIPAL_UNKNOWN
from interlock.access.roles import RoleBook
from interlock.access.settings import AccessSettings, PrincipalSettings
from interlock.access.table import PermissionTable, permission_table
from interlock.base.clock import Clock
from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.base.nearest import suggestion
from interlock.base.part import Command, Way
from interlock.base.principal import TRUSTED, Principal, PrincipalKind
from interlock.journal.runner import Runner


class Access:
    """Who may do what, by the settings and the commands of an application. Raises: `access_unsound`."""

    def __init__(
        self, settings: AccessSettings, commands: Iterable[Command], ways: Iterable[Way], runner: Runner, clock: Clock
    ) -> None:
        self.table: PermissionTable = permission_table(commands, ways)
        self.book = RoleBook(settings, self.table)
        self._principals = settings.principals
        self._audit = Audit(runner, clock)

    def permits(self, principal: Principal, permission: str, *, namespace: int | None = None) -> bool:
        """Whether a principal may make a call that asks for `permission`, in a namespace of gates if it names one."""
        return principal.kind in TRUSTED or self.book.permits(principal, permission, namespace)

    def permits_somewhere(self, principal: Principal, permission: str) -> bool:
        """Whether a principal may make such a call at all, in one namespace or another: `permits` says in which."""
        return principal.kind in TRUSTED or self.book.permits_somewhere(principal, permission)

    async def check(
        self, principal: Principal, permission: str, *, command: str = "", namespace: int | None = None
    ) -> None:
        """Refuse what a principal may not do. Raises: `permission_denied`. Side effect: a refusal is recorded."""
        if not self.permits(principal, permission, namespace=namespace):
            raise await self.refusal(principal, permission, command)

    async def refusal(self, principal: Principal, permission: str, command: str) -> InterlockError:
        """The error of a missing permission, after the attempt was recorded."""
        await self._audit.refused(principal, permission, command)
        return denied(permission)

    def permissions(self, principal: Principal) -> list[str]:
        """The permissions that a principal has, in any namespace, in order."""
        if principal.kind in TRUSTED:
            return list(self.table.names)
        held = [role for role in self.book.of(principal.roles, principal.groups) if role.is_for(principal.tenant)]
        return [each for each in self.table.names if any(role.permissions.take(each) for role in held)]

    def declared(self, name: str) -> Principal:
        """The principal that is declared under a name. Raises: `principal_unknown`."""
        found = self._principals.get(name)
        if found is None:
            near = suggestion(name, self._principals)
            raise PRINCIPAL_UNKNOWN.error(f"no principal {shown(name)} is declared{near}")
        return declared_principal(name, found)

    def principals(self) -> dict[str, Principal]:
        """Every principal that is declared, by name, in order."""
        return {name: declared_principal(name, given) for name, given in sorted(self._principals.items())}

    def excess(self, giver: Principal, roles: Iterable[str], groups: Iterable[str]) -> str | None:
        """A permission that these roles and groups give and the giver does not have; None: there is none."""
        return None if giver.kind in TRUSTED else self.book.excess(giver, roles, groups)


def declared_principal(name: str, given: PrincipalSettings) -> Principal:
    """The principal of a declaration."""
    return Principal(
        id=f"{PrincipalKind.LOCAL_DECLARED}:{name}",
        tenant=given.tenant,
        kind=PrincipalKind.LOCAL_DECLARED,
        roles=given.roles,
        groups=given.groups,
    )


def denied(permission: str) -> InterlockError:
    """The error of a missing permission, which says no more than its name."""
    return PERMISSION_DENIED.error(f"the permission {permission} is missing", permission=permission)
