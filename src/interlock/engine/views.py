"""The list of runs: one row a run, written from the feed.

What it does: folds what starts, stops and ends a run into rows that can be searched and paged. What it does not do: no
decision rests on it; a run's truth is its stream, and who owns a run is not in the feed.

Rules: a row knows no more of a state than how it stands, and forgets states that have completed; terms are bounded:
a few for every run, and at most `ATTRIBUTES_MAX` for its attributes; an event costs the same whatever the number of
states, for which `evolve` consumes the row that it is given, as a fold its state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from interlock.base.events import Place
from interlock.base.part import View
from interlock.engine import events as e
from interlock.engine.errors import RUN_TIMED_OUT, UNCOUNTED
from interlock.engine.run_state import WAIT_PREFIX
from interlock.journal.streams import parse_stream

ATTRIBUTES_MAX = 32
ATTRIBUTE_CHARACTERS_MAX = 200
RUNNING, SUSPENDED, BACKOFF, PARKED = "running", "suspended", "backoff", "parked"
PAUSED, CANCELLING = "paused", "cancelling"
WAITING = frozenset({SUSPENDED, BACKOFF, PARKED, PAUSED})
"""States of a run that waits for somebody or for a time."""


class RunRow(Struct, frozen=True):
    """A run in the list. `state` is its phase, or why it does not move, as far as its own events tell.

    `states` are the ids of states that were entered and have not completed, by how they stand, each with what arrived
    for it since it was entered.
    """

    run_id: str
    op_id: str
    state: str
    started_ms: int
    ended_ms: int | None
    manifest_id: str
    checkpoint: str | None = None
    error_code: str | None = None
    parent_run_id: str | None = None
    attributes: dict[str, Any] = {}
    phase: str = RUNNING
    paused: bool = False
    cancelling: bool = False
    states: dict[str, dict[str, tuple[str, ...]]] = {}


def term_of(value: object) -> str:
    """How a value of an attribute is written as a term: texts as they are, anything else as JSON."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text[:ATTRIBUTE_CHARACTERS_MAX]


def attribute_term(key: str) -> str:
    """The name of the term of an attribute."""
    return f"attribute:{key[:ATTRIBUTE_CHARACTERS_MAX]}"


def _key(place: Place, record: Struct) -> str | None:
    if isinstance(record, e.FactRecorded) and not record.key.startswith(WAIT_PREFIX):
        return None
    name = parse_stream(place.stream)
    return name.id if name.kind == e.RUN and not name.inbox else None


def _evolve(row: RunRow | None, place: Place, record: Struct) -> RunRow | None:
    if isinstance(record, e.RunStarted):
        run_id = parse_stream(place.stream).id
        snapshot = record.initial_snapshot_id
        return RunRow(run_id, record.op_id, RUNNING, place.at_ms, None, record.manifest_id, snapshot)
    change = _CHANGES.get(type(record))
    if row is None or change is None:
        return row
    row = change(row, record)
    if isinstance(record, e.RunCompleted):
        return replace(row, state=record.status.value, phase=record.status.value, ended_ms=place.at_ms, states={})
    return replace(row, state=_state(row))


def _state(row: RunRow) -> str:
    """What the list says of a run that has not ended."""
    if row.cancelling:
        return CANCELLING
    if row.paused:
        return PAUSED
    return next((status for status in (PARKED, RUNNING, BACKOFF, SUSPENDED) if row.states.get(status)), RUNNING)


def _status(row: RunRow, state_id: str) -> str | None:
    """How a state stands; None where it was not entered, or has completed."""
    return next((status for status, group in row.states.items() if state_id in group), None)


def _standing(row: RunRow, state_id: str, status: str, *arrived: str) -> RunRow:
    _forget(row, state_id)
    row.states.setdefault(status, {})[state_id] = arrived
    return row


def _forget(row: RunRow, state_id: str) -> None:
    for group in row.states.values():
        group.pop(state_id, None)


def _planned(row: RunRow, record: e.PlanRecorded) -> RunRow:
    found = msgspec.json.decode(record.attributes)
    if not isinstance(found, dict):
        return row
    kept = sorted(found)[:ATTRIBUTES_MAX]
    return replace(row, attributes={key: found[key] for key in kept})


def _linked(row: RunRow, record: e.ParentLinked) -> RunRow:
    return replace(row, parent_run_id=record.parent_run_id)


def _entered(row: RunRow, record: e.StateEntered) -> RunRow:
    return _standing(row, record.state_id, RUNNING)


def _moves(row: RunRow, record: Any) -> RunRow:
    """A state may be entered again at once: somebody decided so."""
    return row if _status(row, record.state_id) is None else _standing(row, record.state_id, RUNNING)


def _completed(row: RunRow, record: e.StateCompleted) -> RunRow:
    _forget(row, record.state_id)
    return replace(row, checkpoint=record.context_snapshot_id)


def _failed(row: RunRow, record: e.StateFailed) -> RunRow:
    """A closure that is nobody's failure (a crash, a cancel) does not hide the failure before it."""
    code = record.error.info.code
    kept = row.error_code if code in UNCOUNTED else code
    return replace(_standing(row, record.state_id, RUNNING), error_code=kept)


def _scheduled(row: RunRow, record: e.RetryScheduled) -> RunRow:
    return _standing(row, record.state_id, BACKOFF)


def _parked(row: RunRow, record: e.RunParked) -> RunRow:
    return replace(_standing(row, record.state_id, PARKED), error_code=record.code)


def _suspended(row: RunRow, record: e.StateSuspended) -> RunRow:
    """It waits, unless something that it waits for came while its attempt was under way."""
    status = _status(row, record.state_id)
    arrived = () if status is None else row.states[status][record.state_id]
    came = any(wait.name in arrived for wait in record.waits)
    return _standing(row, record.state_id, RUNNING if came else SUSPENDED)


def _arrived(row: RunRow, record: e.FactRecorded) -> RunRow:
    _, state_id, name = record.key.split(":", 2)
    status = _status(row, state_id)
    if status is None:
        return row
    if status == SUSPENDED:
        return _standing(row, state_id, RUNNING)
    return _standing(row, state_id, status, *row.states[status][state_id], name)


def _ended(row: RunRow, record: e.RunCompleted) -> RunRow:
    code = row.error_code if record.status is e.RunStatus.FAILED else None
    return replace(row, error_code=code, checkpoint=record.final_snapshot_id or row.checkpoint)


_CHANGES: dict[type[Struct], Callable[[RunRow, Any], RunRow]] = {
    e.PlanRecorded: _planned,
    e.ParentLinked: _linked,
    e.StateEntered: _entered,
    e.StateCompleted: _completed,
    e.StateFailed: _failed,
    e.RetryScheduled: _scheduled,
    e.RunParked: _parked,
    e.EffectResolved: _moves,
    e.StepRetried: _moves,
    e.StepSkipped: _moves,
    e.StateSuspended: _suspended,
    e.FactRecorded: _arrived,
    e.RunPaused: lambda row, _record: replace(row, paused=True),
    e.RunUnpaused: lambda row, _record: replace(row, paused=False),
    e.RunCancelling: lambda row, _record: replace(row, cancelling=True),
    e.RunTimedOut: lambda row, _record: replace(row, error_code=RUN_TIMED_OUT),
    e.RunCompleted: _ended,
}


def _terms(row: RunRow) -> Mapping[str, str]:
    terms = {"op_id": row.op_id, "state": row.state, "phase": row.phase}
    if row.state in WAITING:
        terms["waits"] = "yes"
    if row.parent_run_id is not None:
        terms["parent"] = row.parent_run_id
    if row.error_code is not None and row.phase != RUNNING:
        terms["code"] = row.error_code
    for key, value in row.attributes.items():
        terms[attribute_term(key)] = term_of(value)
    return terms


RUNS = View(
    name="runs",
    version=3,
    row=RunRow,
    key=_key,
    evolve=_evolve,
    order=lambda row: row.started_ms,
    terms=_terms,
    types=frozenset({"engine.run_started"}) | {kind.name for kind in e.EVENTS if kind.record in _CHANGES},
)
