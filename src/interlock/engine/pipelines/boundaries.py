"""The events that mark where an operation of a pipeline begins and ends (seed 001, `op_boundary`).

What it does: says which `op_boundary` events the entry or the completion of a state entails. What it does not do: it
appends nothing and decides no step; both functions are pure.

Rules: an op path is started by the first entry of any of its states, and completed by the completion of the last of
them; each is emitted once, because it stands in the same append as the kernel event that causes it, and those are
unique; a retry or a recovered orphan is no first entry. `state` is the run just before that kernel event is folded, so
whoever enters several states in one append folds one entry before asking about the next.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import Raw, Struct

from interlock.base.canonical import canonical
from interlock.base.ids import OpPath, StateId
from interlock.engine.config import Custom
from interlock.engine.events import DomainEmitted
from interlock.engine.plan import ExecutionPlan, op_path_of
from interlock.engine.run_state import RunState, StepStatus

OP_BOUNDARY = "op_boundary"


class OpPhase(StrEnum):
    """Which end of an operation it is."""

    STARTED = "started"
    COMPLETED = "completed"


class OpBoundary(Struct, frozen=True):
    """The payload of an `op_boundary` event."""

    op_path: OpPath
    phase: OpPhase


def entry_boundaries(
    state: RunState, plan: ExecutionPlan, state_id: StateId, profile: str | Custom = "Normal"
) -> tuple[DomainEmitted, ...]:
    """What goes just after the `StateEntered` of `state_id`: `started` where nothing of its op path was entered yet."""
    if not plan.boundaries or profile == "Minimal":
        return ()
    path = op_path_of(state_id)
    if any(each in state.steps for each in plan.operations[path]):
        return ()
    return (_boundary(path, OpPhase.STARTED, state_id),)


def completion_boundaries(
    state: RunState, plan: ExecutionPlan, state_id: StateId, profile: str | Custom = "Normal"
) -> tuple[DomainEmitted, ...]:
    """What goes just before the `StateCompleted` of `state_id`: `completed` where its op path then lacks no state."""
    if not plan.boundaries or profile == "Minimal":
        return ()
    path = op_path_of(state_id)
    # From the end: what has not completed usually stands there, so that a long operation is not walked each time.
    for each in reversed(plan.operations[path]):
        step = state.steps.get(each)
        if each != state_id and (step is None or step.status is not StepStatus.COMPLETED):
            return ()
    return (_boundary(path, OpPhase.COMPLETED, state_id),)


def _boundary(path: OpPath, phase: OpPhase, state_id: StateId) -> DomainEmitted:
    payload = canonical(msgspec.to_builtins(OpBoundary(path, phase)))
    return DomainEmitted(OP_BOUNDARY, Raw(payload), None, state_id)
