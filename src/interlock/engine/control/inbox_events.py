"""What reaches a run from outside: the events of its inbox.

What it does: declares one record for each thing that anybody but the owner may say to a run. Each wakes the run's
activation. What it does not do: nothing here is a truth about the run; the owner folds it into events of its own
(`inbox`), in the append that has the consequence.

Rules: members in alphabetical order; `run_stream` is the run whose inbox it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Raw, Struct

from interlock.base.canonical import canonical, digest
from interlock.base.events import ClearTimer, EventType, IndexRow, Place, Row, Wake
from interlock.base.ids import ArtifactId, FactKey, RunId, StateId
from interlock.engine.events import RUN, Natural, Resolution, RunStatus
from interlock.journal.streams import parse_stream


class ResolutionRequested(Struct, frozen=True):
    """An operator's decision about a parked step; `payload_id` is an adopted result."""

    action: Resolution
    fact_key: FactKey | None
    payload_id: ArtifactId | None
    reason: str
    run_stream: str
    state_id: StateId


class SignalSent(Struct, frozen=True):
    """An answer to a wait, early or not."""

    name: FactKey
    payload_id: ArtifactId
    run_stream: str
    state_id: StateId


class TimerDue(Struct, frozen=True):
    """A timer of the run fired: of the wait `name` of `state_id`, or of the run's own deadline where both are null."""

    due_ms: Natural
    name: FactKey | None
    run_stream: str
    state_id: StateId | None
    timer_id: str


class ChildEnded(Struct, frozen=True):
    """A child of the run has ended; written in the append that ends the child. `payload_id` is the wait's value."""

    child_run_id: RunId
    final_snapshot_id: ArtifactId | None
    name: FactKey
    payload_id: ArtifactId
    run_stream: str
    state_id: StateId
    status: RunStatus


class CancelRequested(Struct, frozen=True):
    """The run is to end as cancelled."""

    reason: str
    run_stream: str


class PauseRequested(Struct, frozen=True):
    """The run is to enter no more states."""

    reason: str
    run_stream: str


class UnpauseRequested(Struct, frozen=True):
    """A paused run is to go on."""

    reason: str
    run_stream: str


class SkipRequested(Struct, frozen=True):
    """A step is to be passed over."""

    reason: str
    run_stream: str
    state_id: StateId


class RetryRequested(Struct, frozen=True):
    """A failed step is to be tried again now."""

    reason: str
    reset: bool
    run_stream: str
    state_id: StateId


class EditRequested(Struct, frozen=True):
    """A step gets another retry policy or time limit; what is null stays."""

    reason: str
    retry: Raw
    run_stream: str
    state_id: StateId
    timeout_ms: Natural | None


class MigrationRequested(Struct, frozen=True):
    """The run is to go on with another plan, whose outline is the artifact `fingerprint`.

    The plan was held against the run when `entered` states had been entered and `completed` of them had completed.
    """

    completed: Natural
    entered: Natural
    fingerprint: ArtifactId
    plan_version: str
    reason: str
    run_stream: str
    source: str | None


class ArtifactAttached(Struct, frozen=True):
    """A file of `bytes` bytes, which is stored, belongs to the run; `media_type` is what its sender says."""

    artifact_id: ArtifactId
    bytes: Natural
    kind: str
    media_type: str
    name: str
    run_stream: str


ATTACHED_INDEX = "run_attached"
"""A row for each attachment of a run, by the keys of `attached_key`; the value is the place in the inbox."""

_SAID_DIGITS = 32


def attached_key(entry: ArtifactAttached) -> str:
    """The key of an attachment: it begins with `attached_prefix`, and is the same for the same file of one name."""
    said = digest(canonical([entry.kind, entry.media_type, entry.name]))[:_SAID_DIGITS]
    return attached_prefix(parse_stream(entry.run_stream).id, entry.artifact_id) + said


def attached_prefix(run_id: str, artifact_id: str) -> str:
    """What the keys of a run's attachments begin with that have these bytes."""
    return f"{run_id}/{artifact_id}/"


Entry = (
    ResolutionRequested
    | SignalSent
    | TimerDue
    | ChildEnded
    | CancelRequested
    | PauseRequested
    | UnpauseRequested
    | SkipRequested
    | RetryRequested
    | EditRequested
    | MigrationRequested
    | ArtifactAttached
)


def _wake(place: Place, record: Any) -> Sequence[Row]:
    return (Wake(record.run_stream, RUN, place.at_ms),)


def _fired(place: Place, record: Any) -> Sequence[Row]:
    return (Wake(record.run_stream, RUN, place.at_ms), ClearTimer(record.timer_id))


def _attached(place: Place, record: Any) -> Sequence[Row]:
    row = IndexRow(ATTACHED_INDEX, attached_key(record), str(place.seq).encode())
    return (Wake(record.run_stream, RUN, place.at_ms), row)


EVENTS = (
    EventType("engine.resolution_requested", 1, ResolutionRequested, index=_wake),
    EventType("engine.signal_sent", 1, SignalSent, index=_wake),
    EventType("engine.timer_due", 1, TimerDue, index=_fired),
    EventType("engine.child_ended", 1, ChildEnded, index=_wake),
    EventType("engine.cancel_requested", 1, CancelRequested, index=_wake),
    EventType("engine.pause_requested", 1, PauseRequested, index=_wake),
    EventType("engine.unpause_requested", 1, UnpauseRequested, index=_wake),
    EventType("engine.skip_requested", 1, SkipRequested, index=_wake),
    EventType("engine.retry_requested", 1, RetryRequested, index=_wake),
    EventType("engine.edit_requested", 1, EditRequested, index=_wake),
    EventType("engine.migration_requested", 1, MigrationRequested, index=_wake),
    EventType("engine.artifact_attached", 1, ArtifactAttached, index=_attached),
)
