"""Where a run goes on: from a stage that has opened, or whose time has passed.

What it does: finds the next stage by the rules of the document, and whether a stage's time is over. What it does not
do: it evaluates no gate.

Rules (seed 000): a gate that the stage does not have is unknown to a branch; times of two kinds cannot be compared; the
end of the time is within it.
"""

from __future__ import annotations

from collections.abc import Mapping

from interlock.base.bounds import INTEGER_MAX
from interlock.gates.control.errors import GATE_RESOLUTION_FAILED, TIMEOUT_OVERFLOW, TRIGGER_TIME_MISMATCH
from interlock.gates.control.scenario import Scenario
from interlock.gates.logic.status import Status
from interlock.gates.spec import Branch, Fixed, Linear, StageSpec, Terminal
from interlock.gates.values import Timestamp, UnixMillis


def next_stage(scenario: Scenario, stage: StageSpec, gates: Mapping[str, Status]) -> str | None:
    """The id of the stage that follows; None at the end. Raises: `gate_resolution_failed`."""
    match stage.advance_to:
        case Linear():
            place = scenario.places[stage.stage_id] + 1
            return scenario.spec.stages[place].stage_id if place < len(scenario.spec.stages) else None
        case Fixed(stage_id):
            return stage_id
        case Branch():
            return _branch(stage.advance_to, gates)
        case Terminal():
            return None


def _branch(branch: Branch, gates: Mapping[str, Status]) -> str:
    for rule in branch.branches:
        if gates.get(rule.gate_id, Status.UNKNOWN).value.lower() == rule.outcome:
            return rule.next_stage_id
    if branch.default is None:
        raise GATE_RESOLUTION_FAILED.error("gate resolution failed: no branch matched")
    return branch.default


def timer_of(stage: StageSpec | None, entered_at: Timestamp) -> int | None:
    """When a stage that was entered makes its own tick, in ms since 1970; None: it makes none, or there is no stage."""
    if stage is None or stage.auto_tick is not True or stage.timeout is None or not isinstance(entered_at, UnixMillis):
        return None
    return min(entered_at.value + stage.timeout.timeout_ms, INTEGER_MAX)


def is_expired(stage: StageSpec, entered_at: Timestamp, now: Timestamp) -> bool:
    """Whether a stage's time is over. Raises: `trigger_time_mismatch`, `timeout_overflow`."""
    if stage.timeout is None:
        return False
    if type(entered_at) is not type(now):
        raise TRIGGER_TIME_MISMATCH.error("the stage was entered in one kind of time, and the trigger has another")
    end = entered_at.value + stage.timeout.timeout_ms
    if end > INTEGER_MAX:
        raise TIMEOUT_OVERFLOW.error("the end of the stage's time is out of range")
    return now.value >= end
