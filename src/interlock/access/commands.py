"""The verbs about principals, roles and tenants: records of input and output, and thin handlers over `Access`.

What it does: shows who somebody is, what roles permit, and which tenants there are. What it does not do: no verb
changes any of it; principals, roles and groups are declared in the settings, and a tenant is there once something is
in it.

Rule: whoever is not the user of this machine sees its own tenant, and of declarations what concerns that; another
tenant is answered as one that is not there.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from interlock.access.check import Access
from interlock.access.errors import ROLE_UNKNOWN, TENANT_NOT_FOUND
from interlock.access.roles import Role
from interlock.base.bounds import PAGE_ITEMS_MAX
from interlock.base.ids import Tenant, shown
from interlock.base.nearest import suggestion
from interlock.base.part import CallContext, Command, Effect
from interlock.base.principal import TRUSTED, Principal
from interlock.journal.journal import Journal


class Nothing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing is asked for."""


class PrincipalReport(Struct, frozen=True):
    """Who acts, in which tenant, with which roles, and what they permit there in one namespace or another."""

    id: str
    kind: str
    tenant: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    permissions: list[str]


class PrincipalRow(Struct, frozen=True):
    """A principal that is declared."""

    name: str
    tenant: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]


class PrincipalList(Struct, frozen=True):
    """The principals that are declared."""

    items: list[PrincipalRow]


class RoleRow(Struct, frozen=True):
    """A role and how many permissions it has; no tenants means that of whoever has it, no namespaces means all."""

    name: str
    built_in: bool
    permissions: int
    tenants: tuple[str, ...]
    namespaces: tuple[int, ...]


class RoleList(Struct, frozen=True):
    """The roles, and for each group its roles."""

    items: list[RoleRow]
    groups: dict[str, tuple[str, ...]]


class RoleInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which role."""

    name: Annotated[str, Meta(min_length=1, max_length=63, description="The role's name.")]


class PermissionShown(Struct, frozen=True):
    """A permission, and the commands that ask for it."""

    permission: str
    effects: tuple[str, ...]
    commands: tuple[str, ...]


class RoleReport(Struct, frozen=True):
    """A role with everything that it permits; `patterns` as they are declared."""

    name: str
    built_in: bool
    patterns: tuple[str, ...]
    tenants: tuple[str, ...]
    namespaces: tuple[int, ...]
    permissions: list[PermissionShown]


class TenantRow(Struct, frozen=True):
    """A tenant, and how many events it has."""

    tenant: str
    events: int


class ListTenants(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tenants to list, in order."""

    limit: Annotated[int, Meta(ge=1, le=PAGE_ITEMS_MAX, description="Rows in a page.")] = 50
    cursor: Annotated[str | None, Meta(description="Where the page before ended.")] = None


class TenantList(Struct, frozen=True):
    """Tenants that you may see; `whole` is False where others may be there that you may not see."""

    items: list[TenantRow]
    whole: bool
    next: str | None


class TenantInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tenant."""

    tenant: Annotated[Tenant | None, Meta(description="The tenant; by default your own.")] = None


class TenantReport(Struct, frozen=True):
    """A tenant: its events, who is declared in it, and the roles that are good in it."""

    tenant: str
    events: int
    principals: list[str]
    roles: list[str]


async def _who(ctx: CallContext, _given: Nothing) -> PrincipalReport:
    who, access = ctx.principal, ctx.services.get(Access)
    return PrincipalReport(who.id, who.kind.value, who.tenant, who.roles, who.groups, access.permissions(who))


async def _principals(ctx: CallContext, _given: Nothing) -> PrincipalList:
    found = ctx.services.get(Access).principals()
    rows = [
        PrincipalRow(name, each.tenant, each.roles, each.groups)
        for name, each in found.items()
        if _sees_all(ctx.principal) or each.tenant == ctx.principal.tenant
    ]
    return PrincipalList(rows)


def _sees_all(principal: Principal) -> bool:
    return principal.kind in TRUSTED


def _roles(ctx: CallContext) -> dict[str, Role]:
    """The roles that concern whoever asks."""
    roles = ctx.services.get(Access).book.roles
    return {name: role for name, role in roles.items() if _sees_all(ctx.principal) or role.is_for(ctx.principal.tenant)}


def _tenants_of(role: Role, principal: Principal) -> tuple[str, ...]:
    return tuple(sorted(each for each in role.tenants if _sees_all(principal) or each == principal.tenant))


async def _role_list(ctx: CallContext, _given: Nothing) -> RoleList:
    access = ctx.services.get(Access)
    rows = [
        RoleRow(
            name,
            role.built_in,
            len(role.permissions.of(access.table.names)),
            _tenants_of(role, ctx.principal),
            tuple(sorted(role.namespaces)),
        )
        for name, role in _roles(ctx).items()
    ]
    known = {row.name for row in rows}
    groups = {name: tuple(each for each in roles if each in known) for name, roles in access.book.groups.items()}
    return RoleList(rows, groups if _sees_all(ctx.principal) else {n: each for n, each in groups.items() if each})


async def _role(ctx: CallContext, given: RoleInput) -> RoleReport:
    known, table = _roles(ctx), ctx.services.get(Access).table
    role = known.get(given.name)
    if role is None:
        raise ROLE_UNKNOWN.error(f"no role is called {shown(given.name)}{suggestion(given.name, known)}")
    permissions = [
        PermissionShown(row.permission, tuple(sorted(row.effects)), row.commands)
        for row in table.rows.values()
        if role.permissions.take(row.permission)
    ]
    tenants, namespaces = _tenants_of(role, ctx.principal), tuple(sorted(role.namespaces))
    return RoleReport(role.name, role.built_in, role.permissions.given, tenants, namespaces, permissions)


async def _tenant_names(ctx: CallContext) -> list[str]:
    """The tenants that may be seen, in order; one's own is always there."""
    own = ctx.principal.tenant
    if not _sees_all(ctx.principal):
        return [own]
    return sorted({own, *await ctx.services.get(Journal).store.events.partitions()})


async def _tenant_list(ctx: CallContext, given: ListTenants) -> TenantList:
    events = ctx.services.get(Journal).store.events
    names = [name for name in await _tenant_names(ctx) if name > (given.cursor or "")]
    page = names[: given.limit]
    items = [TenantRow(name, await events.position(name)) for name in page]
    return TenantList(items, _sees_all(ctx.principal), page[-1] if len(names) > len(page) else None)


async def _tenant(ctx: CallContext, given: TenantInput) -> TenantReport:
    name, access = given.tenant or ctx.principal.tenant, ctx.services.get(Access)
    if name not in await _tenant_names(ctx):
        raise TENANT_NOT_FOUND.error("there is no such tenant, or it is not yours")
    declared = [each for each, who in access.principals().items() if who.tenant == name]
    roles = [role.name for role in access.book.roles.values() if role.is_for(name)]
    return TenantReport(name, await ctx.services.get(Journal).store.events.position(name), declared, roles)


def _without_store(_given: Struct) -> bool:
    """What stands in the settings concerns no store."""
    return False


COMMANDS = (
    Command(
        "principal",
        "show",
        Nothing,
        PrincipalReport,
        _who,
        "Show who you are: tenant, roles, groups, and what they permit.",
        "interlock principal show --as ada",
        "principal.read",
        Effect.READS,
        reads_store=_without_store,
    ),
    Command(
        "principal",
        "list",
        Nothing,
        PrincipalList,
        _principals,
        "List the principals that the settings declare.",
        "interlock principal list",
        "principal.read",
        Effect.READS,
        reads_store=_without_store,
    ),
    Command(
        "role",
        "list",
        Nothing,
        RoleList,
        _role_list,
        "List the roles, built in and declared, and the groups.",
        "interlock role list",
        "role.read",
        Effect.READS,
        reads_store=_without_store,
    ),
    Command(
        "role",
        "show",
        RoleInput,
        RoleReport,
        _role,
        "Show everything that a role permits.",
        "interlock role show operator",
        "role.read",
        Effect.READS,
        reads_store=_without_store,
        positional=("name",),
    ),
    Command(
        "tenant",
        "list",
        ListTenants,
        TenantList,
        _tenant_list,
        "List the tenants that you may see.",
        "interlock tenant list",
        "tenant.read",
        Effect.READS,
    ),
    Command(
        "tenant",
        "show",
        TenantInput,
        TenantReport,
        _tenant,
        "Show a tenant: how much is in it, and who is declared in it.",
        "interlock tenant show default",
        "tenant.read",
        Effect.READS,
        positional=("tenant",),
    ),
)
