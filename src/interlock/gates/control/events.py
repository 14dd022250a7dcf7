"""What happens to scenarios and their runs, as events of the journal.

What it does: declares the events and the rows of the index that come with them. What it does not do: it folds nothing
(`fold`) and spells no record for the wire (`records`).

Rules: each record of the contract is one event, kept in its canonical bytes, or as the artifact `record_id` where those
are many; beside it stands what the fold needs, so that no fold reads a record; numbers of 64 bits are texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from interlock.base.events import ClearTimer, EventType, IndexRow, Place, Row, SetTimer
from interlock.base.ids import ArtifactId
from interlock.gates.control.closing import GateEnd
from interlock.gates.control.keys import (
    RUN_INDEX,
    SCENARIO_INDEX,
    SUBMISSION_INDEX,
    TRIGGER_INDEX,
    call_key,
    closing_payload,
    closing_timer,
    run_key,
    stage_timer,
)
from interlock.gates.evidence.port import CallMade
from interlock.gates.records import RunConfig, RunStatus


class ScenarioDefined(Struct, frozen=True):
    """A scenario has this document; its id is the spec's hash."""

    default_tenant_id: str | None
    document_id: ArtifactId
    namespace_id: str
    scenario_id: str
    spec_version: str


class StageTimer(Struct, frozen=True):
    """When the stage in which a run stands makes its own tick, in ms since 1970; None: it makes none."""

    at_ms: int | None


class GatesUntil(Struct, frozen=True):
    """Until when the gates of a stage that are true are so by themselves; those that are not named need no time."""

    ends: tuple[GateEnd, ...]
    stage_id: str


class ScenarioRunStarted(Struct, frozen=True):
    """A run has begun in its first stage."""

    config: Raw
    document_id: ArtifactId
    stage_id: str
    started_at: Raw
    timer: StageTimer | None


class RulesApplied(Struct, frozen=True):
    """The decisions that follow rest on these rules of the installation."""

    rules_id: ArtifactId


class Triggered(Struct, frozen=True):
    """A trigger was taken."""

    record: Raw
    record_id: ArtifactId | None
    trigger_id: str


class EvidenceAsked(Struct, frozen=True):
    """When the evidence of a condition was observed, and what was called for it, by digests."""

    calls: tuple[CallMade, ...]
    condition_id: str
    observed_ms: int | None


class GateEvaluated(Struct, frozen=True):
    """A gate was evaluated for the trigger before it."""

    gate_id: str
    record: Raw
    record_id: ArtifactId | None


class ScenarioDecided(Struct, frozen=True):
    """A decision, and where the run stands after it. `timer` and `until` are None where they stay as they were."""

    record: Raw
    record_id: ArtifactId | None
    stage_entered_at: Raw
    stage_id: str
    status: RunStatus
    timer: StageTimer | None
    until: GatesUntil | None = None


class StageTimePassed(Struct, frozen=True):
    """The timer of a stage fired and decided nothing; `code` says why it could not."""

    at_ms: int
    code: str | None


class GatesClosed(Struct, frozen=True):
    """Gates that were true at the last look at their stage rest on evidence that has become too old.

    Gates are in the order of their ids; `next_ms` is when the next ones of the stage close.
    """

    at_ms: int
    gates: tuple[str, ...]
    next_ms: int | None
    stage_id: str


def gates_closed(stage_id: str, until: Mapping[str, int]) -> GatesClosed:
    """What happens first to gates that close by themselves: `until` says when each does, and names one at least."""
    at_ms = min(until.values())
    closed = tuple(sorted(name for name, end_ms in until.items() if end_ms == at_ms))
    return GatesClosed(at_ms, closed, min((each for each in until.values() if each > at_ms), default=None), stage_id)


class PacketIssued(Struct, frozen=True):
    """A packet of the decision before it; its payload is that of the scenario's document."""

    packet_id: str
    record: Raw
    record_id: ArtifactId | None


class Submitted(Struct, frozen=True):
    """Something was handed in; the digest is of payload and content type."""

    given_digest: str
    record: Raw
    record_id: ArtifactId | None
    submission_id: str


class ToolCalled(Struct, frozen=True):
    """A call was answered; `repeats` is the event of the decision or submission that was given again."""

    record: Raw
    repeats: int | None


def _defined(_place: Place, record: Struct) -> Sequence[Row]:
    if not isinstance(record, ScenarioDefined):
        raise TypeError("only a definition is listed")
    value = f"{record.document_id} {record.default_tenant_id or ''}".encode("ascii")
    return [IndexRow(SCENARIO_INDEX, f"{record.namespace_id}:{record.scenario_id}", value, fresh=True)]


def _started(place: Place, record: Struct) -> Sequence[Row]:
    if not isinstance(record, ScenarioRunStarted):
        raise TypeError("only a run that begins is listed")
    given = msgspec.json.decode(record.config, type=RunConfig)
    key = run_key(given.namespace_id, given.scenario_id, given.tenant_id, given.run_id)
    return [IndexRow(RUN_INDEX, key, place.stream.encode()), *_timer_rows(place, record.timer)]


def _timer_rows(place: Place, timer: StageTimer | None) -> Sequence[Row]:
    """The row of a stage's timer; its payload tells one setting from another of the same time."""
    if timer is None:
        return []
    name = stage_timer(place.stream)
    return [ClearTimer(name) if timer.at_ms is None else SetTimer(name, place.stream, timer.at_ms, b"%d" % place.seq)]


def _decided(place: Place, record: Struct) -> Sequence[Row]:
    if not isinstance(record, ScenarioDecided):
        raise TypeError("only a decision moves the timer of a stage")
    rows = _timer_rows(place, record.timer)
    if record.until is None:
        return rows
    ends = record.until.ends
    return [*rows, _closing_row(place, record.until.stage_id, ends[0].at_ms if ends else None)]


def _closing_row(place: Place, stage_id: str, at_ms: int | None) -> Row:
    """The row of the timer by which gates of a stage close."""
    name = closing_timer(place.stream, stage_id)
    return (
        ClearTimer(name) if at_ms is None else SetTimer(name, place.stream, at_ms, closing_payload(place.seq, stage_id))
    )


def _closed(place: Place, record: Struct) -> Sequence[Row]:
    if not isinstance(record, GatesClosed):
        raise TypeError("only gates that close move their timer")
    return [_closing_row(place, record.stage_id, record.next_ms)]


def _passed(place: Place, _record: Struct) -> Sequence[Row]:
    return [ClearTimer(stage_timer(place.stream))]


def _triggered(place: Place, record: Struct) -> Sequence[Row]:
    if not isinstance(record, Triggered):
        raise TypeError("only a trigger is found by its id")
    return [IndexRow(TRIGGER_INDEX, call_key(place.stream, record.trigger_id), b"%d" % place.seq, fresh=True)]


def _submitted(place: Place, record: Struct) -> Sequence[Row]:
    if not isinstance(record, Submitted):
        raise TypeError("only a submission is found by its id")
    value = f"{place.seq} {record.given_digest}".encode("ascii")
    return [IndexRow(SUBMISSION_INDEX, call_key(place.stream, record.submission_id), value, fresh=True)]


EVENTS = (
    EventType("gates.scenario_defined", 1, ScenarioDefined, index=_defined),
    EventType("gates.run_started", 1, ScenarioRunStarted, index=_started),
    EventType("gates.rules_applied", 1, RulesApplied),
    EventType("gates.triggered", 1, Triggered, index=_triggered),
    EventType("gates.evidence_asked", 1, EvidenceAsked),
    EventType("gates.gate_evaluated", 1, GateEvaluated),
    EventType("gates.decided", 1, ScenarioDecided, index=_decided),
    EventType("gates.stage_time_passed", 1, StageTimePassed, index=_passed),
    EventType("gates.gates_closed", 1, GatesClosed, index=_closed),
    EventType("gates.packet_issued", 1, PacketIssued),
    EventType("gates.submitted", 1, Submitted, index=_submitted),
    EventType("gates.tool_called", 1, ToolCalled),
)
