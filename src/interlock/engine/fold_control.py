"""What control events mean for a run: owners, effects, waits, orders of operators, branches and kin.

What it does: one small function for each control event, that changes the `RunState` it is given or refuses the event.
What it does not do: kernel and domain events, and the table that finds the function, are `fold`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from interlock.base.events import Place
from interlock.engine import bound_events as b
from interlock.engine import events as e
from interlock.engine.flow.limits import Needs
from interlock.engine.run_state import (
    Awaited,
    Branch,
    Child,
    Edit,
    Fork,
    Intent,
    Order,
    Parent,
    Parked,
    RunState,
    StepStatus,
    Wait,
    corrupt,
    wait_key,
)


def _plan(state: RunState, record: e.PlanRecorded, place: Place) -> None:
    if state.fingerprint:
        raise corrupt(place, "the plan is recorded once")
    state.fingerprint, state.plan_source = record.fingerprint, record.source
    state.plan_version = record.plan_version


def _limits(state: RunState, record: e.RunLimits, place: Place) -> None:
    if state.steps:
        raise corrupt(place, "limits are recorded before any state is entered")
    state.max_concurrency, state.deadline_ms = record.max_concurrency, record.deadline_ms


def _claimed(state: RunState, record: e.OwnerClaimed, place: Place) -> None:
    if record.epoch != state.epoch + 1:
        raise corrupt(place, f"epoch {record.epoch} does not follow {state.epoch}")
    state.epoch, state.owner = record.epoch, record.owner


def _intended(state: RunState, record: e.EffectIntended, place: Place) -> None:
    if record.state_id not in state.open:
        raise corrupt(place, "an effect is intended outside its attempt")
    if record.fact_key in state.facts:
        raise corrupt(place, "an effect is intended although its outcome is recorded")
    if record.idempotency_key is not None:
        state.effect_keys[record.idempotency_key] = record.fact_key
    attempt = state.steps[record.state_id].attempts - 1
    state.intents[record.fact_key] = Intent(
        record.state_id, record.namespace, record.request_digest, record.idempotency_key, attempt
    )


def _settled(state: RunState, record: e.EffectSettled, place: Place) -> None:
    intent = state.intents.pop(record.fact_key, None)
    if intent is None or intent.state_id not in state.open:
        raise corrupt(place, "an effect was settled that no open attempt intended")


def _scheduled(state: RunState, record: e.RetryScheduled, place: Place) -> None:
    step = state.steps.get(record.state_id)
    if step is None or step.status is not StepStatus.FAILED:
        raise corrupt(place, "a retry is scheduled for a state that has not failed")
    step.due_ms = record.due_ms


def _parked(state: RunState, record: e.RunParked, place: Place) -> None:
    if record.state_id in state.open or record.state_id in state.parked or record.state_id not in state.steps:
        raise corrupt(place, "a state is parked once, between attempts")
    state.parked[record.state_id] = Parked(record.code, record.state_id, record.fact_key, place.at_ms)


def _resolved(state: RunState, record: e.EffectResolved, place: Place) -> None:
    parked = state.parked.get(record.state_id)
    if parked is None or parked.fact_key != record.fact_key:
        raise corrupt(place, "nothing of that key is parked")
    del state.parked[record.state_id]
    state.steps[record.state_id].orphans = 0
    if record.fact_key is not None:
        state.intents.pop(record.fact_key, None)
    if record.action is e.Resolution.ABANDON:
        state.abandoned = record.state_id


def _taken(state: RunState, record: e.InboxTaken, place: Place) -> None:
    if record.inbox_seq <= state.inbox_seq:
        raise corrupt(place, "the inbox was folded backwards")
    state.inbox_seq = record.inbox_seq


def _suspended(state: RunState, record: e.StateSuspended, place: Place) -> None:
    if record.state_id not in state.open:
        raise corrupt(place, f"{record.state_id} is not open")
    if not record.waits:
        raise corrupt(place, "a state is suspended and waits for nothing")
    state.open.remove(record.state_id)
    del state.active[record.state_id]
    step = state.steps[record.state_id]
    step.status, step.ended_ms = StepStatus.SUSPENDED, place.at_ms
    before = state.waits.pop(record.state_id, {})
    waits: dict[str, Wait] = {}
    for each in record.waits:
        if wait_key(record.state_id, each.name) in state.facts:
            state.active[record.state_id] = None
            continue
        since_ms = before[each.name].since_ms if each.name in before else place.at_ms
        waits[each.name] = Wait(each.kind, each.token, since_ms, each.due_ms, each.default_id, each.schema)
    if waits:
        state.waits[record.state_id] = waits


def _signalled(state: RunState, record: e.SignalReceived, _place: Place) -> None:
    """One that was taken waits as early until the fact beside it, or a later one, binds it."""
    if record.code is not None:
        early = state.early.get(record.state_id, {}).get(record.name, [])
        if record.payload_id in early:
            early.remove(record.payload_id)
    elif wait_key(record.state_id, record.name) not in state.facts:
        state.early.setdefault(record.state_id, {}).setdefault(record.name, []).append(record.payload_id)


def _paused(state: RunState, record: e.RunPaused, place: Place) -> None:
    state.paused = Order(record.actor, record.reason, place.at_ms)


def _unpaused(state: RunState, _record: e.RunUnpaused, _place: Place) -> None:
    state.paused = None


def _cancelling(state: RunState, record: e.RunCancelling, place: Place) -> None:
    state.cancelling = Order(record.actor, record.reason, place.at_ms)


def _timed_out(state: RunState, record: e.RunTimedOut, place: Place) -> None:
    if record.deadline_ms != state.deadline_ms:
        raise corrupt(place, "the run has another deadline")
    state.timed_out = True


def _skipped(state: RunState, record: e.StepSkipped, place: Place) -> None:
    step = state.steps.get(record.state_id)
    if step is not None and step.status is StepStatus.COMPLETED:
        raise corrupt(place, f"{record.state_id} had completed")
    state.skips[record.state_id] = Order(record.actor, record.reason, place.at_ms)
    if step is not None and step.status is StepStatus.SUSPENDED:
        state.active[record.state_id] = None


def _retried(state: RunState, record: e.StepRetried, place: Place) -> None:
    step = state.steps.get(record.state_id)
    if step is None or step.status is not StepStatus.FAILED:
        raise corrupt(place, f"{record.state_id} has not failed")
    step.due_ms = 0
    if record.reset:
        step.failures = 0


def _edited(state: RunState, record: e.StepEdited, _place: Place) -> None:
    before = state.edits.get(record.state_id)
    retry = record.retry if bytes(record.retry) != b"null" or before is None else before.retry
    timeout_ms = record.timeout_ms if record.timeout_ms is not None or before is None else before.timeout_ms
    state.edits[record.state_id] = Edit(retry, timeout_ms)


def _migrated(state: RunState, record: e.PlanMigrated, place: Place) -> None:
    if state.open:
        raise corrupt(place, "a run is migrated between attempts")
    state.fingerprint, state.plan_version = record.fingerprint, record.plan_version
    state.plan_source = record.source
    state.queued = []


def _branch(state: RunState, record: e.BranchCompleted, place: Place) -> None:
    if record.state_id not in state.open:
        raise corrupt(place, f"{record.state_id} is not open")
    state.branches[record.state_id] = Branch(record.view_id, record.writes_id)


def _forked(state: RunState, record: e.RunForked, place: Place) -> None:
    if state.steps:
        raise corrupt(place, "a run is forked before any state is entered")
    state.again = {each.fact_key: each.run_id for each in record.again}
    state.fork = Fork(record.source_run_id, record.from_state, record.source_seq, record.inherits)


def _linked(state: RunState, record: e.ParentLinked, place: Place) -> None:
    if state.parent is not None:
        raise corrupt(place, "a run has one parent")
    state.parent = Parent(record.parent_run_id, record.state_id, record.name, record.depth)


def _spawned(state: RunState, record: e.ChildRunSpawned, place: Place) -> None:
    if record.child_run_id in state.children:
        raise corrupt(place, "a child run is linked once")
    state.children[record.child_run_id] = Child(record.state_id, record.name, record.cancel_with_parent)


def _child_ended(state: RunState, record: e.ChildRunCompleted, place: Place) -> None:
    child = state.children.get(record.child_run_id)
    if child is None or child.status is not None:
        raise corrupt(place, "a child run ends once, after it was spawned")
    child.status = record.status


def _requested(state: RunState, record: b.FlowRequested, place: Place) -> None:
    if state.steps or state.needs is not None:
        raise corrupt(place, "what a run needs is recorded once, before any state is entered")
    state.needs = Needs(record.flow, record.rate)


def _awaited(state: RunState, record: b.UnitAwaited, place: Place) -> None:
    others = [each for each in state.queued if (each.lease, each.state_id) != (record.lease, record.state_id)]
    unit = Awaited(record.lease, record.request_id, record.state_id, place.at_ms, record.place)
    state.queued = [*others, unit]


def _counted(state: RunState, record: b.ArtifactsCounted, place: Place) -> None:
    if record.bytes < state.artifact_bytes:
        raise corrupt(place, "artifacts were counted backwards")
    state.artifact_bytes = record.bytes


def _warned(state: RunState, _record: b.RunBudgetWarned, _place: Place) -> None:
    state.budget_warned = True


def _noted(_state: RunState, _record: Struct, _place: Place) -> None:
    """Events for people, and those whose consequence stands beside them, change nothing here."""


CONTROL: dict[type[Struct], Callable[[RunState, Any, Place], None]] = {
    e.PlanRecorded: _plan,
    e.RunLimits: _limits,
    e.OwnerClaimed: _claimed,
    e.EffectIntended: _intended,
    e.EffectSettled: _settled,
    e.RetryScheduled: _scheduled,
    e.RunParked: _parked,
    e.EffectResolved: _resolved,
    e.InboxTaken: _taken,
    e.StateSuspended: _suspended,
    e.SignalReceived: _signalled,
    e.WaitExpired: _noted,
    e.TimersCleared: _noted,
    e.RunPaused: _paused,
    e.RunUnpaused: _unpaused,
    e.RunCancelling: _cancelling,
    e.RunTimedOut: _timed_out,
    e.StepSkipped: _skipped,
    e.StepRetried: _retried,
    e.StepEdited: _edited,
    e.PlanMigrated: _migrated,
    e.BranchCompleted: _branch,
    e.RunForked: _forked,
    e.ParentLinked: _linked,
    b.FlowRequested: _requested,
    b.UnitAwaited: _awaited,
    b.ArtifactsCounted: _counted,
    b.RunBudgetWarned: _warned,
    e.ChildRunSpawned: _spawned,
    e.ChildRunCompleted: _child_ended,
    e.DomainEmitted: _noted,
    e.ArtifactWritten: _noted,
}
