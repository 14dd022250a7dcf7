"""Today's scenario over recorded runs: which decisions would be others.

What it does: decides each recorded evaluation anew, by another document over the evidence that was recorded, and lists
what would change. What it does not do: it asks nobody, writes nothing, and follows no run beyond the decision that
changed: what would have happened then was never recorded.

Rules: a condition is the same if its query is, whatever it is called; evidence that was not recorded for a condition
leaves it unknown, and is counted; a stage that the document does not have is said, and is a change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from interlock.base.errors import InterlockError
from interlock.gates.control.evaluation import asked
from interlock.gates.control.precheck import precheck
from interlock.gates.control.reading import Answered
from interlock.gates.control.scenario import Scenario
from interlock.gates.control.service import ScenarioRuns
from interlock.gates.evidence.records import EvidenceResult
from interlock.gates.evidence.trust import EVIDENCE_STALE, TRUST_LANE, age_fault
from interlock.gates.records import Advanced, DecisionOutcome, EvidenceRecord, Failed, Started
from interlock.gates.spec import ConditionSpec, EvidenceQuery
from interlock.gates.values import Timestamp, wire

Judge = Callable[[ConditionSpec, EvidenceResult], EvidenceRecord]


class Known(NamedTuple):
    """Evidence that was recorded, and when it was observed."""

    result: EvidenceResult
    observed_ms: int | None

    def as_of(self, decided_at: Timestamp, condition: ConditionSpec) -> EvidenceResult:
        """The evidence for a condition of today, which may be too old for it."""
        if self.result.error is not None:
            return self.result
        return replace(self.result, error=age_fault(self.observed_ms, decided_at, condition.max_age_ms))


class ChangedDecision(Struct, frozen=True):
    """A decision that would be another; `today` is None where `fault` says why there would be none."""

    run: str
    trigger: str
    stage: str
    recorded: DecisionOutcome
    today: DecisionOutcome | None
    fault: str | None
    not_recorded: list[str]


class Backtest(Struct, frozen=True):
    """What a document would change of recorded runs; `not_recorded` counts conditions without evidence."""

    runs: int
    decisions: int
    changed: list[ChangedDecision]
    not_recorded: int


def redecided(
    today: Scenario, answer: Answered, known: Mapping[str, Known], judged: Judge, run: str
) -> tuple[ChangedDecision | None, list[str]]:
    """A decision by today's document over what was known, None where it is the same; and what was not recorded."""
    stage_id, recorded = answer.decision.stage_id, answer.decision.outcome
    if stage_id not in today.places:
        fault = "the document has no such stage"
        return ChangedDecision(run, answer.decision.trigger_id, stage_id, recorded, None, fault, []), []
    conditions = asked(today, today.stage(stage_id))
    given = {
        each.condition_id: known[key].as_of(answer.decision.decided_at, each)
        for each in conditions
        if (key := query_key(each.query)) in known
    }
    missing = [each.condition_id for each in conditions if each.condition_id not in given]
    outcome, why = _outcome(today, stage_id, given, judged)
    if outcome == recorded:
        return None, missing
    return ChangedDecision(run, answer.decision.trigger_id, stage_id, recorded, outcome, why, missing), missing


def _outcome(
    today: Scenario, stage_id: str, given: Mapping[str, EvidenceResult], judged: Judge
) -> tuple[DecisionOutcome | None, str | None]:
    """What a stage comes to, or why it comes to nothing."""
    try:
        return precheck(today, stage_id, given, judged).decision, None
    except InterlockError as fault:
        return None, fault.message


def query_key(query: EvidenceQuery) -> str:
    """What tells one query from another."""
    return wire(query).decode()


def evidence_of(scenario: Scenario, answer: Answered) -> dict[str, Known]:
    """What was recorded for a decision, by query; a lane that was too low then, and an age, are judged anew."""
    found: dict[str, Known] = {}
    for gate in answer.gates:
        for each in gate.evidence:
            result = each.result
            if result.error is not None and result.error.code in {TRUST_LANE, EVIDENCE_STALE}:
                result = replace(result, error=None)
            known = Known(result, answer.observed.get(each.condition_id))
            found.setdefault(query_key(scenario.conditions[each.condition_id].query), known)
    return found


def rests_on_evidence(scenario: Scenario, answer: Answered) -> bool:
    """Whether a decision was made by evaluating its stage: no start, no time that was over, no refused packet."""
    outcome = answer.decision.outcome
    if isinstance(outcome, Started | Failed) or (isinstance(outcome, Advanced) and outcome.timeout):
        return False
    evaluated = {each.evaluation.gate_id for each in answer.gates}
    return evaluated == {gate.gate_id for gate in scenario.stage(answer.decision.stage_id).gates}


async def backtest(runs: ScenarioRuns, recorded: Scenario, today: Scenario, judged: Judge, tenant: str) -> Backtest:
    """What `today` would change of all runs of `recorded`. Costs as much as those runs are long."""
    count, decisions, missing = 0, 0, 0
    changed: list[ChangedDecision] = []
    async with aclosing(runs.read.runs_of(recorded, tenant)) as found:
        async for run_id, stream in found:
            count += 1
            async with aclosing(runs.read.answers(stream, recorded)) as answers:
                async for answer in answers:
                    if not rests_on_evidence(recorded, answer):
                        continue
                    decisions += 1
                    change, absent = redecided(today, answer, evidence_of(recorded, answer), judged, run_id)
                    missing += len(absent)
                    if change is not None:
                        changed.append(change)
    return Backtest(count, decisions, changed, missing)
