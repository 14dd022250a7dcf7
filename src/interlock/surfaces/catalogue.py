"""The catalogue of commands and queries: the one list from which every surface is generated.

What it does: holds the commands that parts declare under their unique names, suggests the nearest name for a
wrong one, gives the JSON Schemas of inputs and outputs and the table of permissions.

What it does not do: it runs nothing and checks no permission.

Rules: a name is given once; a declaration that a surface could not show (an unknown positional member, a name
that the command line keeps for itself, an example of another verb) is refused when the catalogue is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from interlock.base.ids import shown
from interlock.base.nearest import suggestion
from interlock.base.part import Command, Effect
from interlock.surfaces.errors import COMMAND_UNKNOWN, COMMAND_UNSOUND

MACHINE_OPTIONS = ("store", "config", "json")
"""Options of every verb. Members `store` and `config` of a machine verb take the values of these options."""

SERVER_OPTIONS = ("server", "profile")
"""Options of every verb that a server can be asked for."""

STORE_OPTIONS = (*MACHINE_OPTIONS, "as")
"""Options of every verb on a store."""

GLOBAL_OPTIONS = (*STORE_OPTIONS, *SERVER_OPTIONS)
"""Options that no verb of a server has members of the names of."""

_WORD = re.compile(r"\A[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


def takes_option(command: Command, member: str) -> bool:
    """Whether a member of a machine verb's input has its value from an option of every verb."""
    return command.machine and member in MACHINE_OPTIONS


@dataclass(frozen=True, slots=True)
class Permission:
    """One row of the permission table: which permission a command needs, and what it does to the world."""

    command: str
    permission: str
    effect: Effect


class Catalogue:
    """Every command of an application, by name, in the order of declaration.

    Raises `command_unsound` where a name is given twice or a declaration contradicts itself.
    """

    def __init__(self, commands: Iterable[Command]) -> None:
        self._by_name: dict[str, Command] = {}
        for command in commands:
            _prove(command)
            if command.name in self._by_name:
                raise COMMAND_UNSOUND.error(f"the command {command.name} is declared twice", command=command.name)
            self._by_name[command.name] = command

    def __iter__(self) -> Iterator[Command]:
        return iter(self._by_name.values())

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def get(self, name: str) -> Command:
        """The command of that name; `command_unknown`, with the nearest name, where there is none."""
        command = self._by_name.get(name)
        if command is None:
            raise COMMAND_UNKNOWN.error(f"no command is called {shown(name)}{suggestion(name, self._by_name)}")
        return command

    def nouns(self) -> tuple[str, ...]:
        """Every noun once; verbs about the machine itself have none."""
        return tuple(dict.fromkeys(command.noun for command in self if command.noun))

    def verbs(self, noun: str) -> tuple[Command, ...]:
        """The commands of a noun; of the empty noun, the verbs about the machine itself."""
        return tuple(command for command in self if command.noun == noun)

    def permissions(self) -> tuple[Permission, ...]:
        """The permission table, one row for each command."""
        return tuple(Permission(each.name, each.permission, each.effect) for each in self)

    @staticmethod
    def input_schema(command: Command) -> dict[str, object]:
        """JSON Schema (2020-12) of the command's input; members that it does not name are refused."""
        schema = msgspec.json.schema(command.input)
        outermost = schema["$ref"].rpartition("/")[2]
        schema["$defs"][outermost]["additionalProperties"] = False
        return schema

    @staticmethod
    def output_schema(command: Command) -> dict[str, object]:
        """JSON Schema (2020-12) of the command's output."""
        return msgspec.json.schema(command.output)


def _prove(command: Command) -> None:
    for fault in _faults(command):
        raise COMMAND_UNSOUND.error(f"the command {command.name}: {fault}", command=command.name)


def _faults(command: Command) -> Iterator[str]:
    words: Sequence[str] = [command.noun, command.verb] if command.noun else [command.verb]
    members = command.input.__struct_encode_fields__
    if not all(_WORD.match(word) for word in words):
        yield "noun and verb are lower-case words joined by hyphens"
    if not command.noun and not command.machine:
        yield "only verbs about the machine itself have no noun"
    if unknown := [name for name in command.positional if name not in members]:
        yield f"its input has no member {unknown[0]}"
    kept = ("json", *(SERVER_OPTIONS if command.carries else ())) if command.machine else GLOBAL_OPTIONS
    if taken := [name for name in members if name in kept]:
        yield f"the option --{taken[0]} belongs to every verb"
    if " ".join(["interlock", *words]) not in command.example:
        yield "its example does not show it"
    if not command.summary.strip():
        yield "it has no summary"
