"""What people and programs are told about a run: result, status, steps, waiting, and why it does not move.

What it does: turns a folded run into records for surfaces. What it does not do: it reads no store and no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from interlock.base.events import Claim
from interlock.engine.events import RunStatus
from interlock.engine.fold import Parked, RunState, Step, StepStatus

RUNNING = "running"


class Waiting(Struct, frozen=True):
    """Why a running run does not move: `kind` is `queued`, `backoff` or `parked`; `until_ms` where time ends it."""

    kind: str
    state_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


class RunFailure(Struct, frozen=True):
    """Why a run failed: the state, and what it failed with."""

    state_id: str
    code: str
    message: str


class RunResult(Struct, frozen=True):
    """Summary after start or resume; `phase` is running, completed, failed or cancelled.

    `detached` says that the caller wanted no more than the start.
    """

    run_id: str
    phase: str
    waiting: Waiting | None
    final_snapshot_id: str | None
    error: RunFailure | None = None
    detached: bool = False


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
    """A run as it stands."""

    run_id: str
    op_id: str
    phase: str
    waiting: Waiting | None
    final_snapshot_id: str | None
    manifest_id: str
    started_ms: int
    updated_ms: int
    events: int
    owner: str | None
    input: Any
    steps: list[StepReport]


class Reason(Struct, frozen=True):
    """One thing that is missing: what, since when, until when, and who or what can supply it."""

    kind: str
    explanation: str
    state_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    release: tuple[str, ...] = ()


def waiting_of(state: RunState, owner: Claim | None) -> Waiting | None:
    """Why the run does not move; None when it has ended or somebody drives it."""
    if state.status is not None:
        return None
    if state.parked is not None:
        return Waiting("parked", state.parked.state_id, state.parked.since_ms)
    if owner is not None:
        return None
    for state_id, step in state.steps.items():
        if step.status is StepStatus.FAILED and step.due_ms:
            return Waiting("backoff", state_id, step.ended_ms, step.due_ms)
    return Waiting("queued", state.open_state, state.at_ms)


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


def steps_of(state: RunState, order: Sequence[str]) -> list[StepReport]:
    """Every state of the plan in execution order."""
    return [_step(state_id, state.steps.get(state_id)) for state_id in order]


def _step(state_id: str, step: Step | None) -> StepReport:
    name = state_id.split(".")[1]
    if step is None:
        return StepReport(name, state_id, StepStatus.PENDING.value)
    error = step.error
    return StepReport(
        name=name,
        state_id=state_id,
        status=step.status.value,
        attempts=step.attempts,
        failures=step.failures,
        crashes=step.orphans,
        started_ms=step.entered_ms,
        ended_ms=step.ended_ms or None,
        error_code=None if error is None else error.code,
        error_message=None if error is None else error.message,
    )


def reasons_of(run_id: str, state: RunState, waiting: Waiting | None, owner: Claim | None) -> list[Reason]:
    """Why the run is not moving, as data; empty when it is, or has ended well."""
    if waiting is None:
        return _reasons_of_the_ended(state) if state.status is not None else _driven(owner, state)
    step = (waiting.state_id or "").split(".")[1:2]
    name = step[0] if step else ""
    if waiting.kind == "parked" and state.parked is not None:
        return [_parked_reason(run_id, name, state.parked)]
    if waiting.kind == "backoff":
        text = f"{name} failed and is tried again later"
        return [
            Reason(
                "backoff",
                text,
                waiting.state_id,
                waiting.since_ms,
                waiting.until_ms,
                (f"interlock run resume {run_id}",),
            )
        ]
    text = "no process drives this run now"
    return [Reason("queued", text, waiting.state_id, waiting.since_ms, None, (f"interlock run resume {run_id}",))]


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


def _reasons_of_the_ended(state: RunState) -> list[Reason]:
    failed = [(i, s) for i, s in state.steps.items() if s.status is StepStatus.FAILED and s.error is not None]
    return [
        Reason("failed", f"{i.split('.')[1]} failed: {s.error.message} [{s.error.code}]", i, s.ended_ms)
        for i, s in failed
        if s.error is not None
    ]
