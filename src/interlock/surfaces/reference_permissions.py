"""Writes the page of permissions: each command, what it asks for, and which built-in roles have it.

What it does: turns the catalogue into one table, by the same functions as the check. What it does not do: it knows no
declared role; what those permit stands in an installation's settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from interlock.access.namespaces import place_of
from interlock.access.table import ADMIN, OPERATOR, VIEWER, permission_table
from interlock.base.part import Command, Way

PAGE = "permissions.md"
_ROLES = (VIEWER, OPERATOR, ADMIN)
_HEAD = """\
# Permissions

Each command asks for one permission. A principal has what its roles permit, and nothing else; how roles are declared is
in [control access](../how-to/control-access.md). Verbs about the machine itself are in no role: they are for its user
alone. Written by `make docs` from the catalogue of commands.

"""

_NAMESPACES = """
## Roles of namespaces

A role with `namespaces` permits of its permissions the calls alone that name one of these numbers. Of these commands a
call names its namespace in the place that stands beside it; in a document it is read before anything else of it is
believed, and must be a number there. Tools of `/rpc` name it in their arguments, or in the record among them; the
download of a scenario run's pack names it in its address. What is not listed names none, and is not for such a role.

"""


def page(commands: Iterable[Command], ways: Iterable[Way]) -> str:
    """The text of the page."""
    listed: list[Command | Way] = sorted([*commands, *ways], key=lambda each: each.name)
    return _HEAD + "".join(_rows(listed)) + _NAMESPACES + "".join(_places(listed))


def _rows(listed: list[Command | Way]) -> Iterator[str]:
    commands = [each for each in listed if isinstance(each, Command)]
    roles = permission_table(commands, [each for each in listed if isinstance(each, Way)]).built_in()
    yield f"| command | permission | effect | {' | '.join(f'`{name}`' for name in _ROLES)} |\n"
    yield "|---" * (3 + len(_ROLES)) + "|\n"
    for command in listed:
        words = " ".join(command.name.split("."))
        if isinstance(command, Command) and command.machine:
            yield f"| `{words}` | the user of this machine | {command.effect} |{' |' * len(_ROLES)}\n"
            continue
        marks = " | ".join("yes" if roles[name].take(command.permission) else "no" for name in _ROLES)
        yield f"| `{words}` | `{command.permission}` | {command.effect} | {marks} |\n"


def _places(listed: list[Command | Way]) -> Iterator[str]:
    yield "| command | permission | namespace |\n|---|---|---|\n"
    for command in listed:
        place = place_of(command) if isinstance(command, Command) and not command.machine else None
        if place is not None:
            yield f"| `{' '.join(command.name.split('.'))}` | `{command.permission}` | `{place}` |\n"
