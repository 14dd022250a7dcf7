"""What people and programs are told about a run: result, status, steps, and what it waits for.

What it does: turns a folded run into records for surfaces. What it does not do: it reads no store and no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct

from interlock.base.events import Claim
from interlock.base.ids import step_name
from interlock.engine.budget import RunUsage
from interlock.engine.events import RunStatus
from interlock.engine.reports.details import (
    ChildReport,
    EarlyReport,
    EffectReport,
    OrderReport,
    Totals,
    WaitReport,
)
from interlock.engine.reports.outputs import StepOutput
from interlock.engine.run_state import RunState, Step, StepStatus

RUNNING = "running"
SKIPPED = "skipped"
PARKED = "parked"
GIVEN_UP = "cancelled"


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
    """Why a run failed: the state, what it failed with, and, of verbs that drive, what its program wrote last."""

    state_id: str
    code: str
    message: str
    output: StepOutput | None = None


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
    `schema` is what an answer has to fit, as JSON Schema; `output` what the program of a failed step wrote last.
    """

    kind: str
    explanation: str
    state_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    release: tuple[str, ...] = ()
    place: int | None = None
    holders: tuple[UnitHolder, ...] = ()
    schema: Any = None
    output: StepOutput | None = None


class RunResult(Struct, frozen=True):
    """Summary after start or resume; `phase` is running, completed, failed or cancelled.

    `final_snapshot_id` is the checkpoint until the run has ended: the contract lets it be the current one, and a caller
    reads with it what a run that waits has come to. `detached` says that the caller wanted no more than the start;
    `reasons` is filled by verbs that drive, for a run that waits: what is missing, and the lines that supply it;
    `had_ended`, too: the run had ended before the call, and nothing was run.
    """

    run_id: str
    phase: str
    waiting: Waiting | None
    final_snapshot_id: str | None
    error: RunFailure | None = None
    detached: bool = False
    reasons: tuple[Reason, ...] = ()
    had_ended: bool = False


class StepReport(Struct, frozen=True):
    """One state of the plan, shown as a step. `attempts` counts every entry, also those that a crash ended.

    `status` is `parked` where an operator must decide, and `cancelled` where the run ended while the step waited.
    `inherited` says of a fork's step that its source ran it.
    """

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
    inherited: bool = False


class RunReport(Struct, frozen=True):
    """A run as it stands; `final_snapshot_id` is its checkpoint until it has ended.

    Lists are bounded; `totals` counts also what they do not show. `forked_from` and `from_step` say of a fork where
    it begins; `skips_tags` are tags of steps that the run passes over, those of effects in a dry run.
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
    forked_from: str | None = None
    from_step: str | None = None
    skips_tags: tuple[str, ...] = ()
    deadline_ms: int | None = None
    waits: list[WaitReport] = []
    early: list[EarlyReport] = []
    orders: list[OrderReport] = []
    in_doubt: list[EffectReport] = []
    children: list[ChildReport] = []
    totals: Totals = Totals()


def waiting_of(state: RunState, owner: Claim | None) -> Waiting | None:
    """Why the run does not move; None when it has ended or somebody drives it."""
    if state.status is not None:
        return None
    if owner is None and state.paused is not None and not state.cancelling:
        return Waiting("paused", None, state.paused.since_ms, min(due_times(state), default=None))
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
    """The first parked state; time may end the run, and where states run at once move another."""
    parked, until_ms = next(iter(state.parked.values())), state.deadline_ms
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
    # A fork records what it inherits before it enters anything of its own.
    inherited = set(islice(state.steps, 0 if state.fork is None else state.fork.inherits))
    return [
        _step(
            state,
            state_id,
            state.steps.get(state_id),
            skip=state_id in state.skips or state_id in skipped,
            inherited=state_id in inherited,
        )
        for state_id in order
    ]


def _status(state: RunState, state_id: str, step: Step, *, skip: bool) -> str:
    """What a step does, in one word."""
    if skip and step.status is StepStatus.COMPLETED:
        return SKIPPED
    if state_id in state.parked:
        return PARKED
    if state.status is not None and step.status is StepStatus.SUSPENDED:
        return GIVEN_UP
    return step.status.value


def _step(state: RunState, state_id: str, step: Step | None, *, skip: bool, inherited: bool) -> StepReport:
    name = step_name(state_id)
    if step is None:
        return StepReport(name, state_id, StepStatus.PENDING.value)
    error = step.error
    return StepReport(
        name=name,
        state_id=state_id,
        status=_status(state, state_id, step, skip=skip),
        attempts=step.attempts,
        failures=step.failures,
        crashes=step.orphans,
        started_ms=step.entered_ms,
        ended_ms=step.ended_ms or None,
        error_code=None if error is None else error.code,
        error_message=None if error is None else error.message,
        inherited=inherited,
    )
