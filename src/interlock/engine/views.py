"""The list of runs: one row a run, written from the feed.

What it does: folds start, parking and end of runs into rows that can be filtered and paged. What it does not do: no
decision rests on it; a run's truth is its stream.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from interlock.base.events import Place
from interlock.base.part import View
from interlock.engine import events as e
from interlock.journal.streams import parse_stream


class RunRow(Struct, frozen=True):
    """A run in the list. `state` is its phase, or `parked` while it waits for an operator."""

    run_id: str
    op_id: str
    state: str
    started_ms: int
    ended_ms: int | None
    manifest_id: str


def _key(place: Place, _record: Struct) -> str | None:
    name = parse_stream(place.stream)
    return name.id if name.kind == e.RUN and not name.inbox else None


def _evolve(row: RunRow | None, place: Place, record: Struct) -> RunRow | None:
    if isinstance(record, e.RunStarted):
        return RunRow(parse_stream(place.stream).id, record.op_id, "running", place.at_ms, None, record.manifest_id)
    if row is None:
        return None
    if isinstance(record, e.RunParked):
        return msgspec.structs.replace(row, state="parked")
    if isinstance(record, e.EffectResolved):
        return msgspec.structs.replace(row, state="running")
    if isinstance(record, e.RunCompleted):
        return msgspec.structs.replace(row, state=record.status.value, ended_ms=place.at_ms)
    return row


def _terms(row: RunRow) -> Mapping[str, str]:
    return {"op_id": row.op_id, "state": row.state}


RUNS = View(
    name="runs",
    version=1,
    row=RunRow,
    key=_key,
    evolve=_evolve,
    order=lambda row: row.started_ms,
    terms=_terms,
    types=frozenset({"engine.run_started", "engine.run_parked", "engine.effect_resolved", "engine.run_completed"}),
)
