"""What a stage would come to over evidence that is given: nothing is read, and nothing written.

What it does: evaluates a stage's gates and says the decision. What it does not do: it knows no run, and checks neither
anchors nor shapes.

Rules (seed 000): a condition without evidence has an empty answer of the asserted lane; the decision is never `start`
or `fail`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from interlock.gates.control.advance import next_stage
from interlock.gates.control.evaluation import asked, gates_of
from interlock.gates.control.scenario import Scenario
from interlock.gates.evidence.records import EvidenceResult
from interlock.gates.logic.status import Status
from interlock.gates.records import (
    Advanced,
    Completed,
    DecisionOutcome,
    EvidenceRecord,
    GateEvaluation,
    Held,
    Prechecked,
    SafeSummary,
)
from interlock.gates.spec import ConditionSpec, StageSpec

NOT_GIVEN = EvidenceResult(lane="asserted")


def precheck(
    scenario: Scenario,
    stage_id: str | None,
    evidence: Mapping[str, EvidenceResult],
    judged: Callable[[ConditionSpec, EvidenceResult], EvidenceRecord],
) -> Prechecked:
    """What the stage (default: the first) would come to. Raises: `stage_not_found`, `gate_resolution_failed`."""
    stage = scenario.first if stage_id is None else scenario.stage(stage_id)
    records = [judged(each, evidence.get(each.condition_id, NOT_GIVEN)) for each in asked(scenario, stage)]
    gates = [each.evaluation for each in gates_of(stage, "", records)]
    return Prechecked(_outcome(scenario, stage, gates), gates)


def _outcome(scenario: Scenario, stage: StageSpec, gates: list[GateEvaluation]) -> DecisionOutcome:
    statuses = {each.gate_id: each.status for each in gates}
    unmet = unmet_gates(stage, statuses)
    if unmet:
        return held(unmet)
    following = next_stage(scenario, stage, statuses)
    if following is None:
        return Completed(stage.stage_id)
    return Advanced(stage.stage_id, following, timeout=False)


def unmet_gates(stage: StageSpec, statuses: Mapping[str, Status]) -> list[str]:
    """The gates that do not hold, in the order of the stage."""
    return [gate.gate_id for gate in stage.gates if statuses[gate.gate_id] is not Status.TRUE]


def held(unmet: list[str]) -> Held:
    """That a stage stays closed."""
    return Held(SafeSummary("hold", unmet, "await_evidence", []))
