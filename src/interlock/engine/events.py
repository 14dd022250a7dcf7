"""The events of a run: three families on one stream.

What it does: declares kernel events (seed 001: start, enter, complete, fail, end), domain events, and control events
(who owns it, what it waits for, what was intended, parked, decided, scheduled), with the rows that they entail.
What it does not do: it folds and decides nothing; what the outside sends is in `inbox_events`.

Rules: members in alphabetical order; no profile drops anything but `DomainEmitted` and `ArtifactWritten`; free JSON is
canonical bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Raw, Struct

from interlock.base.canonical import canonical
from interlock.base.events import Claim, ClearTimer, EventType, Hold, Place, Rest, Row, SetTimer, Wake
from interlock.base.ids import ArtifactId, FactKey, OpId, RunId, StateId
from interlock.engine import bound_events
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
    """Domain: what a handler wanted on record. `state_id` tells attempts apart that run at once."""

    name: str
    payload: Raw
    payload_ref: ArtifactId | None
    state_id: StateId | None = None


class FactRecorded(Struct, frozen=True):
    """Domain: a recorded result of the outside, found again by its key; `request_digest` is what it answers.

    `state_id` is the state whose attempt bound it; null where the key or an event beside it names the state.
    """

    key: FactKey
    kind: str
    payload_id: ArtifactId
    request_digest: str | None
    state_id: StateId | None = None


class ArtifactWritten(Struct, frozen=True):
    """Domain: a handler stored an artifact; without a state, and with `attached_by` in `meta`, somebody outside did."""

    artifact_id: ArtifactId
    kind: str
    meta: Raw
    state_id: StateId | None = None


class PlanRecorded(Struct, frozen=True):
    """Control: which plan the run executes: its outline, stored under its fingerprint.

    `source` is how a person named it, if they did. `attributes` is an object of what the run can be found by.
    """

    attributes: Raw
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


class OpenWait(Struct, frozen=True):
    """One thing that a suspended state waits for: a fact that has not arrived yet.

    `token` is its name to the outside. At `due_ms` it ends by itself: with the value in the artifact `default_id`, or
    as timed out. `schema` is the JSON Schema of the value, null where any will do. `waited`: an earlier attempt waited
    for it as well, so that its timer is set already, or has fired.
    """

    default_id: ArtifactId | None
    due_ms: Natural | None
    kind: str
    name: FactKey
    schema: Raw
    token: str
    waited: bool = False


class StateSuspended(Struct, frozen=True):
    """Control: an attempt ended to wait. It spends no budget; the state is entered again when a wait has ended."""

    state_id: StateId
    waits: tuple[OpenWait, ...]


class SignalReceived(Struct, frozen=True):
    """Control: an answer to a wait was taken from the inbox; `code` says why it was refused, if it was."""

    actor: str
    code: str | None
    name: FactKey
    payload_id: ArtifactId
    state_id: StateId


class WaitExpired(Struct, frozen=True):
    """Control: the deadline of a wait passed; the fact beside it holds what the wait ends with."""

    name: FactKey
    state_id: StateId
    token: str


class TimersCleared(Struct, frozen=True):
    """Control: timers that nothing waits for any more."""

    timer_ids: tuple[str, ...]


class RunLimits(Struct, frozen=True):
    """Control: how many states may run at once, and when the run has to have ended."""

    deadline_ms: Natural | None
    max_concurrency: Annotated[int, Meta(ge=1, le=2**32 - 1)]


class BranchCompleted(Struct, frozen=True):
    """Control, with fan-out: what a completed state wrote, and the context as it and its ancestors leave it."""

    state_id: StateId
    view_id: ArtifactId
    writes_id: ArtifactId


class RunPaused(Struct, frozen=True):
    """Control: no state is entered until the run is unpaused."""

    actor: str
    reason: str


class RunUnpaused(Struct, frozen=True):
    """Control: the run goes on."""

    actor: str
    reason: str


class RunCancelling(Struct, frozen=True):
    """Control: the run ends as cancelled as soon as its open attempts are closed."""

    actor: str
    reason: str


class RunTimedOut(Struct, frozen=True):
    """Control: the run's deadline passed; it ends as failed."""

    deadline_ms: Natural


class StepSkipped(Struct, frozen=True):
    """Control: an operator wants the state passed over: it completes without its handler."""

    actor: str
    reason: str
    state_id: StateId


class StepRetried(Struct, frozen=True):
    """Control: an operator wants the next attempt now; `reset` gives the state its whole retry budget again."""

    actor: str
    reason: str
    reset: bool
    state_id: StateId


class StepEdited(Struct, frozen=True):
    """Control: another retry policy or time limit for a state; what is null stays. Manifest and plan do not change."""

    actor: str
    reason: str
    retry: Raw
    state_id: StateId
    timeout_ms: Annotated[int, Meta(ge=1, le=2**53 - 1)] | None


class PlanMigrated(Struct, frozen=True):
    """Control: the run goes on with another plan, whose difference somebody was shown."""

    actor: str
    fingerprint: ArtifactId
    plan_version: str
    reason: str
    source: str | None


class SentAgain(Struct, frozen=True):
    """An effect that a fork sends once more: its idempotency key ends with this run's id."""

    fact_key: FactKey
    run_id: RunId


class RunForked(Struct, frozen=True):
    """Control: the run inherits `inherits` states that completed in another before `from_state`; the rest is its own.

    What it inherits stands in the source up to `source_seq`. Effects of `again` are sent under idempotency keys of a
    fork, all others under those of the source.
    """

    again: tuple[SentAgain, ...]
    from_state: StateId
    inherits: Natural
    source_run_id: RunId
    source_seq: Natural


class ParentLinked(Struct, frozen=True):
    """Control: this run is a child; `name` is the parent's wait for its end, `depth` counts from 1."""

    depth: Natural
    name: FactKey
    parent_run_id: RunId
    state_id: StateId


class ChildRunSpawned(Struct, frozen=True):
    """Domain: a child run was started; with the fact that records it, in one append. No profile drops it."""

    cancel_with_parent: bool
    child_manifest_id: ArtifactId
    child_run_id: RunId
    name: FactKey
    parent_run_id: RunId
    state_id: StateId


class ChildRunCompleted(Struct, frozen=True):
    """Domain: a child run has ended, for good. No profile drops it."""

    child_run_id: RunId
    final_snapshot_id: ArtifactId | None
    status: RunStatus


KERNEL = (RunStarted, StateEntered, StateCompleted, StateFailed, RunCompleted)
DOMAIN = (DomainEmitted, FactRecorded, ArtifactWritten, ChildRunSpawned, ChildRunCompleted)
OPTIONAL = (DomainEmitted, ArtifactWritten)
"""What the Minimal profile drops (after validating it)."""


def _on_started(place: Place, _record: Struct) -> Sequence[Row]:
    return (Wake(place.stream, RUN, place.at_ms),)


def _on_claimed(place: Place, record: Any) -> Sequence[Row]:
    return (Hold(Claim(place.stream, RUN, record.owner, record.claim, record.expires_ms)),)


def _on_ended(place: Place, _record: Struct) -> Sequence[Row]:
    return (Rest(place.stream),)


def timer_payload(state_id: str, name: str) -> bytes:
    """What a timer of a wait carries."""
    return canonical({"name": name, "state_id": state_id})


def _on_suspended(place: Place, record: Any) -> Sequence[Row]:
    return [
        SetTimer(wait.token, place.stream, wait.due_ms, timer_payload(record.state_id, wait.name))
        for wait in record.waits
        if wait.due_ms is not None and not wait.waited
    ]


def _on_cleared(_place: Place, record: Any) -> Sequence[Row]:
    return [ClearTimer(timer_id) for timer_id in record.timer_ids]


def deadline_timer(stream: str) -> str:
    """The id of the timer of a run's own deadline."""
    return f"deadline:{stream}"


def _on_limits(place: Place, record: Any) -> Sequence[Row]:
    if record.deadline_ms is None:
        return ()
    return (SetTimer(deadline_timer(place.stream), place.stream, record.deadline_ms, canonical(None)),)


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
    EventType("engine.state_suspended", 1, StateSuspended, index=_on_suspended),
    EventType("engine.signal_received", 1, SignalReceived),
    EventType("engine.wait_expired", 1, WaitExpired),
    EventType("engine.timers_cleared", 1, TimersCleared, index=_on_cleared),
    EventType("engine.run_limits", 1, RunLimits, index=_on_limits),
    EventType("engine.branch_completed", 1, BranchCompleted),
    EventType("engine.run_paused", 1, RunPaused),
    EventType("engine.run_unpaused", 1, RunUnpaused),
    EventType("engine.run_cancelling", 1, RunCancelling),
    EventType("engine.run_timed_out", 1, RunTimedOut),
    EventType("engine.step_skipped", 1, StepSkipped),
    EventType("engine.step_retried", 1, StepRetried),
    EventType("engine.step_edited", 1, StepEdited),
    EventType("engine.plan_migrated", 1, PlanMigrated),
    EventType("engine.run_forked", 1, RunForked),
    EventType("engine.parent_linked", 1, ParentLinked),
    EventType("engine.child_run_spawned", 1, ChildRunSpawned),
    EventType("engine.child_run_completed", 1, ChildRunCompleted),
    *bound_events.EVENTS,
)
