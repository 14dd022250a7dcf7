"""The catalogue of commands as tools of MCP.

What it does: names a tool for each command, with the JSON Schemas of its input and output and what it does to the
world, and says which of them may be called. What it does not do: it calls nothing, and knows no library of the
protocol.

Rules: a tool is a command under its name with underscores; verbs about the machine itself are none; one that would
always refuse is not listed; only what reads is allowed unless whoever runs the server allows more; what changes
something takes a `command_id`, under which it takes effect once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from interlock.base.bounds import COMMAND_ID_CHARACTERS_MAX
from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.base.nearest import suggestion
from interlock.base.part import Command, Effect
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.errors import COMMAND_UNKNOWN, MCP_TOOL_NOT_ALLOWED
from interlock.surfaces.mcp.schemas import rooted

Allowed = Literal["reads", "changes", "starts"]
Refusal = Callable[[Command], InterlockError | None]
"""Why a command may not be called; None where it may."""

COMMAND_ID: Final = "command_id"
_RANK: Final = {Effect.READS: 0, Effect.CHANGES: 1, Effect.STARTS: 2}
_COMMAND_ID_SCHEMA: Final = {
    "type": "string",
    "maxLength": COMMAND_ID_CHARACTERS_MAX,
    "description": "The same call under the same id takes effect once.",
}


class ToolForm(Struct, frozen=True):
    """A tool as it is offered."""

    name: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    reads: bool
    idempotent: bool


class Toolbox:
    """The tools of a catalogue, and those of them that may be called: `refusal` gives an error for every other."""

    def __init__(self, commands: Iterable[Command], refusal: Refusal) -> None:
        self._commands = {tool_name(command): command for command in commands if not command.machine}
        self._refusal = refusal

    def bounded(self, refusal: Refusal) -> Toolbox:
        """The same tools for somebody else."""
        other = Toolbox((), refusal)
        other._commands = self._commands
        return other

    def offered(self) -> list[ToolForm]:
        """Every tool that may be called, in the order of the catalogue."""
        return [form_of(command) for command in self._commands.values() if self._refusal(command) is None]

    def command(self, name: str) -> Command:
        """The command of a tool. Raises: `command_unknown`, `mcp_tool_not_allowed`, `mcp_tool_not_permitted`."""
        command = self._commands.get(name)
        if command is None:
            raise COMMAND_UNKNOWN.error(f"no tool is called {shown(name)}{suggestion(name, self._commands)}")
        refusal = self._refusal(command)
        if refusal is not None:
            raise refusal
        return command

    def found(self, name: str) -> Command | None:
        """The command of a tool, whoever may call it; None where there is no such tool."""
        return self._commands.get(name)

    def input_schema(self, name: str) -> dict[str, Any] | None:
        """The schema of a tool's input, whoever may call it; None where there is no such tool."""
        command = self._commands.get(name)
        return None if command is None else form_of(command).input_schema


def within(allowed: Allowed, *, files: bool = True) -> Refusal:
    """What a server refuses whose user allowed so much; without `files` it uses none of this machine."""
    rank = _RANK[Effect(allowed)]

    def refusal(command: Command) -> InterlockError | None:
        if _RANK[command.effect] > rank:
            return MCP_TOOL_NOT_ALLOWED.error(
                f"{tool_name(command)} {_effect(command)}, which this server does not allow"
            )
        if command.local and not files:
            return MCP_TOOL_NOT_ALLOWED.error(
                f"{tool_name(command)} uses files of this machine, which this server does not allow"
            )
        return None

    return refusal


def tool_name(command: Command) -> str:
    """The name of a command as a tool: `run_start`."""
    return command.name.replace(".", "_").replace("-", "_")


@lru_cache(maxsize=1024)
def form_of(command: Command) -> ToolForm:
    """A command as a tool."""
    given = rooted(Catalogue.input_schema(command))
    reads = command.effect is Effect.READS
    if not reads:
        given["properties"] = {**given["properties"], COMMAND_ID: _COMMAND_ID_SCHEMA}
    return ToolForm(
        name=tool_name(command),
        description=f"{command.summary} It {_effect(command)}.",
        input_schema=given,
        output_schema=rooted(Catalogue.output_schema(command)),
        reads=reads,
        idempotent=command.idempotent,
    )


def without_command_id(command: Command, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """The input among the arguments of a call, and the id under which it takes effect once, if it has one."""
    given = dict(arguments)
    if command.effect is Effect.READS:
        return given, None
    return given, given.pop(COMMAND_ID, None)


def encoded(output: Struct) -> tuple[str, Any]:
    """An output as text and as a JSON value."""
    content = msgspec.json.encode(output)
    return content.decode(), msgspec.json.decode(content)


def _effect(command: Command) -> str:
    return {Effect.READS: "only reads", Effect.CHANGES: "changes something", Effect.STARTS: "starts work"}[
        command.effect
    ]
