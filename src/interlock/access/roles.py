"""Roles and groups as they are declared, proved once, and what they permit.

What it does: puts the declared roles beside the built-in ones, refuses names that lead nowhere, and says what a set of
roles permits in a tenant. What it does not do: it knows no kind of principal and records nothing (`check`).

Rules: nobody gets what no role gives; a role that is gone gives nothing; a role with namespaces permits only calls that
name one of them; a role with tenants permits nothing in another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from interlock.access.errors import ACCESS_UNSOUND, GROUP_UNKNOWN, ROLE_UNKNOWN
from interlock.access.patterns import ALL, Patterns, takes
from interlock.access.settings import AccessSettings, RoleSettings
from interlock.access.table import PermissionTable
from interlock.base.ids import shown
from interlock.base.nearest import suggestion
from interlock.base.principal import Principal


class Role(Struct, frozen=True):
    """What a role permits, in which tenants (empty: that of whoever has it) and namespaces (empty: all)."""

    name: str
    permissions: Patterns
    tenants: frozenset[str] = frozenset()
    namespaces: frozenset[int] = frozenset()
    built_in: bool = False

    def is_for(self, tenant: str) -> bool:
        """Whether it is good in a tenant."""
        return not self.tenants or tenant in self.tenants

    def permits(self, permission: str, tenant: str, namespace: int | None) -> bool:
        """Whether it permits a call in a tenant that names `namespace`, or none."""
        within = not self.namespaces or namespace in self.namespaces
        return within and self.is_for(tenant) and self.permissions.take(permission)


class RoleBook:
    """Every role of an application by name, and the roles of each group.

    Raises: `access_unsound`, with the place, for a declaration that leads nowhere.
    """

    def __init__(self, settings: AccessSettings, table: PermissionTable) -> None:
        built_in = {name: Role(name, given, built_in=True) for name, given in table.built_in().items()}
        declared = {name: _role(name, given) for name, given in settings.roles.items()}
        for place, fault in _faults(settings, table, built_in, declared):
            raise ACCESS_UNSOUND.error(f"[access.{place}] {fault}", place=f"access.{place}")
        self.roles: Mapping[str, Role] = built_in | declared
        self.groups: Mapping[str, tuple[str, ...]] = settings.groups
        self._names = table.names

    def of(self, roles: Iterable[str], groups: Iterable[str]) -> Iterator[Role]:
        """The roles that these names mean; a name that means none is passed over."""
        names = dict.fromkeys([*roles, *(role for group in groups for role in self.groups.get(group, ()))])
        return (self.roles[name] for name in names if name in self.roles)

    def permits(self, principal: Principal, permission: str, namespace: int | None = None) -> bool:
        """Whether one of a principal's roles permits a call in its tenant."""
        held = self.of(principal.roles, principal.groups)
        return any(role.permits(permission, principal.tenant, namespace) for role in held)

    def permits_somewhere(self, principal: Principal, permission: str) -> bool:
        """Whether one of a principal's roles permits a call in its tenant, in one namespace or another."""
        held = self.of(principal.roles, principal.groups)
        return any(role.is_for(principal.tenant) and role.permissions.take(permission) for role in held)

    def required(self, name: str) -> Role:
        """The role of this name. Raises: `role_unknown`."""
        role = self.roles.get(name)
        if role is None:
            raise ROLE_UNKNOWN.error(f"no role is called {shown(name)}{suggestion(name, self.roles)}")
        return role

    def prove(self, roles: Iterable[str], groups: Iterable[str]) -> None:
        """Refuse a name that means nothing. Raises: `role_unknown`, `group_unknown`."""
        for role in roles:
            self.required(role)
        for group in groups:
            if group not in self.groups:
                raise GROUP_UNKNOWN.error(f"no group is called {shown(group)}{suggestion(group, self.groups)}")

    def excess(self, giver: Principal, roles: Iterable[str], groups: Iterable[str]) -> str | None:
        """A permission that these roles give in the giver's tenant, and the giver does not have; None: there is none.

        What is to come counts, too: only who has all permissions gives all.
        """
        for role in self.of(roles, groups):
            if not role.is_for(giver.tenant):
                continue
            for permission in sorted(role.permissions.of((ALL, *self._names))):
                if not all(self.permits(giver, permission, each) for each in role.namespaces or (None,)):
                    return permission
        return None


def _role(name: str, given: RoleSettings) -> Role:
    return Role(name, Patterns(given.permissions), frozenset(given.tenants), frozenset(given.namespaces))


_Fault = tuple[str, str]


def _faults(
    settings: AccessSettings, table: PermissionTable, built_in: Mapping[str, Role], declared: Mapping[str, Role]
) -> Iterator[_Fault]:
    """What is wrong with the section, each with its place in it."""
    known = [*built_in, *declared]
    for name, role in declared.items():
        if name in built_in:
            yield f"roles.{name}", "this role is built in and cannot be declared"
        for pattern in role.permissions.given:
            if not any(takes(pattern, each) for each in table.names):
                near = suggestion(pattern, table.names)
                yield f"roles.{name}", f"no command asks for the permission {shown(pattern)}{near}"
    for group, roles in settings.groups.items():
        yield from _unknown(f"groups.{group}", "role", roles, known)
    for name, principal in settings.principals.items():
        yield from _unknown(f"principals.{name}", "role", principal.roles, known)
        yield from _unknown(f"principals.{name}", "group", principal.groups, settings.groups)


def _unknown(place: str, what: str, names: Iterable[str], known: Iterable[str]) -> Iterator[_Fault]:
    names_known = list(known)
    for name in names:
        if name not in names_known:
            yield place, f"no {what} is called {shown(name)}{suggestion(name, names_known)}"
