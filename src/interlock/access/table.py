"""The table of permissions, made of the commands, and the roles that are built in.

What it does: says of each permission which commands ask for it and what they do, and derives the built-in roles from
that. What it does not do: it knows no principal and no setting.

Rules: verbs about the machine itself are in no role: only the user of the machine may use them; what is built in is
data: which effects a role permits, and which permissions administer access.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct

from interlock.access.patterns import ALL, Patterns
from interlock.base.part import Command, Effect, Way

VIEWER, OPERATOR, ADMIN = "viewer", "operator", "admin"
EFFECTS: Mapping[str, frozenset[Effect]] = MappingProxyType(
    {VIEWER: frozenset({Effect.READS}), OPERATOR: frozenset(Effect)}
)
"""What the commands of a permission may do, all of them, so that a built-in role has it; `admin` has all."""

ADMINISTRATION = Patterns(("token.new", "token.revoke", "debug.read"))
"""Permissions that decide what others may do, or show how the process works: for `admin` alone."""


class PermissionRow(Struct, frozen=True):
    """A permission, the commands and other ways in that ask for it, and what they do."""

    permission: str
    commands: tuple[str, ...]
    effects: frozenset[Effect]


class PermissionTable(Struct, frozen=True):
    """Every permission by name, in order."""

    rows: Mapping[str, PermissionRow]

    @property
    def names(self) -> tuple[str, ...]:
        """The permissions, in order."""
        return tuple(self.rows)

    def built_in(self) -> dict[str, Patterns]:
        """What each built-in role permits."""
        return {name: self._within(effects) for name, effects in EFFECTS.items()} | {ADMIN: Patterns((ALL,))}

    def _within(self, effects: frozenset[Effect]) -> Patterns:
        return Patterns(
            tuple(
                row.permission
                for row in self.rows.values()
                if row.effects <= effects and not ADMINISTRATION.take(row.permission)
            )
        )


def permission_table(commands: Iterable[Command], ways: Iterable[Way] = ()) -> PermissionTable:
    """The table of an application's commands, and of the other ways in."""
    found: dict[str, list[Command | Way]] = {}
    asking: list[Command | Way] = [*(command for command in commands if not command.machine), *ways]
    for each in asking:
        found.setdefault(each.permission, []).append(each)
    rows = {
        name: PermissionRow(name, tuple(each.name for each in those), frozenset(each.effect for each in those))
        for name, those in sorted(found.items())
    }
    return PermissionTable(MappingProxyType(rows))
