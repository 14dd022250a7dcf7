"""The state of a run: what its events mean, and which sequences of events are impossible.

What it does: folds a run's stream into a `RunState`. What it does not do: no I/O, no clock, no decision; it believes
bytes that the chain has verified but not that they make sense.

Rules (seed 001; invariants I1–I7, I10–I12): `RunStarted` comes first and once; at most one attempt is open; attempts
of a state count 0, 1, 2, …; a retry starts from its predecessor's base and a first attempt from the checkpoint; a
completed state is never entered again; only `StateCompleted` moves the checkpoint; a fact key is bound once; nothing
follows `RunCompleted`. What breaks a rule is `run_corrupt`, with the place.

`evolve` consumes the state that it is given: the caller keeps only what it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.events import Place
from interlock.engine import events as e
from interlock.engine.errors import RUN_CORRUPT, UNCOUNTED, ErrorInfo
from interlock.journal.journal import Fold

FOLD_VERSION = 1


class StepStatus(StrEnum):
    """Where a state of the plan stands in its run."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class Step(Struct, array_like=True):
    """What a run knows of one state: `failures` counts ordinary ones, `orphans` attempts that a crash ended.

    `base` is where its next attempt would start from, and is let go once it has completed: a run of many states keeps
    little of each, because fold snapshots hold them all.
    """

    status: StepStatus
    attempts: int
    failures: int
    orphans: int
    base: str
    entered_ms: int
    ended_ms: int = 0
    error: ErrorInfo | None = None
    due_ms: int = 0


class Fact(Struct, array_like=True, frozen=True):
    """A bound fact."""

    payload_id: str
    kind: str
    request_digest: str | None


class Intent(Struct, array_like=True):
    """An effect that was about to be sent; `attempts` numbers the attempts that sent it."""

    state_id: str
    namespace: str
    request_digest: str
    idempotency_key: str | None
    attempt: int


class Parked(Struct, array_like=True, frozen=True):
    """Why the run waits for an operator."""

    code: str
    state_id: str
    fact_key: str | None
    since_ms: int


class RunState(Struct):
    """A run as its events tell it. `stream` is its id; `status` is None while it runs."""

    stream: str
    seq: int = 0
    started_ms: int = 0
    at_ms: int = 0
    op_id: str = ""
    manifest_id: str = ""
    initial_snapshot_id: str = ""
    checkpoint: str = ""
    fingerprint: str = ""
    plan_version: str = ""
    plan_source: str | None = None
    epoch: int = 0
    owner: str = ""
    open_state: str | None = None
    steps: dict[str, Step] = {}
    facts: dict[str, Fact] = {}
    intents: dict[str, Intent] = {}
    effect_keys: dict[str, str] = {}
    parked: Parked | None = None
    inbox_seq: int = 0
    abandoned: str | None = None
    status: e.RunStatus | None = None
    final_snapshot_id: str | None = None
    completed: int = 0

    @property
    def exists(self) -> bool:
        """Whether the run was ever started."""
        return self.seq > 0


def _corrupt(place: Place, why: str) -> InterlockError:
    return RUN_CORRUPT.error(
        f"event {place.seq} of {place.stream} is impossible: {why}",
        stream=place.stream,
        seq=place.seq,
        why=why,
    )


def _started(state: RunState, record: e.RunStarted, place: Place) -> None:
    if state.seq != 0:
        raise _corrupt(place, "the run had started already")
    state.op_id, state.manifest_id = record.op_id, record.manifest_id
    state.initial_snapshot_id = state.checkpoint = record.initial_snapshot_id
    state.started_ms = place.at_ms


def _entered(state: RunState, record: e.StateEntered, place: Place) -> None:
    if state.open_state is not None:
        raise _corrupt(place, f"{state.open_state} is still open")
    if state.parked is not None:
        raise _corrupt(place, "the run is parked")
    step = state.steps.get(record.state_id)
    if step is None:
        if record.attempt != 0 or record.base_snapshot_id != state.checkpoint:
            raise _corrupt(place, "a first attempt has number 0 and starts from the checkpoint")
        state.steps[record.state_id] = Step(StepStatus.RUNNING, 1, 0, 0, record.base_snapshot_id, place.at_ms)
    else:
        if step.status is StepStatus.COMPLETED:
            raise _corrupt(place, f"{record.state_id} had completed")
        if step.error is None or not step.error.retryable:
            raise _corrupt(place, f"{record.state_id} had failed for good")
        if record.attempt != step.attempts or record.base_snapshot_id != step.base:
            raise _corrupt(place, "a retry follows its predecessor and starts from the same base")
        step.status, step.attempts, step.entered_ms, step.due_ms = (
            StepStatus.RUNNING,
            step.attempts + 1,
            place.at_ms,
            0,
        )
    state.open_state = record.state_id


def _open_step(state: RunState, state_id: str, place: Place) -> Step:
    if state.open_state != state_id:
        raise _corrupt(place, f"{state_id} is not open")
    state.open_state = None
    return state.steps[state_id]


def _completed(state: RunState, record: e.StateCompleted, place: Place) -> None:
    step = _open_step(state, record.state_id, place)
    step.status, step.base, step.error, step.ended_ms = StepStatus.COMPLETED, "", None, place.at_ms
    state.checkpoint = record.context_snapshot_id
    state.completed += 1


def _failed(state: RunState, record: e.StateFailed, place: Place) -> None:
    step = _open_step(state, record.state_id, place)
    step.status, step.error, step.ended_ms = StepStatus.FAILED, record.error.info, place.at_ms
    if record.error.info.code in UNCOUNTED:
        step.orphans += 1
    else:
        step.failures += 1


def _ended(state: RunState, record: e.RunCompleted, place: Place) -> None:
    if state.open_state is not None:
        raise _corrupt(place, f"{state.open_state} is still open")
    failed = any(step.status is not StepStatus.COMPLETED for step in state.steps.values())
    if failed and record.status is e.RunStatus.COMPLETED:
        raise _corrupt(place, "a run completes only when its states have")
    if record.final_snapshot_id is not None and record.final_snapshot_id != state.checkpoint:
        raise _corrupt(place, "the final snapshot is not the checkpoint")
    state.status, state.final_snapshot_id, state.parked = record.status, record.final_snapshot_id, None


def _fact(state: RunState, record: e.FactRecorded, place: Place) -> None:
    known = state.facts.get(record.key)
    if known is not None and known.payload_id != record.payload_id:
        raise _corrupt(place, "a fact key is bound twice (fact_recorded_conflict)")
    if known is None:
        state.facts[record.key] = Fact(record.payload_id, record.kind, record.request_digest)
    state.intents.pop(record.key, None)


def _plan(state: RunState, record: e.PlanRecorded, place: Place) -> None:
    if state.fingerprint:
        raise _corrupt(place, "the plan is recorded once")
    state.fingerprint, state.plan_source = record.fingerprint, record.source
    state.plan_version = record.plan_version


def _claimed(state: RunState, record: e.OwnerClaimed, place: Place) -> None:
    if record.epoch != state.epoch + 1:
        raise _corrupt(place, f"epoch {record.epoch} does not follow {state.epoch}")
    state.epoch, state.owner = record.epoch, record.owner


def _intended(state: RunState, record: e.EffectIntended, place: Place) -> None:
    if state.open_state != record.state_id:
        raise _corrupt(place, "an effect is intended outside its attempt")
    if record.fact_key in state.facts:
        raise _corrupt(place, "an effect is intended although its outcome is recorded")
    if record.idempotency_key is not None:
        state.effect_keys[record.idempotency_key] = record.fact_key
    attempt = state.steps[record.state_id].attempts - 1
    state.intents[record.fact_key] = Intent(
        record.state_id, record.namespace, record.request_digest, record.idempotency_key, attempt
    )


def _settled(state: RunState, record: e.EffectSettled, place: Place) -> None:
    intent = state.intents.pop(record.fact_key, None)
    if intent is None or intent.state_id != state.open_state:
        raise _corrupt(place, "an effect was settled that this attempt did not intend")


def _scheduled(state: RunState, record: e.RetryScheduled, place: Place) -> None:
    step = state.steps.get(record.state_id)
    if step is None or step.status is not StepStatus.FAILED:
        raise _corrupt(place, "a retry is scheduled for a state that has not failed")
    step.due_ms = record.due_ms


def _parked(state: RunState, record: e.RunParked, place: Place) -> None:
    if state.open_state is not None or state.parked is not None or record.state_id not in state.steps:
        raise _corrupt(place, "a run is parked once, between attempts of a state that it has entered")
    state.parked = Parked(record.code, record.state_id, record.fact_key, place.at_ms)


def _resolved(state: RunState, record: e.EffectResolved, place: Place) -> None:
    if state.parked is None or (state.parked.fact_key, state.parked.state_id) != (
        record.fact_key,
        record.state_id,
    ):
        raise _corrupt(place, "nothing of that key is parked")
    state.parked = None
    state.steps[record.state_id].orphans = 0
    if record.fact_key is not None:
        state.intents.pop(record.fact_key, None)
    if record.action is e.Resolution.ABANDON:
        state.abandoned = record.state_id


def _taken(state: RunState, record: e.InboxTaken, place: Place) -> None:
    if record.inbox_seq <= state.inbox_seq:
        raise _corrupt(place, "the inbox was folded backwards")
    state.inbox_seq = record.inbox_seq


def _noted(_state: RunState, _record: Struct, _place: Place) -> None:
    """Events for people change nothing that the run depends on."""


_EVOLVE: dict[type[Struct], Callable[[RunState, Any, Place], None]] = {
    e.RunStarted: _started,
    e.StateEntered: _entered,
    e.StateCompleted: _completed,
    e.StateFailed: _failed,
    e.RunCompleted: _ended,
    e.FactRecorded: _fact,
    e.PlanRecorded: _plan,
    e.OwnerClaimed: _claimed,
    e.EffectIntended: _intended,
    e.EffectSettled: _settled,
    e.RetryScheduled: _scheduled,
    e.RunParked: _parked,
    e.EffectResolved: _resolved,
    e.InboxTaken: _taken,
    e.DomainEmitted: _noted,
    e.ArtifactWritten: _noted,
}


def evolve(state: RunState, record: Struct, place: Place) -> RunState:
    """The run after one more event. Raises: `run_corrupt`."""
    apply = _EVOLVE.get(type(record))
    if apply is None:
        raise _corrupt(place, f"{type(record).__name__} is no event of a run")
    if state.seq == 0 and type(record) is not e.RunStarted:
        raise _corrupt(place, "a run begins with RunStarted")
    if state.status is not None:
        raise _corrupt(place, "the run had ended")
    apply(state, record, place)
    state.seq, state.at_ms = place.seq, place.at_ms
    return state


def _initial(stream: str) -> RunState:
    return RunState(stream, steps={}, facts={}, intents={}, effect_keys={})


RUN_FOLD: Fold[RunState] = Fold(
    "run",
    FOLD_VERSION,
    _initial,
    evolve,
    save=msgspec.json.Encoder().encode,
    restore=msgspec.json.Decoder(RunState).decode,
)
