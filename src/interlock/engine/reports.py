"""What people and programs are told about a run: result, status, steps, waiting, and why it does not move.

What it does: turns a folded run into records for surfaces. What it does not do: it reads no store and no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from msgspec import Struct

from interlock.base.events import Claim
from interlock.base.ids import step_name
from interlock.engine.budget import RunUsage
from interlock.engine.details import ChildReport, EffectReport, OrderReport, WaitReport, answer_line, in_doubt
from interlock.engine.events import RunStatus
from interlock.engine.flow import RATE
from interlock.engine.run_state import Awaited, Parked, RunState, Step, StepStatus, Wait

RUNNING = "running"
SKIPPED = "skipped"


class Waiting(Struct, frozen=True):
    """Why a running run does not move.

    `kind` is `suspended` (it waits for facts), `parked` (for an operator), `paused`, `backoff` or `queued` (for an
    owner, or with a `place` for a unit of what it needs); `until_ms` where time ends it.
    """

    kind: str
    state_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    place: int | None = None


class RunFailure(Struct, frozen=True):
    """Why a run failed: the state, and what it failed with."""

    state_id: str
    code: str
    message: str


class UnitHolder(Struct, frozen=True):
    """Who holds a unit that others wait for: a run, until when unless it holds on."""

    run_id: str
    until_ms: int


class Standing(Struct, frozen=True):
    """How a request for a unit of `lease` stands: its place, how many units there are, and who holds them."""

    lease: str
    place: int
    capacity: int
    holders: tuple[UnitHolder, ...]


class Reason(Struct, frozen=True):
    """One thing that is missing: what, since when, until when, and who or what can supply it.

    Where there is a queue for it, `place` 1 is next, and `holders` are those who have it.
    """

    kind: str
    explanation: str
    state_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    release: tuple[str, ...] = ()
    place: int | None = None
    holders: tuple[UnitHolder, ...] = ()


class RunResult(Struct, frozen=True):
    """Summary after start or resume; `phase` is running, completed, failed or cancelled.

    `final_snapshot_id` is the checkpoint until the run has ended: the contract lets it be the current one, and a caller
    reads with it what a run that waits has come to. `detached` says that the caller wanted no more than the start;
    `reasons` is filled by verbs that drive, for a run that waits: what is missing, and the lines that supply it.
    """

    run_id: str
    phase: str
    waiting: Waiting | None
    final_snapshot_id: str | None
    error: RunFailure | None = None
    detached: bool = False
    reasons: tuple[Reason, ...] = ()


class StepReport(Struct, frozen=True):
    """One state of the plan, shown as a step. `attempts` counts every entry, also those that a crash ended."""

    name: str
    state_id: str
    status: str
    attempts: int = 0
    failures: int = 0
    crashes: int = 0
    started_ms: int | None = None
    ended_ms: int | None = None
    error_code: str | None = None
    error_message: str | None = None


class RunReport(Struct, frozen=True):
    """A run as it stands; `final_snapshot_id` is its checkpoint until it has ended.

    `children_total` counts also those that `children` does not show.
    """

    run_id: str
    op_id: str
    phase: str
    waiting: Waiting | None
    final_snapshot_id: str | None
    manifest_id: str
    started_ms: int
    updated_ms: int
    events: int
    usage: RunUsage
    owner: str | None
    input: Any
    steps: list[StepReport]
    parent_run_id: str | None = None
    deadline_ms: int | None = None
    waits: list[WaitReport] = []
    orders: list[OrderReport] = []
    in_doubt: list[EffectReport] = []
    children: list[ChildReport] = []
    children_total: int = 0


def waiting_of(state: RunState, owner: Claim | None) -> Waiting | None:
    """Why the run does not move; None when it has ended or somebody drives it."""
    if state.status is not None:
        return None
    if owner is None and state.paused is not None and not state.cancelling:
        return Waiting("paused", None, state.paused.since_ms)
    if state.parked and (state.max_concurrency == 1 or (owner is None and not (state.queued or _moves(state)))):
        return _parked(state)
    if owner is not None:
        return None
    if state.queued:
        unit = state.queued[0]
        return Waiting("queued", unit.state_id, unit.since_ms, _time_moves(state), unit.place)
    if _moves(state):
        return Waiting("queued", state.open_state, state.at_ms)
    return _backoff(state) or _suspended(state) or Waiting("queued", None, state.at_ms)


def _moves(state: RunState) -> bool:
    """Whether an owner could go on at once with a state that was entered before."""
    return bool(state.open) or any(_enterable(state, i) for i in state.active if i not in state.parked)


def _parked(state: RunState) -> Waiting:
    """The first parked state; where states run at once, time may move another."""
    parked, until_ms = next(iter(state.parked.values())), None
    if state.max_concurrency > 1:
        until_ms = min([*_retry_times(state), *due_times(state)], default=None)
    return Waiting("parked", parked.state_id, parked.since_ms, until_ms)


def _retry_times(state: RunState) -> list[int]:
    """When failed states are tried again."""
    return [state.steps[each].due_ms for each in state.active if each not in state.parked]


def is_all_queued(state: RunState, now_ms: int) -> bool:
    """Whether a run that waits for units can do nothing else now; who waits for one of the run itself never can."""
    moves = _time_moves(state)
    if moves is not None and moves <= now_ms:
        return False
    waiting = {unit.state_id for unit in state.queued}
    if None in waiting:
        return True
    others = [state_id for state_id in state.active if state_id not in waiting and state_id not in state.parked]
    return not any(state_id in state.open or _enterable(state, state_id) for state_id in others)


def _time_moves(state: RunState) -> int | None:
    """When time next changes something in a run that waits for units. What was due before has been looked at."""
    backoffs = [state.steps[i].due_ms for i in state.active if state.steps[i].status is StepStatus.FAILED]
    return min((due_ms for due_ms in (*due_times(state), *backoffs) if due_ms > state.at_ms), default=None)


def _enterable(state: RunState, state_id: str) -> bool:
    """Whether a state can be entered without waiting for time: its wait is over, or it is to be skipped."""
    step = state.steps[state_id]
    return step.status is StepStatus.SUSPENDED or state_id in state.skips


def _backoff(state: RunState) -> Waiting | None:
    failed = [(i, state.steps[i]) for i in state.active if state.steps[i].status is StepStatus.FAILED]
    dues = [(step.due_ms, state_id, step.ended_ms) for state_id, step in failed]
    if not dues or any(due_ms == 0 for due_ms, _, _ in dues):
        return None
    until_ms, state_id, since_ms = min(dues)
    timers = due_times(state)
    return Waiting("backoff", state_id, since_ms, min([until_ms, *timers]))


def _suspended(state: RunState) -> Waiting | None:
    if not state.waits or state.active:
        return None
    state_id, waits = next(iter(state.waits.items()))
    since_ms = min(wait.since_ms for wait in waits.values())
    return Waiting("suspended", state_id, since_ms, min(due_times(state), default=None))


def due_times(state: RunState) -> list[int]:
    """When time ends something that the run waits for."""
    waits = (wait.due_ms for waits in state.waits.values() for wait in waits.values())
    return [due_ms for due_ms in (*waits, state.deadline_ms) if due_ms is not None]


def result_of(run_id: str, state: RunState, waiting: Waiting | None) -> RunResult:
    """The contract's summary."""
    phase = RUNNING if state.status is None else state.status.value
    final = state.final_snapshot_id if state.status is not None else state.checkpoint or None
    return RunResult(run_id, phase, waiting, final, _failure(state))


def _failure(state: RunState) -> RunFailure | None:
    """The error of the state that ended a failed run."""
    if state.status is not RunStatus.FAILED:
        return None
    for state_id, step in state.steps.items():
        if step.status is StepStatus.FAILED and step.error is not None:
            return RunFailure(state_id, step.error.code, step.error.message)
    return None


def steps_of(state: RunState, order: Sequence[str], skipped: Collection[str] = ()) -> list[StepReport]:
    """Every state of the plan in execution order; `skipped` are those that the run's configuration passes over."""
    return [
        _step(state_id, state.steps.get(state_id), skip=state_id in state.skips or state_id in skipped)
        for state_id in order
    ]


def _step(state_id: str, step: Step | None, *, skip: bool) -> StepReport:
    name = step_name(state_id)
    if step is None:
        return StepReport(name, state_id, StepStatus.PENDING.value)
    error = step.error
    return StepReport(
        name=name,
        state_id=state_id,
        status=SKIPPED if skip and step.status is StepStatus.COMPLETED else step.status.value,
        attempts=step.attempts,
        failures=step.failures,
        crashes=step.orphans,
        started_ms=step.entered_ms,
        ended_ms=step.ended_ms or None,
        error_code=None if error is None else error.code,
        error_message=None if error is None else error.message,
    )


def reasons_of(
    run_id: str,
    state: RunState,
    waiting: Waiting | None,
    owner: Claim | None,
    standings: Sequence[tuple[Awaited, Standing]] = (),
) -> list[Reason]:
    """Why the run is not moving, as data; empty when it is, or has ended well. `standings`: units it waits for."""
    if state.status is not None:
        return _reasons_of_the_ended(state)
    if state.cancelling is not None:
        queued = Reason("queued", "no process drives this run now", None, state.at_ms, None, _resume(run_id))
        return [_cancelled("cancelling", state), *(_driven(owner, state) or [queued])]
    reasons = [_parked_reason(run_id, _name(parked.state_id), parked) for parked in state.parked.values()]
    reasons += [
        _child_reason(state, state_id, name, wait)
        if wait.kind == "child"
        else _wait_reason(run_id, state_id, name, wait)
        for state_id, waits in state.waits.items()
        for name, wait in waits.items()
    ]
    reasons += [_unit_reason(unit, standing) for unit, standing in standings]
    resume = _resume(run_id)
    if state.paused is not None:
        text = f"{state.paused.actor} paused it: {state.paused.reason}"
        unpause = (f"interlock run unpause {run_id} --reason TEXT",)
        reasons.insert(0, Reason("paused", text, None, state.paused.since_ms, None, unpause))
    elif waiting is None:
        reasons += _driven(owner, state)
    elif waiting.kind == "backoff":
        text = f"{_name(waiting.state_id)} failed and is tried again later"
        reasons.append(Reason("backoff", text, waiting.state_id, waiting.since_ms, waiting.until_ms, resume))
    elif waiting.kind == "queued" and not standings:
        text = "no process drives this run now"
        reasons.append(Reason("queued", text, waiting.state_id, waiting.since_ms, None, resume))
    return reasons


def _resume(run_id: str) -> tuple[str, ...]:
    return (f"interlock run resume {run_id}",)


def _name(state_id: str | None) -> str:
    """The step of a state."""
    return "" if state_id is None else step_name(state_id)


def _wait_reason(run_id: str, state_id: str, name: str, wait: Wait) -> Reason:
    step = _name(state_id)
    if wait.kind == "sleep":
        return Reason("sleep", f"{step} sleeps ({name})", state_id, wait.since_ms, wait.due_ms)
    answer = (answer_line(run_id, step, name),)
    return Reason("signal", f"{step} waits for the signal {name}", state_id, wait.since_ms, wait.due_ms, answer)


def _child_reason(state: RunState, state_id: str, name: str, wait: Wait) -> Reason:
    """Why a child does not end is asked of the child."""
    kin = (run_id for run_id, child in state.children.items() if (child.state_id, child.name) == (state_id, name))
    child_id = next(kin, None)
    text = f"{_name(state_id)} waits for its child run {name.removeprefix('child:')}"
    if child_id is None:
        return Reason("child", text, state_id, wait.since_ms)
    why = (f"interlock run why {child_id}",)
    return Reason("child", f"{text}, {child_id}", state_id, wait.since_ms, None, why)


def _unit_reason(unit: Awaited, standing: Standing) -> Reason:
    who = "the run" if unit.state_id is None else _name(unit.state_id)
    text = (
        f"{who} waits for a unit of {standing.lease}: place {standing.place} in the queue, "
        f"{len(standing.holders)} of {standing.capacity} held"
    )
    until_ms = min((holder.until_ms for holder in standing.holders), default=None)
    # Only what comes back by itself says when.
    until_ms = until_ms if standing.lease.startswith(RATE) and standing.place == 1 else None
    show = (f"interlock lease show {standing.lease}",)
    return Reason("queued", text, unit.state_id, unit.since_ms, until_ms, show, standing.place, standing.holders)


def _parked_reason(run_id: str, name: str, parked: Parked) -> Reason:
    command = f"interlock run resolve {run_id} {name}"
    if parked.fact_key is None:
        text = f"{name} ended its process too often ({parked.code})"
        release: tuple[str, ...] = (f"{command} --retry --reason TEXT", f"{command} --abandon --reason TEXT")
    else:
        text = f"nobody knows whether the effect {parked.fact_key} of {name} happened ({parked.code})"
        release = (
            f"{command} --adopt JSON --reason TEXT",
            f"{command} --retry --reason TEXT",
            f"{command} --abandon --reason TEXT",
        )
    return Reason("parked", text, parked.state_id, parked.since_ms, None, release)


def _driven(owner: Claim | None, state: RunState) -> list[Reason]:
    if owner is None:
        return []
    text = f"it is moving: {owner.owner} drives it"
    return [Reason("running", text, state.open_state, state.at_ms, owner.expires_ms, ())]


def _cancelled(kind: str, state: RunState) -> Reason:
    """Who wanted the run to end, and why."""
    order = state.cancelling
    if order is None:
        return Reason(kind, "the run was cancelled")
    return Reason(kind, f"{order.actor} cancelled it: {order.reason}", None, order.since_ms)


def _reasons_of_the_ended(state: RunState) -> list[Reason]:
    """Why a run failed or was cancelled, and which effects are in doubt for ever."""
    if state.status is RunStatus.COMPLETED:
        return []
    doubts = [
        Reason("in_doubt", f"nobody knows whether the effect {effect.fact_key} of {effect.step} happened")
        for effect in in_doubt(state)
    ]
    if state.status is RunStatus.CANCELLED:
        return [_cancelled("cancelled", state), *doubts]
    late = [Reason("failed", "the run had not ended in time [run_timed_out]")] if state.timed_out else []
    return [*late, *_failures(state), *doubts]


def _failures(state: RunState) -> list[Reason]:
    failed = [(i, s) for i, s in state.steps.items() if s.status is StepStatus.FAILED and s.error is not None]
    return [
        Reason("failed", f"{step_name(i)} failed: {s.error.message} [{s.error.code}]", i, s.ended_ms)
        for i, s in failed
        if s.error is not None
    ]
