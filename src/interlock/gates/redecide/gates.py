"""Evaluates the gates of a trigger again, over the evidence that was recorded.

What it does: makes each gate's record anew from the recorded answers of providers, and holds the two against each
other: digests, lanes, anchors, signatures, comparators, logic. What it does not do: it asks nobody, and takes no word
of a status.

Rules (seed 000): evidence with an error is unknown and has no value, unless the error says of a value that it does not
count; all gates of a trigger rest on the same evidence; a gate's evidence stands in the order of the ids' bytes. The
work is bounded by the size of the logs: where a record is not as long as its requirement makes it, the walk ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from interlock.base.errors import InterlockError
from interlock.gates.comparators.compare import status_of
from interlock.gates.control.rules import Rules
from interlock.gates.control.scenario import Scenario
from interlock.gates.evidence.records import EvidenceResult
from interlock.gates.evidence.trust import (
    EVIDENCE_STALE,
    TRUST_LANE,
    VALUE_BYTES_MAX,
    ProviderRules,
    age_fault,
    anchor_fault,
    bytes_of,
    held_to_gate,
    held_to_lane,
    required_lane,
    signature_fault,
)
from interlock.gates.logic.evaluate import evaluate
from interlock.gates.logic.tree import conditions_of
from interlock.gates.records import EvidenceRecord, GateEvalRecord, GateEvaluation
from interlock.gates.redecide.logs import Broken, Kind, Known, Notes, Open
from interlock.gates.spec import ConditionSpec, GateSpec, StageSpec
from interlock.gates.values import HashDigest, Timestamp, hash_of

_COUNTS_NOT = (TRUST_LANE, EVIDENCE_STALE)
"""Errors that say of a value that it does not count."""


class Asked(NamedTuple):
    """For which trigger a stage is looked at, and what is known of that beside the logs."""

    trigger_id: str
    time: Timestamp
    rules: Rules | None
    observed: Mapping[str, int | None] | None


class Shape(NamedTuple):
    """The conditions of a gate in the order of its evidence, and how many leaves its trace has."""

    ids: list[str]
    leaves: int


class GatesAgain:
    """The gates of one run's triggers, one trigger after the other."""

    def __init__(self, scenario: Scenario, known: Known, notes: Notes) -> None:
        self._scenario = scenario
        self._known = known
        self._notes = notes
        self._shapes: dict[str, Shape] = {}

    def made(
        self, stage: StageSpec, asked: Asked, recorded: Sequence[GateEvalRecord], first: int
    ) -> list[GateEvalRecord]:
        """The records that follow for a stage; `recorded` stand in the log from the place `first` on.

        Raises: `Broken` where they are not those of the stage's gates.
        """
        named = [each.evaluation.gate_id for each in recorded]
        if len(named) != len(stage.gates) or named != [gate.gate_id for gate in stage.gates]:
            what = f"{len(named)} gates stand where the stage has {len(stage.gates)}, in order"
            raise self._notes.broken(Kind.GATE, f"gate_evals/{first}", what)
        seen: dict[str, EvidenceResult] = {}
        return [
            _Gate(self, stage, gate, asked, f"gate_evals/{first + at}").made(record, seen)
            for at, (gate, record) in enumerate(zip(stage.gates, recorded, strict=True))
        ]

    def shape(self, gate: GateSpec) -> Shape:
        """What of a gate's record follows from its requirement alone."""
        if gate.gate_id not in self._shapes:
            ids = sorted(set(conditions_of(gate.requirement)), key=lambda each: each.encode())
            self._shapes[gate.gate_id] = Shape(ids, len(evaluate(gate.requirement, {}).trace))
        return self._shapes[gate.gate_id]

    def settled(self, condition: ConditionSpec, gate: GateSpec, result: EvidenceResult, place: str) -> EvidenceRecord:
        """What a gate makes of an answer, where nobody says what the installation asks."""
        self._notes.left_open(Open.TRUST_POLICY)
        record = EvidenceRecord(
            condition.condition_id, status_of(condition.comparator, result, condition.expected), result
        )
        held = held_to_gate(held_to_gate(record, condition.trust), gate.trust)
        if held != record and result.error is None:
            self._notes.found(Kind.EVIDENCE, place, "it counts, although its lane is lower than the scenario asks")
        anchor = self._known.anchors.get(condition.query.provider_id)
        if anchor is not None and result.error is None:
            self.judge(place, anchor_fault(result.evidence_anchor, anchor))
        return EvidenceRecord(record.condition_id, held.status, result)

    def check_answer(self, result: EvidenceResult, place: str) -> None:
        """Hold an answer against itself: its digest, its signature, what an error leaves."""
        error = None if result.error is None else result.error.code
        nothing = (result.value, result.evidence_hash, result.content_type) == (None, None, None)
        if error is not None and error not in _COUNTS_NOT and not nothing:
            self._notes.found(Kind.EVIDENCE, place, "it is an error, and has a value, a digest or a content type")
        computed = self._digest(result, place)
        if computed is not None and computed != result.evidence_hash:
            self._notes.found(Kind.EVIDENCE, place, "its digest is not that of its value")
        if result.signature is not None and self._known.rules is None:
            self._signature(result, result.signature.key_id, computed, place)

    def _digest(self, result: EvidenceResult, place: str) -> HashDigest | None:
        if result.value is None:
            return None
        try:
            content = bytes_of(result.value)
        except InterlockError as fault:
            self._notes.found(Kind.EVIDENCE, place, f"its value is no JSON of the contract ({fault.code})")
            return None
        if len(content) > VALUE_BYTES_MAX:
            self._notes.found(Kind.EVIDENCE, place, f"its value has more than {VALUE_BYTES_MAX} bytes")
        return hash_of(content)

    def _signature(self, result: EvidenceResult, key_id: str, computed: HashDigest | None, place: str) -> None:
        """Check a signature where no recorded rules say whether it counts, and by which keys."""
        if key_id in self._known.keys:
            self.judge(place, signature_fault(result, computed, self._known.keys))
        else:
            self._notes.left_open(Open.SIGNING_KEYS)

    def judge(self, place: str, fault: str | None) -> None:
        """Keep a fault of evidence, if there is one."""
        if fault is not None:
            self._notes.found(Kind.EVIDENCE, place, fault)

    def left_open(self, what: Open) -> None:
        """Say that something cannot be told."""
        self._notes.left_open(what)

    def broken(self, kind: Kind, place: str, message: str) -> Broken:
        """Keep a finding behind which nothing is judged any more."""
        return self._notes.broken(kind, place, message)

    def condition(self, condition_id: str) -> ConditionSpec:
        """A condition of the scenario."""
        return self._scenario.conditions[condition_id]

    def found(self, kind: Kind, place: str, message: str) -> None:
        """Keep a finding."""
        self._notes.found(kind, place, message)


class _Gate:
    """One gate for one trigger."""

    def __init__(self, again: GatesAgain, stage: StageSpec, gate: GateSpec, asked: Asked, place: str) -> None:
        self._again = again
        self._stage = stage
        self._gate = gate
        self._asked = asked
        self._place = place

    def made(self, recorded: GateEvalRecord, seen: dict[str, EvidenceResult]) -> GateEvalRecord:
        """The record that follows from the evidence that is recorded with the gate."""
        shape = self._again.shape(self._gate)
        if [each.condition_id for each in recorded.evidence] != shape.ids:
            what = "its evidence is not that of its conditions, each once, in order"
            raise self._again.broken(Kind.EVIDENCE, self._place, what)
        if len(recorded.evaluation.trace) != shape.leaves:
            what = "its trace is not as long as its requirement makes it"
            raise self._again.broken(Kind.GATE, self._place, what)
        records = [self._evidence(each, seen) for each in recorded.evidence]
        found = evaluate(self._gate.requirement, {each.condition_id: each.status for each in records})
        evaluation = GateEvaluation(self._gate.gate_id, found.status, found.trace)
        made = GateEvalRecord(self._asked.trigger_id, self._stage.stage_id, evaluation, records)
        if recorded != made:
            self._again.found(Kind.GATE, self._place, _difference(recorded, made))
        return made

    def _evidence(self, recorded: EvidenceRecord, seen: dict[str, EvidenceResult]) -> EvidenceRecord:
        condition, result = self._again.condition(recorded.condition_id), recorded.result
        answer = _answered(result)
        if seen.setdefault(recorded.condition_id, answer) != answer:
            self._again.found(Kind.EVIDENCE, self._place, "another gate of the same trigger has other evidence")
        self._again.check_answer(result, self._place)
        self._check_age(condition, answer)
        if self._asked.rules is None:
            return self._again.settled(condition, self._gate, result, self._place)
        requirements = self._asked.rules.providers.get(condition.query.provider_id)
        if requirements is None:
            self._again.found(Kind.EVIDENCE, self._place, "it is by a provider that the rules do not know")
            return recorded
        return self._ruled(condition, answer, requirements)

    def _check_age(self, condition: ConditionSpec, answer: EvidenceResult) -> None:
        """Evidence is as old as it was observed, and counts or not by that."""
        if condition.max_age_ms is UNSET:
            return
        if self._asked.observed is None:
            self._again.left_open(Open.EVIDENCE_AGE)
            return
        observed_ms = self._asked.observed.get(condition.condition_id)
        stale = age_fault(observed_ms, self._asked.time, condition.max_age_ms)
        if answer.error != stale and (answer.error is None or answer.error.code == EVIDENCE_STALE):
            self._again.found(Kind.EVIDENCE, self._place, "its age is another than was recorded, or counts otherwise")

    def _ruled(self, condition: ConditionSpec, answer: EvidenceResult, asked: ProviderRules) -> EvidenceRecord:
        """What the gate makes of an answer under recorded rules."""
        if answer.error is None and asked.anchor is not None:
            self._again.judge(self._place, anchor_fault(answer.evidence_anchor, asked.anchor))
        if answer.error is None and asked.keys is not None:
            self._again.judge(self._place, signature_fault(answer, answer.evidence_hash, asked.keys))
        status = status_of(condition.comparator, answer, condition.expected)
        record = EvidenceRecord(condition.condition_id, status, answer)
        return held_to_gate(held_to_lane(record, required_lane(asked.floor, condition.trust)), self._gate.trust)


def _answered(result: EvidenceResult) -> EvidenceResult:
    """What the provider answered: without what a lane that is too low made of it."""
    if result.error is not None and result.error.code == TRUST_LANE and result.lane == "asserted":
        return replace(result, error=None)
    return result


def _difference(recorded: GateEvalRecord, made: GateEvalRecord) -> str:
    if recorded.stage_id != made.stage_id:
        return "it is recorded for another stage than the run was in"
    if recorded.evaluation.status != made.evaluation.status:
        return f"it is recorded as {recorded.evaluation.status}, and is {made.evaluation.status}"
    if recorded.evaluation != made.evaluation:
        return "its trace is not that of its requirement"
    return "its evidence is recorded otherwise than its comparators and lanes make it"
