"""Filters that are kept under a name.

What it does: the life cycle of a saved filter on its stream `<tenant>/filter/<name>`, and the list of them. What it
does not do: it finds no runs.

Rules: saving what is saved already, and removing what is not there under the same command id, change nothing; a filter
holds no secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from interlock.base.events import EventType, Place
from interlock.base.ids import shown
from interlock.base.part import DecideContext, Decider, Decision, Refusal, View
from interlock.engine.search.errors import FILTER_INVALID, FILTER_NOT_FOUND
from interlock.engine.search.where import Where
from interlock.journal.streams import parse_stream, stream_id

FILTER = "filter"
_NAME = re.compile(r"\A[a-z][a-z0-9_-]{0,62}\Z")


class FilterSaved(Struct, frozen=True):
    """A filter has this meaning from now on."""

    where: Where


class FilterRemoved(Struct, frozen=True):
    """The name means nothing any more."""

    name: str


class SaveFilter(Struct, frozen=True):
    """Keep a filter under the name of its stream."""

    stream: str
    where: Where


class RemoveFilter(Struct, frozen=True):
    """Forget the filter of a stream."""

    stream: str


class FilterRow(Struct, frozen=True):
    """A saved filter in the list."""

    name: str
    where: Where
    saved_by: str
    saved_ms: int


def filter_stream(tenant: str, name: str) -> str:
    """The stream of a filter. Raises: `filter_invalid`."""
    if _NAME.match(name) is None:
        raise FILTER_INVALID.error(
            "the name of a filter begins with a-z and goes on with up to 62 of a-z 0-9 _ -", place="name"
        )
    return stream_id(tenant, FILTER, name)


def _evolve(_state: Where | None, record: Struct, _place: Place) -> Where | None:
    return record.where if isinstance(record, FilterSaved) else None


def _decide(states: Mapping[str, Any], command: SaveFilter | RemoveFilter, _ctx: DecideContext) -> Decision:
    kept: Where | None = states[command.stream]
    if isinstance(command, SaveFilter):
        return {} if kept == command.where else {command.stream: (FilterSaved(command.where),)}
    name = parse_stream(command.stream).id
    if kept is None:
        return Refusal(FILTER_NOT_FOUND.error(f"no filter is called {shown(name)}"))
    return {command.stream: (FilterRemoved(name),)}


FILTERS_KEPT = Decider(
    name="engine.filter",
    streams=lambda command: (command.stream,),
    initial=lambda _stream: None,
    decide=_decide,
    evolve=_evolve,
    result=lambda events, command: bool(events.get(command.stream)),
)


def _row(_row: FilterRow | None, place: Place, record: Struct) -> FilterRow | None:
    if not isinstance(record, FilterSaved):
        return None
    return FilterRow(parse_stream(place.stream).id, record.where, place.actor, place.at_ms)


FILTERS = View(
    name="filters",
    version=1,
    row=FilterRow,
    key=lambda place, _record: parse_stream(place.stream).id,
    evolve=_row,
    order=lambda row: row.saved_ms,
    terms=lambda _row: {},
    types=frozenset({"engine.filter_saved", "engine.filter_removed"}),
)
EVENTS = (
    EventType("engine.filter_saved", 1, FilterSaved),
    EventType("engine.filter_removed", 1, FilterRemoved),
)
