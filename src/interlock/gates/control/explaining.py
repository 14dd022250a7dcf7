"""Why a stage of a run is open or closed: the reason tree of its gates, from what is recorded.

What it does: finds the last evaluation of a run's stage, or that of a trigger, and explains each gate over the evidence
that was recorded. What it does not do: it asks nobody again and compares nothing again.

Rules: values are shown only where the installation and the provider allow it; the expected value is the scenario's own
and is shown unless the condition's policy tags say `secret`.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET, Struct, UnsetType

from interlock.base.principal import Principal
from interlock.gates.control.closing import gate_ends
from interlock.gates.control.errors import NOT_EVALUATED, SCENARIO_RUN_NOT_FOUND, TRIGGER_NOT_FOUND
from interlock.gates.control.keys import TRIGGER_INDEX
from interlock.gates.control.reading import Answered
from interlock.gates.control.scenario import Scenario
from interlock.gates.control.service import ScenarioRuns
from interlock.gates.evidence.query import Evidence
from interlock.gates.logic.explain import Explanation, explain
from interlock.gates.logic.leaves import Disclosure, EvidenceDetail, leaf_of
from interlock.gates.logic.tree import conditions_of
from interlock.gates.records import GateEvalRecord
from interlock.gates.spec import ConditionSpec, GateSpec
from interlock.gates.values import Timestamp, UnixMillis

SECRET_TAG = "secret"  # noqa: S105 - a policy tag


class GateExplanation(Struct, frozen=True):
    """A gate, and why it was what it was for the trigger.

    One that was true closes by itself at `closes_at_ms`, when its evidence is too old, and is `closed` since then.
    """

    gate_id: str
    explanation: Explanation[EvidenceDetail]
    closed: bool = False
    closes_at_ms: int | UnsetType = UNSET


class StageExplanation(Struct, frozen=True):
    """The gates of a stage as they were evaluated for a trigger."""

    run: str
    stage: str
    trigger: str
    gates: list[GateExplanation]


async def explained(
    runs: ScenarioRuns,
    evidence: Evidence,
    scenario_id: str,
    tenant_id: int,
    namespace_id: int,
    run_id: str,
    trigger_id: str | None,
    *,
    principal: Principal,
) -> StageExplanation:
    """Why the stage is as it was decided last, or for a trigger.

    Raises: `scenario_not_found`, `scenario_run_not_found`, `scenario_trigger_not_found`, `scenario_not_evaluated`.
    """
    scenario, _, state = await runs.seen(scenario_id, tenant_id, namespace_id, run_id, None, principal=principal)
    if not state.exists:
        raise SCENARIO_RUN_NOT_FOUND.error("there is no such run")
    place = state.last_trigger
    if trigger_id is not None:
        place = await runs.place_of(state.stream, TRIGGER_INDEX, trigger_id) or 0
        if not place:
            raise TRIGGER_NOT_FOUND.error("the run has no decision for that trigger")
    if not place:
        raise NOT_EVALUATED.error("nothing was decided for it yet")
    answer = await runs.read.answer_at(state.stream, place, scenario)
    return _stage(scenario, run_id, answer, evidence, runs.now_ms)


def closings(scenario: Scenario, answer: Answered) -> dict[str, int]:
    """When the gates of a decision that were true close by themselves, in ms since 1970."""
    ends = gate_ends(scenario, answer.gates, answer.observed, answer.decision.decided_at)
    return {end.gate_id: end.at_ms for end in ends}


def _stage(scenario: Scenario, run_id: str, answer: Answered, evidence: Evidence, now_ms: int) -> StageExplanation:
    stage = scenario.stage(answer.decision.stage_id)
    by_id = {each.evaluation.gate_id: each for each in answer.gates}
    ends = closings(scenario, answer)
    gates = []
    for gate in stage.gates:
        if gate.gate_id in by_id:
            why = _why(scenario, gate, by_id[gate.gate_id], answer, evidence)
            at_ms = ends.get(gate.gate_id, UNSET)
            gates.append(GateExplanation(gate.gate_id, why, at_ms is not UNSET and at_ms <= now_ms, at_ms))
    return StageExplanation(run_id, stage.stage_id, answer.decision.trigger_id, gates)


def _why(
    scenario: Scenario, gate: GateSpec, record: GateEvalRecord, answer: Answered, evidence: Evidence
) -> Explanation[EvidenceDetail]:
    records = {each.condition_id: each for each in record.evidence}
    leaves = {}
    for name in dict.fromkeys(conditions_of(gate.requirement)):
        condition = scenario.conditions[name]
        age_ms = _age_ms(answer.decision.decided_at, answer.observed, name)
        leaves[name] = leaf_of(condition, records.get(name), _disclosure(condition, evidence), age_ms=age_ms)
    return explain(gate.requirement, leaves)


def _disclosure(condition: ConditionSpec, evidence: Evidence) -> Disclosure:
    return Disclosure(
        evidence=evidence.shows_raw(condition.query.provider_id), expected=SECRET_TAG not in condition.policy_tags
    )


def _age_ms(decided_at: Timestamp, observed: Mapping[str, int | None], name: str) -> int | None:
    seen = observed.get(name)
    if seen is None or not isinstance(decided_at, UnixMillis):
        return None
    return decided_at.value - seen
