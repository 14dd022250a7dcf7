"""What an answer says of what was made or started: its status, and where that can be looked at.

What it does: chooses the status of a change, and makes its `Location`. What it does not do: it reads no request, and
knows no collection by name.

Rules: 201 only where something was made, which an output that can tell does tell (`changed`, `fresh`); 202 where work
goes on behind the answer; a `Location` only with these, and only where a route shows one thing of the collection and
everything that it needs is in the output or was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from msgspec import Struct

from interlock.base.part import Command, Effect
from interlock.surfaces.http.requests import parts_of
from interlock.surfaces.http.routes import Route, is_for_making
from interlock.surfaces.members import members_of

DONE, MADE, ACCEPTED = 200, 201, 202
_TELLS: Final = ("changed", "fresh")
"""Members of an output that say whether anything was made."""

DETACH: Final = "detach"


def status_of(route: Route, output: Struct) -> int:
    """The status of the answer to a call that changes or starts something."""
    if _is_driven(route):
        return ACCEPTED
    is_made = is_for_making(route) and all(getattr(output, name, True) for name in _TELLS)
    return MADE if is_made else DONE


def statuses_of(route: Route) -> tuple[int, ...]:
    """Every status that the answer of a route can have."""
    if _is_driven(route):
        return (ACCEPTED,)
    if route.command.effect is Effect.READS or not is_for_making(route):
        return (DONE,)
    return (DONE, MADE) if set(_TELLS) & set(route.command.output.__struct_fields__) else (MADE,)


def place_of(route: Route, shows: Route | None, given: Mapping[str, Any], output: Struct) -> str | None:
    """Where what was made or started can be looked at, by the route that `shows` one thing of its collection."""
    if shows is None or status_of(route, output) == DONE:
        return None
    needed = {member.name for member in members_of(shows.command.input) if member.required} | {*shows.keys}
    found = {name: value for name in needed if (value := _value(name, given, output)) not in {None, ""}}
    if found.keys() != needed:
        return None
    parts = parts_of(shows, found)
    return parts.path + (f"?{urlencode(parts.query)}" if parts.query else "")


def is_detached(command: Command) -> bool:
    """Whether a command may be told not to wait for what it starts: over HTTP it always is."""
    return DETACH in {member.name for member in members_of(command.input)}


def _is_driven(route: Route) -> bool:
    return route.command.effect is Effect.STARTS and is_detached(route.command)


def _value(name: str, given: Mapping[str, Any], output: Struct) -> str | int | None:
    """The value of a key: as the answer has it, under its name or as an id, else as it was given."""
    for record in _records(output):
        for attribute in (f"{name}_id", name):
            value = getattr(record, attribute, None)
            if isinstance(value, str | int):
                return value
    value = given.get(name)
    return value if isinstance(value, str | int) else None


def _records(output: Struct) -> Iterator[Struct]:
    """The output, and what it holds if it is a record of one thing and nothing more."""
    yield output
    if len(output.__struct_fields__) == 1 and isinstance(only := getattr(output, output.__struct_fields__[0]), Struct):
        yield only
