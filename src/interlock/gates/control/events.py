"""What happens to scenarios and their runs, as events of the journal.

What it does: declares the events and the rows of the index that come with them. What it does not do: it folds nothing
(`fold`) and spells no record for the wire (`records`).

Rules: each record of the contract is one event, kept in its canonical bytes, or as the artifact `record_id` where those
are many; beside it stands what the fold needs, so that no fold reads a record; numbers of 64 bits are texts.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw, Struct

from interlock.base.events import EventType, IndexRow, Place, Row
from interlock.base.ids import ArtifactId
from interlock.gates.control.keys import SCENARIO_INDEX, SUBMISSION_INDEX, TRIGGER_INDEX, call_key
from interlock.gates.records import RunStatus


class ScenarioDefined(Struct, frozen=True):
    """A scenario has this document; its id is the spec's hash."""

    default_tenant_id: str | None
    document_id: ArtifactId
    namespace_id: str
    scenario_id: str
    spec_version: str


class ScenarioRunStarted(Struct, frozen=True):
    """A run has begun in its first stage."""

    config: Raw
    document_id: ArtifactId
    stage_id: str
    started_at: Raw


class RulesApplied(Struct, frozen=True):
    """The decisions that follow rest on these rules of the installation."""

    rules_id: ArtifactId


class Triggered(Struct, frozen=True):
    """A trigger was taken."""

    record: Raw
    record_id: ArtifactId | None
    trigger_id: str


class GateEvaluated(Struct, frozen=True):
    """A gate was evaluated for the trigger before it."""

    gate_id: str
    record: Raw
    record_id: ArtifactId | None


class ScenarioDecided(Struct, frozen=True):
    """A decision, and where the run stands after it."""

    record: Raw
    record_id: ArtifactId | None
    stage_entered_at: Raw
    stage_id: str
    status: RunStatus


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
    EventType("gates.run_started", 1, ScenarioRunStarted),
    EventType("gates.rules_applied", 1, RulesApplied),
    EventType("gates.triggered", 1, Triggered, index=_triggered),
    EventType("gates.gate_evaluated", 1, GateEvaluated),
    EventType("gates.decided", 1, ScenarioDecided),
    EventType("gates.packet_issued", 1, PacketIssued),
    EventType("gates.submitted", 1, Submitted, index=_submitted),
    EventType("gates.tool_called", 1, ToolCalled),
)
