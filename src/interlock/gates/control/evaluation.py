"""Evaluating the gates of a stage over evidence.

What it does: makes the record of each gate from the evidence of its conditions. What it does not do: it asks for no
evidence, and decides nothing about the stage.

Rules (seed 000): a condition is asked for once, in the order in which the stage first names it; each gate holds the
evidence to its own lane; in a gate's record evidence stands in the order of the ids' bytes, so that no order of arrival
shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from interlock.gates.control.scenario import Scenario
from interlock.gates.evidence.query import Gathered
from interlock.gates.evidence.records import EvidenceContext
from interlock.gates.evidence.trust import ProviderRules, held_to_gate
from interlock.gates.logic.evaluate import evaluate
from interlock.gates.logic.tree import conditions_of
from interlock.gates.records import EvidenceRecord, GateEvalRecord, GateEvaluation, ProviderMissing
from interlock.gates.spec import ConditionSpec, GateSpec, ScenarioSpec, StageSpec


class EvidenceSource(Protocol):
    """What the control of runs needs of evidence."""

    def missing(self, spec: ScenarioSpec) -> ProviderMissing | None:
        """The providers that a scenario asks and that are not there or may not be used."""
        ...

    def rules(self, spec: ScenarioSpec) -> Mapping[str, ProviderRules]:
        """What is asked of the evidence of each provider that a scenario asks."""
        ...

    async def gather(
        self, conditions: Sequence[ConditionSpec], context: EvidenceContext, *, tenant: str
    ) -> list[Gathered]:
        """The evidence of each condition and what its comparator makes of it. Raises: `evidence_too_large`."""
        ...


def asked(scenario: Scenario, stage: StageSpec) -> list[ConditionSpec]:
    """The conditions of a stage, each once, in the order in which its gates first name them."""
    ids = dict.fromkeys(each for gate in stage.gates for each in conditions_of(gate.requirement))
    return [scenario.conditions[each] for each in ids]


def gates_of(stage: StageSpec, trigger_id: str, evidence: Sequence[EvidenceRecord]) -> list[GateEvalRecord]:
    """Each gate of a stage, evaluated over the evidence of the stage's conditions."""
    known = {each.condition_id: each for each in evidence}
    return [_gate(stage, gate, trigger_id, known) for gate in stage.gates]


def _gate(stage: StageSpec, gate: GateSpec, trigger_id: str, known: Mapping[str, EvidenceRecord]) -> GateEvalRecord:
    ids = sorted(set(conditions_of(gate.requirement)), key=lambda each: each.encode())
    records = [held_to_gate(known[each], gate.trust) for each in ids if each in known]
    found = evaluate(gate.requirement, {each.condition_id: each.status for each in records})
    return GateEvalRecord(trigger_id, stage.stage_id, GateEvaluation(gate.gate_id, found.status, found.trace), records)
