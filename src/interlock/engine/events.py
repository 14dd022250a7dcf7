"""The events of a run and its inbox: three families on one stream.

What it does: declares kernel events (seed 001: start, enter, complete, fail, end), domain events, and control events
(who owns it, what was intended, parked, decided, scheduled), with the activation rows that they entail.
What it does not do: it folds and decides nothing.

Rules: members in alphabetical order; no profile drops anything but `DomainEmitted` and `ArtifactWritten`; free JSON is
canonical bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Raw, Struct

from interlock.base.events import Claim, EventType, Hold, Place, Rest, Row, Wake
from interlock.base.ids import ArtifactId, FactKey, OpId, StateId
from interlock.engine.errors import StateError

RUN = "run"
Natural = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class RunStatus(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunStarted(Struct, frozen=True):
    """Kernel: always first, exactly once."""

    initial_snapshot_id: ArtifactId
    manifest_id: ArtifactId
    op_id: OpId


class StateEntered(Struct, frozen=True):
    """Kernel: durable before the handler starts. `attempt` counts from 0; `base_snapshot_id` is its start."""

    attempt: Natural
    base_snapshot_id: ArtifactId
    state_id: StateId


class StateCompleted(Struct, frozen=True):
    """Kernel: the only event that moves the checkpoint."""

    context_snapshot_id: ArtifactId
    state_id: StateId


class StateFailed(Struct, frozen=True):
    """Kernel: an attempt ended without completing. The snapshot is for diagnosis alone."""

    error: StateError
    failure_snapshot_id: ArtifactId | None
    state_id: StateId


class RunCompleted(Struct, frozen=True):
    """Kernel: always last."""

    final_snapshot_id: ArtifactId | None
    status: RunStatus


class DomainEmitted(Struct, frozen=True):
    """Domain: what a handler wanted on record."""

    name: str
    payload: Raw
    payload_ref: ArtifactId | None


class FactRecorded(Struct, frozen=True):
    """Domain: a recorded result of the outside, found again by its key; `request_digest` is what it answers."""

    key: FactKey
    kind: str
    payload_id: ArtifactId
    request_digest: str | None


class ArtifactWritten(Struct, frozen=True):
    """Domain: a handler stored an artifact."""

    artifact_id: ArtifactId
    kind: str
    meta: Raw


class PlanRecorded(Struct, frozen=True):
    """Control: which plan the run executes: its outline, stored under its fingerprint.

    `source` is how a person named it, if they did.
    """

    fingerprint: ArtifactId
    plan_version: str
    source: str | None


class OwnerClaimed(Struct, frozen=True):
    """Control: an owner's first event. `epoch` rises by one with every owner; `claim` is the activation's count."""

    claim: Natural
    epoch: Natural
    expires_ms: Natural
    owner: str


class EffectIntended(Struct, frozen=True):
    """Control: durable before an effect is sent."""

    fact_key: FactKey
    idempotency_key: str | None
    namespace: str
    request_digest: str
    state_id: StateId


class RetryScheduled(Struct, frozen=True):
    """Control: the next attempt of a state is not before `due_ms`."""

    due_ms: Natural
    state_id: StateId


class EffectSettled(Struct, frozen=True):
    """Control: the outside answered an intended effect with a failure that is known; nothing is in doubt."""

    code: str
    fact_key: FactKey


class RunParked(Struct, frozen=True):
    """Control: the run stops until an operator decides; `fact_key` names the effect in doubt, if one is."""

    code: str
    fact_key: FactKey | None
    state_id: StateId


class Resolution(StrEnum):
    """What an operator decides about an effect with unknown outcome."""

    ADOPT = "adopt"
    RETRY = "retry"
    ABANDON = "abandon"


class EffectResolved(Struct, frozen=True):
    """Control: the operator's decision, as the owner took it from the inbox; it unparks the run."""

    action: Resolution
    actor: str
    fact_key: FactKey | None
    payload_id: ArtifactId | None
    reason: str
    state_id: StateId


class InboxTaken(Struct, frozen=True):
    """Control: the inbox was folded up to `inbox_seq`, with the consequences in the same append."""

    inbox_seq: Natural


class ResolutionRequested(Struct, frozen=True):
    """Inbox: an operator's decision on its way to the owner; `payload_id` is an adopted result."""

    action: Resolution
    fact_key: FactKey | None
    payload_id: ArtifactId | None
    reason: str
    run_stream: str
    state_id: StateId


KERNEL = (RunStarted, StateEntered, StateCompleted, StateFailed, RunCompleted)
DOMAIN = (DomainEmitted, FactRecorded, ArtifactWritten)
OPTIONAL = (DomainEmitted, ArtifactWritten)
"""What the Minimal profile drops (after validating it)."""


def _on_started(place: Place, _record: Struct) -> Sequence[Row]:
    return (Wake(place.stream, RUN, place.at_ms),)


def _on_claimed(place: Place, record: Any) -> Sequence[Row]:
    return (Hold(Claim(place.stream, RUN, record.owner, record.claim, record.expires_ms)),)


def _on_ended(place: Place, _record: Struct) -> Sequence[Row]:
    return (Rest(place.stream),)


def _on_inbox(place: Place, record: Any) -> Sequence[Row]:
    return (Wake(record.run_stream, RUN, place.at_ms),)


EVENTS = (
    EventType("engine.run_started", 1, RunStarted, index=_on_started),
    EventType("engine.state_entered", 1, StateEntered),
    EventType("engine.state_completed", 1, StateCompleted),
    EventType("engine.state_failed", 1, StateFailed),
    EventType("engine.run_completed", 1, RunCompleted, index=_on_ended),
    EventType("engine.domain_emitted", 1, DomainEmitted),
    EventType("engine.fact_recorded", 1, FactRecorded),
    EventType("engine.artifact_written", 1, ArtifactWritten),
    EventType("engine.plan_recorded", 1, PlanRecorded),
    EventType("engine.owner_claimed", 1, OwnerClaimed, index=_on_claimed),
    EventType("engine.effect_intended", 1, EffectIntended),
    EventType("engine.effect_settled", 1, EffectSettled),
    EventType("engine.retry_scheduled", 1, RetryScheduled),
    EventType("engine.run_parked", 1, RunParked),
    EventType("engine.effect_resolved", 1, EffectResolved),
    EventType("engine.inbox_taken", 1, InboxTaken),
    EventType("engine.resolution_requested", 1, ResolutionRequested, index=_on_inbox),
)
