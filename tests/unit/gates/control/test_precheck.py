"""Prechecks: what a stage would come to over given evidence, with nothing written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.gates.comparators.compare import compare
from interlock.gates.control.precheck import precheck
from interlock.gates.control.scenario import Scenario
from interlock.gates.evidence import trust
from interlock.gates.evidence.records import EvidenceResult
from interlock.gates.records import EvidenceRecord
from interlock.gates.spec import Branch, BranchRule, ConditionSpec, ScenarioSpec, Terminal, spec_hash
from interlock.gates.values import JsonValue
from tests.unit.gates.control.scenes import spec, stage


def judged(condition: ConditionSpec, result: EvidenceResult) -> EvidenceRecord:
    return trust.judged(condition, result, "asserted", compare)


def checked(document: ScenarioSpec, stage_id: str | None = None, **said: bool) -> Any:
    evidence = {name: EvidenceResult(JsonValue(value), "asserted") for name, value in said.items()}
    found = precheck(Scenario(document, spec_hash(document)), stage_id, evidence, judged)
    return msgspec.to_builtins(found)


def test_what_is_given_decides_and_what_is_not_is_unknown() -> None:
    document = spec(stage("one", "a", "b"), stage("two", to=Terminal()))
    assert checked(document, a=True, b=True)["decision"] == {
        "kind": "advance",
        "from_stage": "one",
        "to_stage": "two",
        "timeout": False,
    }
    held = checked(document, a=False)
    assert held["decision"]["summary"]["unmet_gates"] == ["a", "b"]
    assert [each["status"] for each in held["gate_evaluations"]] == ["False", "Unknown"]
    assert held["gate_evaluations"][1]["trace"] == [{"condition_id": "b", "status": "Unknown"}]
    assert checked(document, "two")["decision"] == {"kind": "complete", "stage_id": "two"}


@pytest.mark.parametrize(("stage_id", "code"), [("three", "stage_not_found"), ("one", "gate_resolution_failed")])
def test_a_stage_that_is_not_there_and_a_branch_that_leads_nowhere_are_errors(stage_id: str, code: str) -> None:
    with pytest.raises(InterlockError) as fault:
        checked(spec(stage("one", "a", to=Branch([BranchRule("a", "false", "one")]))), stage_id, a=True)
    assert fault.value.code == code
