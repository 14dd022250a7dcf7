"""What a run does next: a pure function of its folded state, its plan and the time.

What it does: chooses between entering a state, ending the run and stopping to wait, and names the events that say so.
What it does not do: no I/O, no clock, no handler; it never reads anything but its arguments (ground rule G4).

Rules:
- an orphan (an attempt that a crash left open) is closed and entered again in one append, and spends no retry budget;
- a separate crash budget parks a state that keeps killing its process;
- an effect that may have been sent, has no key and has no recorded outcome parks the run;
- retries count ordinary failures only, so the outcome does not depend on the instant of a crash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from interlock.base.bounds import INTEGER_MAX
from interlock.engine import events as e
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.engine.errors import (
    CRASH_BUDGET_SPENT,
    ORPHAN_RECOVERED,
    OUTCOME_UNKNOWN,
    PLAN_DRIFTED,
    UNCOUNTED,
    ErrorInfo,
    StateError,
    own_error,
)
from interlock.engine.fold import RunState, Step, StepStatus
from interlock.engine.plan import ExecutionPlan, StateNode
from interlock.engine.retry import delay_ms
from interlock.engine.schedule import ReadyStates


class EngineSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the engine."""

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


class Enter(Struct, frozen=True):
    """Run the state at `place` once `records`, which end with its StateEntered, are durable."""

    place: int
    records: Sequence[Struct]
    skip: bool = False


class End(Struct, frozen=True):
    """The run has ended once `records` are durable."""

    records: Sequence[Struct]


class Stop(Struct, frozen=True):
    """Nothing to do until something arrives or `until_ms` comes."""

    records: Sequence[Struct]
    kind: str
    until_ms: int | None = None


Decision = Enter | End | Stop


def check_history(state: RunState, plan: ExecutionPlan) -> None:
    """Refuse to go on with a plan that is not the run's own (DR1–DR3). Raises: `plan_drifted`."""
    unknown = [state_id for state_id in state.steps if state_id not in plan.index]
    if unknown:
        raise PLAN_DRIFTED.error(f"the run has a state that the plan lacks: {unknown[0]}", states=unknown[:10])
    completed = completed_states(state)
    for edge in plan.edges:
        if edge.after in completed and edge.before not in completed:
            raise PLAN_DRIFTED.error(f"{edge.after} completed before {edge.before}, which the plan forbids")
    if state.fingerprint and state.fingerprint != plan.fingerprint:
        raise PLAN_DRIFTED.error("the plan differs from the one that started the run", fingerprint=plan.fingerprint)


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
) -> Decision:
    """The next thing to do. `ready` must reflect the completed states of `state`."""
    if state.status is not None:
        return End(())
    if state.parked is not None:
        return Stop((), "parked")
    if state.abandoned is not None:
        return End((_run_completed(state, e.RunStatus.FAILED),))
    if state.open_state is not None:
        return _recover(state, plan, config, crash_budget)
    place = ready.first()
    if place is None:
        return End((_run_completed(state, e.RunStatus.COMPLETED),))
    node = plan.states[place]
    step = state.steps.get(node.id)
    if step is None:
        entered = e.StateEntered(0, state.checkpoint, node.id)
        return Enter(place, (entered,), skip=_skipped(node, config))
    if not may_retry(step, policy_of(node, config)):
        return End((_run_completed(state, e.RunStatus.FAILED),))
    if step.due_ms > now_ms:
        return Stop((), "backoff", step.due_ms)
    return Enter(place, (e.StateEntered(step.attempts, step.base, node.id),), skip=_skipped(node, config))


def policy_of(node: StateNode, config: RunConfig) -> RetryPolicy:
    """The retry policy that holds for a state: its own, else the run's."""
    return node.retry or config.retry_policy


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
    step, policy = state.steps[node.id], policy_of(node, config)
    if not info.retryable or step.failures + 1 >= policy.max_attempts:
        return [failed]
    delay = delay_ms(policy, step.failures)
    due_ms = min(now_ms + delay, INTEGER_MAX)
    return [failed, e.RetryScheduled(due_ms, node.id)] if delay else [failed]


def _recover(state: RunState, plan: ExecutionPlan, config: RunConfig, crash_budget: int) -> Decision:
    state_id = state.open_state or ""
    step = state.steps[state_id]
    in_doubt = unkeyed_intent(state, state_id)
    if in_doubt is not None:
        return Stop(_park(state_id, OUTCOME_UNKNOWN, in_doubt), "parked")
    closure = _closure(state_id, ORPHAN_RECOVERED, "the process ended during this attempt")
    if step.orphans >= crash_budget:
        return Stop((closure, e.RunParked(CRASH_BUDGET_SPENT, None, state_id)), "parked")
    place = plan.index[state_id]
    entered = e.StateEntered(step.attempts, step.base, state_id)
    return Enter(place, (closure, entered), skip=_skipped(plan.states[place], config))


def unkeyed_intent(state: RunState, state_id: str) -> str | None:
    """Fact key of an effect of `state_id` that may have been sent and could not be absorbed if sent again."""
    found: Iterable[str] = (
        key for key, i in state.intents.items() if i.state_id == state_id and i.idempotency_key is None
    )
    return next(iter(found), None)


def _park(state_id: str, code: str, fact_key: str) -> list[Struct]:
    closure = _closure(state_id, code, "an effect may have happened, and nothing recorded its outcome")
    return [closure, e.RunParked(code, fact_key, state_id)]


def _closure(state_id: str, code: str, message: str) -> e.StateFailed:
    return e.StateFailed(StateError(own_error(code, message, retryable=True), state_id), None, state_id)


def _run_completed(state: RunState, status: e.RunStatus) -> e.RunCompleted:
    return e.RunCompleted(state.checkpoint, status)


def _skipped(node: StateNode, config: RunConfig) -> bool:
    return bool(config.skip_tags) and not set(config.skip_tags).isdisjoint(node.meta.tags)
