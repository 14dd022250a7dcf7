"""The life cycle of a batch: one order to all runs that a filter matched.

What it does: records on `<tenant>/batch/<id>` who ordered what, to which runs, and what came of it, and lists the
batches. What it does not do: it finds no runs and tells them nothing (`batches`).

Rules: the runs are settled when the batch begins, and never change; the same order under the same id is the same
batch, any other is a conflict; it ends once.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from interlock.base.events import EventType, Place
from interlock.base.ids import ArtifactId
from interlock.base.part import DecideContext, Decider, Decision, Refusal, View
from interlock.engine.events import Natural
from interlock.engine.search.errors import BATCH_CONFLICT, BATCH_NOT_FOUND
from interlock.engine.search.where import Where
from interlock.journal.journal import Fold
from interlock.journal.streams import parse_stream, stream_id

BATCH = "batch"
UNDER_WAY, DONE = "running", "done"


class BatchAction(StrEnum):
    """What is ordered."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RETRY = "retry"
    UNPAUSE = "unpause"


class BatchStarted(Struct, frozen=True):
    """Somebody orders something to `count` runs, whose ids are the artifact `runs_id`."""

    action: BatchAction
    count: Natural
    reason: str
    reset: bool
    runs_id: ArtifactId
    where: Where


class BatchEnded(Struct, frozen=True):
    """Every run was told or refused; what came of each is the artifact `outcomes_id`."""

    outcomes_id: ArtifactId
    refused: Natural
    told: Natural


class BatchState(Struct, frozen=True):
    """A batch as its events tell it."""

    started: BatchStarted | None = None
    ended: BatchEnded | None = None
    actor: str = ""
    started_ms: int = 0
    ended_ms: int | None = None


class StartBatch(Struct, frozen=True):
    """Begin a batch."""

    stream: str
    order: BatchStarted


class EndBatch(Struct, frozen=True):
    """Say what came of a batch."""

    stream: str
    outcome: BatchEnded


class BatchRow(Struct, frozen=True):
    """A batch in the list."""

    batch_id: str
    action: str
    state: str
    count: int
    told: int | None
    refused: int | None
    reason: str
    ordered_by: str
    started_ms: int
    ended_ms: int | None


def batch_stream(tenant: str, batch_id: str) -> str:
    """The stream of a batch."""
    return stream_id(tenant, BATCH, batch_id)


def is_same(one: BatchStarted, other: BatchStarted) -> bool:
    """Whether two orders are the same, whatever matched when they were given."""
    settled = {"runs_id": "", "count": 0}
    return replace(one, **settled) == replace(other, **settled)


def _evolve(state: BatchState, record: Struct, place: Place) -> BatchState:
    if isinstance(record, BatchStarted):
        return replace(state, started=record, actor=place.actor, started_ms=place.at_ms)
    if isinstance(record, BatchEnded):
        return replace(state, ended=record, ended_ms=place.at_ms)
    return state


def _decide(states: Mapping[str, Any], command: StartBatch | EndBatch, _ctx: DecideContext) -> Decision:
    state: BatchState = states[command.stream]
    if isinstance(command, EndBatch):
        if state.started is None:
            return Refusal(BATCH_NOT_FOUND.error("there is no such batch"))
        return {} if state.ended is not None else {command.stream: (command.outcome,)}
    if state.started is None:
        return {command.stream: (command.order,)}
    if not is_same(state.started, command.order):
        return Refusal(BATCH_CONFLICT.error("this batch id belongs to another order"))
    return {}


BATCH_FOLD: Fold[BatchState] = Fold("batch", 1, lambda _stream: BatchState(), _evolve)
BATCH_KEPT = Decider(
    name="engine.batch",
    streams=lambda command: (command.stream,),
    initial=lambda _stream: BatchState(),
    decide=_decide,
    evolve=_evolve,
    result=lambda _events, _command: None,
)


def row_of(batch_id: str, state: BatchState) -> BatchRow | None:
    """A batch as a row; None where there is none."""
    if state.started is None:
        return None
    order, outcome = state.started, state.ended
    return BatchRow(
        batch_id,
        order.action.value,
        UNDER_WAY if outcome is None else DONE,
        order.count,
        None if outcome is None else outcome.told,
        None if outcome is None else outcome.refused,
        order.reason,
        state.actor,
        state.started_ms,
        state.ended_ms,
    )


def _row(row: BatchRow | None, place: Place, record: Struct) -> BatchRow | None:
    if isinstance(record, BatchEnded) and row is not None:
        return replace(row, state=DONE, told=record.told, refused=record.refused, ended_ms=place.at_ms)
    return row_of(parse_stream(place.stream).id, _evolve(BatchState(), record, place)) or row


BATCHES = View(
    name="batches",
    version=1,
    row=BatchRow,
    key=lambda place, _record: parse_stream(place.stream).id,
    evolve=_row,
    order=lambda row: row.started_ms,
    terms=lambda row: {"state": row.state},
    types=frozenset({"engine.batch_started", "engine.batch_ended"}),
)
EVENTS = (
    EventType("engine.batch_started", 1, BatchStarted),
    EventType("engine.batch_ended", 1, BatchEnded),
)
