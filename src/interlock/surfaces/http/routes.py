"""Which path a command of the catalogue has: the one table that server, client, OpenAPI and pages share.

What it does: derives method and path from a command's noun, verb, effect and keys. What it does not do: it reads no
request and runs nothing.

Rules: what lists is `GET /<collection>`; what shows one thing is `GET /<collection>/<key>`; what makes one is
`POST /<collection>`; what forgets one is `DELETE` of it; any other verb stands behind the key. A query whose input is
a document is asked by `POST`. No two commands share a method and a path; verbs about the
machine, or about files of it, have none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from interlock.base.part import Command, Effect
from interlock.surfaces.members import Kind, members_of

PREFIX: Final = "/api/v1"
Method = Literal["GET", "POST", "DELETE"]

_LISTS: Final = {"list"}
_SHOWS: Final = {"show", "status", "get"}
_MAKES: Final = {"start", "add", "save", "define", "register", "new"}
_FORGETS: Final = {"remove"}

_COLLECTIONS: Final = {"batch": "batches", "evidence": "evidence"}
"""Collections that are not their noun with an s."""

_SCENARIO_RUNS: Final = {"runs", "start", "trigger", "next", "submit", "status", "explain", "export"}
"""Verbs of scenarios that are about their runs, which are a collection of their own."""

_KEYS: Final = {"scenario-runs": ("scenario", "run"), "shapes": ("schema_id", "version"), "events": ("source", "id")}
"""Members that name one thing, where that is not the first positional text."""

_WITHOUT_KEY: Final = {"run.batch", "evidence.query"}
"""Verbs about a collection as a whole: what is given is not the key of a thing."""

_OPTIONAL_KEYS: Final = {"run.graph": ("run",)}
"""Keys that a command line may leave out, and a path cannot."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a command is called: `keys` are the members in its path, `body` says that the others are one, as JSON.

    Without a body the other members are in the query.
    """

    command: Command
    method: Method
    path: str
    keys: tuple[str, ...]
    body: bool


class Routes:
    """The routes of a catalogue; `shows` has, for a collection, the one that shows one thing of it.

    Raises `ValueError` where two commands have one route: a fault of the program.
    """

    def __init__(self, commands: Iterable[Command]) -> None:
        self.by_name: dict[str, Route] = {}
        self.shows: dict[str, Route] = {}
        taken: dict[tuple[str, str], str] = {}
        for command in commands:
            if command.machine or command.local:
                continue
            route = route_of(command)
            place = (route.method, _shape(route.path))
            if place in taken:
                raise ValueError(f"{command.name} and {taken[place]} have one route")
            taken[place] = command.name
            self.by_name[command.name] = route
            if command.verb in _SHOWS and route.method == "GET" and route.keys:
                self.shows[collection_of(command)] = route


def route_of(command: Command) -> Route:
    """Where a command is called."""
    collection = collection_of(command)
    keys = _keys(command, collection)
    verb, base = command.verb, f"{PREFIX}/{collection}"
    reads = command.effect is Effect.READS
    if collection == "scenario-runs" and verb == "runs":
        return Route(command, "GET", base, (), body=False)
    if verb in _LISTS:
        return Route(command, "GET", base, (), body=False)
    if verb in _MAKES:
        return Route(command, "POST", base, (), body=True)
    place = base + "".join(f"/{{{key}}}" for key in keys)
    if verb in _SHOWS and keys:
        return Route(command, "GET", place, keys, body=False)
    if verb in _FORGETS:
        return Route(command, "DELETE", place, keys, body=False)
    body = not reads or _is_document(command, keys)
    return Route(command, "POST" if body else "GET", f"{place}/{verb}", keys, body)


def collection_of(command: Command) -> str:
    """The collection that a command is about, as its path has it."""
    if command.noun == "scenario":
        return "scenario-runs" if command.verb in _SCENARIO_RUNS else "scenario-specs"
    return _COLLECTIONS.get(command.noun, f"{command.noun}s")


def is_for_making(route: Route) -> bool:
    """Whether the route is where a thing of its collection is made."""
    return route.method == "POST" and route.command.verb in _MAKES


def _keys(command: Command, collection: str) -> tuple[str, ...]:
    if command.name in _WITHOUT_KEY:
        return ()
    if command.name in _OPTIONAL_KEYS:
        return _OPTIONAL_KEYS[command.name]
    members = {member.name: member for member in members_of(command.input)}
    if collection in _KEYS:
        return tuple(name for name in _KEYS[collection] if name in members and members[name].required)
    first = next(iter(command.positional), None)
    if first is None or not members[first].required or members[first].repeated:
        return ()
    return (first,) if members[first].kind is Kind.TEXT else ()


def _is_document(command: Command, keys: tuple[str, ...]) -> bool:
    """Whether a query's input is more than a query string should hold."""
    return any(
        member.kind is Kind.JSON or (member.required and member.repeated)
        for member in members_of(command.input)
        if member.name not in keys
    )


def _shape(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
