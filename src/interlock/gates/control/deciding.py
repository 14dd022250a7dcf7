"""What a trigger comes to: the decision that follows from a stage and its gates, and from nothing else.

What it does: chooses between holding, going on, ending and failing, and writes that decision. What it does not do: it
evaluates no gate, loads nothing and appends nothing; the decider of runs uses it, and so does whoever decides anew what
was decided before (`redecide`).

Rules (seed 000): an overdue stage is left without a look at its gates; a stage opens only if every gate is True, one
without gates at once; with `on_hold: branch` the first branch rule that fits is taken where it does not open.
"""

from __future__ import annotations

from collections.abc import Sequence

from interlock.gates.control.advance import is_expired, next_stage
from interlock.gates.control.precheck import held, unmet_gates
from interlock.gates.control.scenario import Scenario
from interlock.gates.control.writing import Writing
from interlock.gates.logic.status import Status
from interlock.gates.records import GateEvalRecord, TriggerEvent, TriggerResult
from interlock.gates.spec import Branch, StageSpec
from interlock.gates.values import Timestamp

INIT = "init"
"""The trigger of a start that issues packets."""
TICK = "auto_tick"
"""How the trigger of a stage that ends by itself begins."""


def is_overdue(entered_at: Timestamp | None, stage: StageSpec, event: TriggerEvent) -> bool:
    """Whether a tick finds the time of the stage over: then no gate is evaluated. Raises: as `advance.is_expired`."""
    return event.kind == "tick" and entered_at is not None and is_expired(stage, entered_at, event.time)


def decided(
    scenario: Scenario, stage: StageSpec, evaluated: Sequence[GateEvalRecord], writing: Writing, *, overdue: bool
) -> TriggerResult:
    """Write the decision of a trigger. Raises: `gate_resolution_failed`."""
    if overdue:
        return timed_out(scenario, stage, writing)
    for gate in evaluated:
        writing.gate(gate)
    gates = {each.evaluation.gate_id: each.evaluation.status for each in evaluated}
    if all(status is Status.TRUE for status in gates.values()):
        return writing.advance(stage, next_stage(scenario, stage, gates), timeout=False)
    if stage.on_hold == "branch" and isinstance(stage.advance_to, Branch):
        for rule in stage.advance_to.branches:
            if gates.get(rule.gate_id, Status.UNKNOWN).value.lower() == rule.outcome:
                return writing.advance(stage, rule.next_stage_id, timeout=False)
    return writing.hold(stage, held(unmet_gates(stage, gates)))


def timed_out(scenario: Scenario, stage: StageSpec, writing: Writing) -> TriggerResult:
    """Write what becomes of a stage whose time is over. Raises: `gate_resolution_failed`."""
    if stage.on_timeout == "fail":
        return writing.fail(stage, "timeout")
    value = Status.TRUE if stage.on_timeout == "advance_with_flag" else Status.UNKNOWN
    following = next_stage(scenario, stage, {gate.gate_id: value for gate in stage.gates})
    return writing.advance(stage, following, timeout=True)
