"""What a run does next: a pure function of its folded state, its plan and the time.

What it does: chooses between entering a state, ending the run, stopping to wait and waiting for attempts under way,
and names the events that say so. What it does not do: no I/O, no clock, no handler; it never reads anything but its
arguments (ground rule G4).

Rules:
- a sequential run has one state between entry and completion; with fan-out as many as its limit, in plan order;
- one branch that fails for good, a cancel or a deadline lets nothing new start, and ends the run once all is closed;
- an orphan (an attempt that a crash left open) is closed and entered again in one append, and spends no retry budget;
- a separate crash budget parks a state that keeps killing its process;
- an effect that may have been sent, has no key and has no recorded outcome parks the run;
- retries count ordinary failures only, so the outcome does not depend on the instant of a crash.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from interlock.base.bounds import ARTIFACT_BYTES_MAX, INTEGER_MAX, JSON_BYTES_MAX
from interlock.base.secrets import SecretRef
from interlock.engine import events as e
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.engine.errors import (
    CRASH_BUDGET_SPENT,
    ORPHAN_RECOVERED,
    OUTCOME_UNKNOWN,
    PLAN_DRIFTED,
    RUN_CANCELLED,
    RUN_TIMED_OUT,
    UNCOUNTED,
    ErrorInfo,
    StateError,
    own_error,
)
from interlock.engine.flow.limits import Needs
from interlock.engine.pipelines.boundaries import entry_boundaries
from interlock.engine.plan import ExecutionPlan, StateNode
from interlock.engine.retry import delay_ms
from interlock.engine.run_state import RunState, Step, StepStatus
from interlock.engine.schedule import ReadyStates

INPUT_BYTES_MAX = JSON_BYTES_MAX - 1024 * 1024
"""Bytes of an input: the manifest holds it beside the configuration, and stays one JSON document."""


class EngineSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the engine, and the keys of what it keeps secret."""

    crash_budget: Annotated[int, Meta(ge=0, le=1000, description="Crashes of one state before the run is parked.")] = 5
    claim_lease_ms: Annotated[int, Meta(ge=100, le=3_600_000, description="How long a claim lives unrenewed, ms.")] = (
        30_000
    )
    backoff_held_ms_max: Annotated[
        int, Meta(ge=0, le=86_400_000, description="Longest back-off that a foreground run waits out, ms.")
    ] = 60_000
    watch_interval_ms: Annotated[
        int, Meta(ge=10, le=60_000, description="How often a watcher looks for itself, ms.")
    ] = 500
    fold_snapshot_events: Annotated[
        int, Meta(ge=10, le=1_000_000, description="Events between two fold snapshots of a run.")
    ] = 1000
    inbox_poll_ms: Annotated[
        int, Meta(ge=5, le=60_000, description="How often an owner looks for what came from outside, ms.")
    ] = 100
    # A run ends in one append: with an event for each state under way and a word to each child (EVENTS_PER_APPEND_MAX).
    concurrency_max: Annotated[
        int, Meta(ge=1, le=2000, description="States of one run that may run at once, whatever it asks for.")
    ] = 256
    child_depth_max: Annotated[int, Meta(ge=1, le=100, description="How deep child runs may be nested.")] = 16
    children_max: Annotated[
        int, Meta(ge=1, le=5000, description="Child runs of one run; more are refused, never cut.")
    ] = 5000
    input_bytes_max: Annotated[
        int, Meta(ge=2, le=INPUT_BYTES_MAX, description="Bytes of a run's input as canonical JSON.")
    ] = INPUT_BYTES_MAX
    context_value_bytes_max: Annotated[
        int, Meta(ge=2, le=ARTIFACT_BYTES_MAX, description="Bytes of one value of the context as canonical JSON.")
    ] = JSON_BYTES_MAX
    artifact_bytes_max: Annotated[
        int, Meta(ge=2, le=ARTIFACT_BYTES_MAX, description="Bytes of one artifact, or of the payload of a fact.")
    ] = 256 * 1024 * 1024
    secret_key: Annotated[
        SecretRef, Meta(description="The key that seals secret answers; unless set, env:INTERLOCK_SECRET_KEY.")
    ] = SecretRef("env:INTERLOCK_SECRET_KEY")
    former_secret_keys: Annotated[
        tuple[SecretRef, ...], Meta(max_length=16, description="Keys that sealed earlier answers: they only open.")
    ] = ()


class Enter(Struct, frozen=True):
    """Run the state at `place` once `records`, with its StateEntered among them, are durable.

    `fresh`: with fan-out the base of a first attempt is a merge, which the caller computes; `records` lack the entry.
    """

    place: int
    records: Sequence[Struct]
    skip: bool = False
    fresh: bool = False


class End(Struct, frozen=True):
    """The run has ended once `records` are durable."""

    records: Sequence[Struct]


class Stop(Struct, frozen=True):
    """Nothing to do until something arrives or `until_ms` comes."""

    records: Sequence[Struct]
    kind: str
    until_ms: int | None = None


class Await(Struct, frozen=True):
    """Nothing to do until an attempt under way ends, or `until_ms` comes; `interrupt` says why to end them now."""

    until_ms: int | None = None
    interrupt: str | None = None
    records: Sequence[Struct] = ()


Decision = Enter | End | Stop | Await
Blocked = Collection[Needs | None]
"""What units are waited for: by states with those needs, and by the whole run where None is among them."""


def check_history(state: RunState, plan: ExecutionPlan) -> None:
    """Refuse to go on with a plan that is not the run's own (DR1–DR3). Raises: `plan_drifted`."""
    check_fits(list(state.steps), completed_states(state), plan)
    if state.fingerprint and state.fingerprint != plan.fingerprint:
        raise PLAN_DRIFTED.error("the plan differs from the one that started the run", fingerprint=plan.fingerprint)


def check_fits(entered: Collection[str], completed: Collection[str], plan: ExecutionPlan) -> None:
    """Refuse a plan that work which is done does not fit (DR1, DR2). Raises: `plan_drifted`."""
    unknown = [state_id for state_id in entered if state_id not in plan.index]
    if unknown:
        raise PLAN_DRIFTED.error(f"the run has a state that the plan lacks: {unknown[0]}", states=unknown[:10])
    for edge in plan.edges:
        if edge.after in completed and edge.before not in completed:
            raise PLAN_DRIFTED.error(f"{edge.after} completed before {edge.before}, which the plan forbids")


def check_order(done: Sequence[str], plan: ExecutionPlan) -> None:
    """Refuse a plan that orders work otherwise than it was done. Raises: `plan_drifted`."""
    ranks = {state_id: rank for rank, state_id in enumerate(done)}
    for edge in plan.edges:
        if edge.after in ranks and ranks.get(edge.before, -1) > ranks[edge.after]:
            raise PLAN_DRIFTED.error(f"{edge.after} was done before {edge.before}, which the plan forbids")


def completed_states(state: RunState) -> set[str]:
    """Ids of the states that have completed."""
    return {state_id for state_id, step in state.steps.items() if step.status is StepStatus.COMPLETED}


def decide(
    state: RunState,
    plan: ExecutionPlan,
    ready: ReadyStates,
    config: RunConfig,
    now_ms: int,
    crash_budget: int,
    running: Collection[str] = (),
    blocked: Blocked = (),
) -> Decision:
    """The next thing to do. `ready` must reflect the steps of `state`; `running` are its own attempts under way.

    States that need what is `blocked` are passed over: a unit of it is not free.
    """
    if state.status is not None:
        return End(())
    if state.deadline_ms is not None and now_ms >= state.deadline_ms and not state.timed_out:
        return _ending(state, (e.RunTimedOut(state.deadline_ms),), e.RunStatus.FAILED, running)
    if state.cancelling is not None:
        return _ending(state, (), e.RunStatus.CANCELLED, running)
    if state.timed_out:
        return _ending(state, (), e.RunStatus.FAILED, running)
    if state.abandoned is not None:
        return Await() if running else _end(state, e.RunStatus.FAILED)
    if state.paused is not None:
        return Await() if running else Stop((), "paused")
    again = _again(state, plan, config, now_ms, crash_budget, running, blocked) if state.active else (None, None)
    candidate, due_ms = again
    if candidate is None and None not in blocked:
        candidate = _first(state, plan, ready, config, blocked)
    if (running or state.open) and isinstance(candidate, Enter) and _is_full(state, plan, candidate, running):
        if running:
            return Await(due_ms)
        candidate = None  # orphans that wait for units hold all places
    if candidate is not None:
        return candidate
    return Await(_soonest(state, due_ms, now_ms)) if running else _stopped(state, due_ms, waits_for_unit=bool(blocked))


def _soonest(state: RunState, due_ms: int | None, now_ms: int) -> int | None:
    """When time brings something while attempts are under way: a retry, or the deadline of a wait."""
    dues = [] if due_ms is None else [due_ms]
    return min([*dues, *(each for each in _wait_dues(state) if each > now_ms)], default=None)


def _again(
    state: RunState,
    plan: ExecutionPlan,
    config: RunConfig,
    now_ms: int,
    crash_budget: int,
    running: Collection[str],
    blocked: Blocked,
) -> tuple[Decision | None, int | None]:
    """What to do about states that were entered before, and else when a back-off of theirs is over."""
    due_ms: int | None = None
    candidate: Decision | None = None
    for state_id in _in_plan_order(state, plan, running):
        step = state.steps[state_id]
        if state_id in state.parked:
            continue
        if state_id in state.skips:
            pass
        elif step.status is StepStatus.FAILED and not may_retry(step, _policy(state_id, state, plan, config)):
            return (Await() if running else _end(state, e.RunStatus.FAILED)), None
        elif step.due_ms > now_ms:
            due_ms = step.due_ms if due_ms is None else min(due_ms, step.due_ms)
            continue
        if blocked and _is_blocked(plan.states[plan.index[state_id]], blocked, config, state):
            continue
        if candidate is None:
            candidate = _another(state, plan, config, crash_budget, state_id)
    return candidate, due_ms


def _policy(state_id: str, state: RunState, plan: ExecutionPlan, config: RunConfig) -> RetryPolicy:
    return policy_of(plan.states[plan.index[state_id]], config, state)


def _is_full(state: RunState, plan: ExecutionPlan, entry: Enter, running: Collection[str]) -> bool:
    """Whether as many states run as may; an orphan that is entered again keeps its place."""
    taken = {*running, *state.open}
    return len(taken - {plan.states[entry.place].id}) >= state.max_concurrency


def _in_plan_order(state: RunState, plan: ExecutionPlan, running: Collection[str]) -> list[str]:
    """What may go on, orphans first: they hold places that nobody else can take."""
    active = [state_id for state_id in state.active if state_id not in running]
    if len(active) < 2:
        return active
    return sorted(active, key=lambda state_id: (state_id not in state.open, plan.index[state_id]))


def _another(state: RunState, plan: ExecutionPlan, config: RunConfig, crash_budget: int, state_id: str) -> Decision:
    """Another attempt at a state that was entered before: an orphan, a retry, or one whose wait is over."""
    if state_id in state.open:
        return _recover(state, plan, config, crash_budget, state_id)
    step, place = state.steps[state_id], plan.index[state_id]
    entered = e.StateEntered(step.attempts, step.base, state_id)
    return Enter(place, (entered,), skip=is_skipped(plan.states[place], config, state))


def _is_blocked(node: StateNode, blocked: Blocked, config: RunConfig, state: RunState) -> bool:
    """Whether a state has to wait for a unit: of its own, or of its run."""
    return (None in blocked or node.needs in blocked) and not is_skipped(node, config, state)


def _first(
    state: RunState, plan: ExecutionPlan, ready: ReadyStates, config: RunConfig, blocked: Blocked
) -> Decision | None:
    """The first attempt at the next ready state; None where there is none, or a sequential run is at another."""
    place = ready.first(blocked)
    sequential = state.max_concurrency == 1
    if place is None or (sequential and len(state.steps) > state.completed):
        return None
    node = plan.states[place]
    skip = bool(state.skips or config.skip_tags) and is_skipped(node, config, state)
    if not sequential:
        return Enter(place, (), skip=skip, fresh=True)
    boundaries = entry_boundaries(state, plan, node.id, config.event_profile) if plan.boundaries else ()
    return Enter(place, (e.StateEntered(0, state.checkpoint, node.id), *boundaries), skip=skip)


def _stopped(state: RunState, due_ms: int | None, *, waits_for_unit: bool) -> Decision:
    """Nothing is under way and nothing can be entered: the run is complete, or waits."""
    if len(state.steps) == state.completed and not waits_for_unit:
        return _end(state, e.RunStatus.COMPLETED)
    until = [
        *_wait_dues(state),
        *([] if due_ms is None else [due_ms]),
        *([] if state.deadline_ms is None else [state.deadline_ms]),
    ]
    kind = "suspended" if state.waits else "backoff" if due_ms is not None else "parked"
    if state.parked:
        kind = "parked"
    if waits_for_unit:
        kind = "queued"
    return Stop((), kind, min(until, default=None))


def _wait_dues(state: RunState) -> list[int]:
    """When time ends waits."""
    return [wait.due_ms for waits in state.waits.values() for wait in waits.values() if wait.due_ms is not None]


def _ending(state: RunState, before: Sequence[Struct], status: e.RunStatus, running: Collection[str]) -> Decision:
    """End the run, once attempts under way are interrupted; attempts of dead owners are closed here."""
    code = RUN_CANCELLED if status is e.RunStatus.CANCELLED else RUN_TIMED_OUT
    if running:
        return Await(interrupt=code, records=before)
    return End((*before, *_end(state, status, code).records))


def _end(state: RunState, status: e.RunStatus, code: str = ORPHAN_RECOVERED) -> End:
    """End the run; attempts that dead owners left open are closed in the same append."""
    closures = [closure(state_id, code, "the run was ended while this attempt was open") for state_id in state.open]
    timers = state.timers()
    if state.deadline_ms is not None:
        timers.append(e.deadline_timer(state.stream))
    cleared = (e.TimersCleared(tuple(timers)),) if timers else ()
    return End((*closures, *cleared, e.RunCompleted(state.checkpoint, status)))


def policy_of(node: StateNode, config: RunConfig, state: RunState) -> RetryPolicy:
    """The retry policy that holds for a state: as an operator edited it, else its own, else the run's."""
    if state.edits:
        edit = state.edits.get(node.id)
        if edit is not None and bytes(edit.retry) != b"null":
            return msgspec.json.decode(edit.retry, type=RetryPolicy)
    return node.retry or config.retry_policy


def timeout_of(node: StateNode, state: RunState) -> int | None:
    """The time limit of an attempt in milliseconds: as an operator edited it, else the state's own."""
    edit = state.edits.get(node.id) if state.edits else None
    return edit.timeout_ms if edit is not None and edit.timeout_ms is not None else node.timeout_ms


def may_retry(step: Step, policy: RetryPolicy) -> bool:
    """Whether a failed state has another attempt: its last error allows it and its budget is not spent."""
    error = step.error
    if error is None or not error.retryable:
        return False
    return error.code in UNCOUNTED or step.failures < policy.max_attempts


def failure(
    state: RunState,
    node: StateNode,
    config: RunConfig,
    info: ErrorInfo,
    in_doubt: str | None,
    now_ms: int,
    snapshot_id: str | None = None,
) -> list[Struct]:
    """The events of an attempt that failed with `info`, or whose effect `in_doubt` has an unknown outcome.

    `snapshot_id` is a diagnostic snapshot; it is never a boundary of anything.
    """
    if in_doubt is not None:
        return _park(node.id, OUTCOME_UNKNOWN, in_doubt)
    failed = e.StateFailed(StateError(info, node.id), snapshot_id, node.id)
    step, policy = state.steps[node.id], policy_of(node, config, state)
    if not info.retryable or step.failures + 1 >= policy.max_attempts:
        return [failed]
    delay = delay_ms(policy, step.failures)
    due_ms = min(now_ms + delay, INTEGER_MAX)
    return [failed, e.RetryScheduled(due_ms, node.id)] if delay else [failed]


def _recover(state: RunState, plan: ExecutionPlan, config: RunConfig, crash_budget: int, state_id: str) -> Decision:
    step = state.steps[state_id]
    in_doubt = unkeyed_intent(state, state_id)
    if in_doubt is not None:
        return Stop(_park(state_id, OUTCOME_UNKNOWN, in_doubt), "parked")
    closed = closure(state_id, ORPHAN_RECOVERED, "the process ended during this attempt")
    if step.orphans >= crash_budget:
        return Stop((closed, e.RunParked(CRASH_BUDGET_SPENT, None, state_id)), "parked")
    place = plan.index[state_id]
    entered = e.StateEntered(step.attempts, step.base, state_id)
    return Enter(place, (closed, entered), skip=is_skipped(plan.states[place], config, state))


def unkeyed_intent(state: RunState, state_id: str) -> str | None:
    """Fact key of an effect of `state_id` that may have been sent and could not be absorbed if sent again."""
    found: Iterable[str] = (
        key for key, i in state.intents.items() if i.state_id == state_id and i.idempotency_key is None
    )
    return next(iter(found), None)


def _park(state_id: str, code: str, fact_key: str) -> list[Struct]:
    closed = closure(state_id, code, "an effect may have happened, and nothing recorded its outcome")
    return [closed, e.RunParked(code, fact_key, state_id)]


def orphans_closed(state: RunState) -> list[Struct]:
    """The ends of all attempts that a dead owner left open, as recovering them would record it."""
    records: list[Struct] = []
    for state_id in state.open:
        in_doubt = unkeyed_intent(state, state_id)
        if in_doubt is None:
            records.append(closure(state_id, ORPHAN_RECOVERED, "the process ended during this attempt"))
        else:
            records += _park(state_id, OUTCOME_UNKNOWN, in_doubt)
    return records


def closure(state_id: str, code: str, message: str) -> e.StateFailed:
    """The end of an attempt that did not end by itself."""
    return e.StateFailed(StateError(own_error(code, message, retryable=True), state_id), None, state_id)


def is_skipped(node: StateNode, config: RunConfig, state: RunState) -> bool:
    """Whether a state that is entered now completes without its handler."""
    if state.skips and node.id in state.skips:
        return True
    return bool(config.skip_tags) and not set(config.skip_tags).isdisjoint(node.meta.tags)
