"""What reaches a run from outside, folded by its owner.

What it does: turns each entry of a run's inbox into the run's own events: answers, deadlines, ends of children,
orders of operators, and files that were attached. What it does not do: it puts nothing there (`service`), and nobody
but the owner writes to the run's stream.

Rules: an entry is recorded as taken in the same append as its consequence; one that answers nothing any more is taken
and ignored; entries take effect in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from interlock.base.events import Place
from interlock.engine import events as e
from interlock.engine.attachments import Label, written
from interlock.engine.control import inbox_events as i
from interlock.engine.run_state import RunState, StepStatus, wait_key
from interlock.engine.waits import expired, is_kept_no_more, misfit


def consequence(state: RunState, place: Place, entry: Struct, payloads: Mapping[str, bytes]) -> list[Struct]:
    """The run's events that answer one entry; empty where it answers nothing any more. Pure.

    `payloads` holds the bytes that signals carry, by artifact id.
    """
    answer = _ANSWERS.get(type(entry))
    return [] if answer is None else answer(state, place, entry, payloads)


def _resolution(
    state: RunState, place: Place, entry: i.ResolutionRequested, _payloads: Mapping[str, bytes]
) -> list[Struct]:
    parked = state.parked.get(entry.state_id)
    if parked is None or parked.fact_key != entry.fact_key:
        return []
    intent = None if entry.fact_key is None else state.intents.get(entry.fact_key)
    resolved = e.EffectResolved(
        entry.action, place.actor, entry.fact_key, entry.payload_id, entry.reason, entry.state_id
    )
    if entry.payload_id is None or entry.fact_key is None or intent is None:
        return [resolved]
    return [resolved, e.FactRecorded(entry.fact_key, "json", entry.payload_id, intent.request_digest)]


def _signal(state: RunState, place: Place, entry: i.SignalSent, payloads: Mapping[str, bytes]) -> list[Struct]:
    key = wait_key(entry.state_id, entry.name)
    step = state.steps.get(entry.state_id)
    if key in state.facts or (step is not None and step.status is StepStatus.COMPLETED):
        return []
    wait = state.waits.get(entry.state_id, {}).get(entry.name)
    if is_kept_no_more(state, entry.state_id, entry.name):
        return []
    code = None if wait is None else misfit(wait.schema, payloads[entry.payload_id])
    received = e.SignalReceived(place.actor, code, entry.name, entry.payload_id, entry.state_id)
    if wait is None or code is not None:
        return [received]
    cleared = [e.TimersCleared((wait.token,))] if wait.due_ms is not None else []
    return [received, *cleared, e.FactRecorded(key, "json", entry.payload_id, None)]


def _due(state: RunState, place: Place, entry: i.TimerDue, _payloads: Mapping[str, bytes]) -> list[Struct]:
    if entry.state_id is None or entry.name is None:
        due = state.deadline_ms is not None and place.at_ms >= state.deadline_ms and not state.timed_out
        return [e.RunTimedOut(entry.due_ms)] if due else []
    wait = state.waits.get(entry.state_id, {}).get(entry.name)
    if wait is None or wait.due_ms is None or wait.due_ms > entry.due_ms:
        return []
    return expired(entry.state_id, entry.name, wait)


def _child(state: RunState, _place: Place, entry: i.ChildEnded, _payloads: Mapping[str, bytes]) -> list[Struct]:
    child = state.children.get(entry.child_run_id)
    if child is None or child.status is not None:
        return []
    ended = e.ChildRunCompleted(entry.child_run_id, entry.final_snapshot_id, entry.status)
    key = wait_key(entry.state_id, entry.name)
    if key in state.facts:
        return [ended]
    return [ended, e.FactRecorded(key, "json", entry.payload_id, None)]


def _cancel(state: RunState, place: Place, entry: i.CancelRequested, _payloads: Mapping[str, bytes]) -> list[Struct]:
    return [] if state.cancelling is not None else [e.RunCancelling(place.actor, entry.reason)]


def _pause(state: RunState, place: Place, entry: i.PauseRequested, _payloads: Mapping[str, bytes]) -> list[Struct]:
    return [] if state.paused is not None else [e.RunPaused(place.actor, entry.reason)]


def _unpause(state: RunState, place: Place, entry: i.UnpauseRequested, _payloads: Mapping[str, bytes]) -> list[Struct]:
    return [] if state.paused is None else [e.RunUnpaused(place.actor, entry.reason)]


def _skip(state: RunState, place: Place, entry: i.SkipRequested, _payloads: Mapping[str, bytes]) -> list[Struct]:
    step = state.steps.get(entry.state_id)
    if step is not None and step.status in (StepStatus.COMPLETED, StepStatus.RUNNING):
        return []
    return [e.StepSkipped(place.actor, entry.reason, entry.state_id)]


def _retry(state: RunState, place: Place, entry: i.RetryRequested, _payloads: Mapping[str, bytes]) -> list[Struct]:
    step = state.steps.get(entry.state_id)
    if step is None or step.status is not StepStatus.FAILED or entry.state_id in state.parked:
        return []
    return [e.StepRetried(place.actor, entry.reason, entry.reset, entry.state_id)]


def _edit(_state: RunState, place: Place, entry: i.EditRequested, _payloads: Mapping[str, bytes]) -> list[Struct]:
    return [e.StepEdited(place.actor, entry.reason, entry.retry, entry.state_id, entry.timeout_ms)]


def is_as_compared(state: RunState, entry: i.MigrationRequested) -> bool:
    """Whether the run stands where the plan was held against it."""
    moved = entry.entered != len(state.steps) or entry.completed != state.completed
    return not (moved or state.is_inheriting)


def _migrate(
    state: RunState, place: Place, entry: i.MigrationRequested, _payloads: Mapping[str, bytes]
) -> list[Struct]:
    if state.open or entry.fingerprint == state.fingerprint or not is_as_compared(state, entry):
        return []
    return [e.PlanMigrated(place.actor, entry.fingerprint, entry.plan_version, entry.reason, entry.source)]


def _attach(_state: RunState, place: Place, entry: i.ArtifactAttached, _payloads: Mapping[str, bytes]) -> list[Struct]:
    return [written(entry.artifact_id, Label(entry.kind, entry.media_type, entry.name), place.actor)]


_ANSWERS: dict[type[Struct], Callable[[RunState, Place, Any, Mapping[str, bytes]], list[Struct]]] = {
    i.ResolutionRequested: _resolution,
    i.SignalSent: _signal,
    i.TimerDue: _due,
    i.ChildEnded: _child,
    i.CancelRequested: _cancel,
    i.PauseRequested: _pause,
    i.UnpauseRequested: _unpause,
    i.SkipRequested: _skip,
    i.RetryRequested: _retry,
    i.EditRequested: _edit,
    i.MigrationRequested: _migrate,
    i.ArtifactAttached: _attach,
}
