"""The published schema: it takes what the linter takes, and refuses what is wrong in form."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from interlock.base.errors import InterlockError
from interlock.engine.document.findings import Findings
from interlock.engine.document.reading import read_tree
from interlock.engine.document.tree import plain
from interlock.gates.scenario.normalise import SCENARIO
from interlock.gates.scenario.schema import scenario_schema
from interlock.gates.spec import ScenarioSpec
from interlock.gates.values import converted
from tests.unit.gates.scenario.documents import condition, document, gate, packet, stage
from tests.unit.gates.scenario.test_broken_scenarios import BROKEN

SCHEMA = scenario_schema()
RULES = jsonschema_rs.Draft202012Validator(SCHEMA)
REQUIREMENTS = [
    {"Condition": "c"},
    {"And": []},
    {"Or": [{"Not": {"Condition": "c"}}]},
    {"RequireGroup": {"min": 255, "reqs": [{"Condition": "c"}]}},
]
NO_REQUIREMENTS: list[Any] = [
    {},
    [],
    {"And": {}},
    {"and": []},
    {"Not": []},
    {"Condition": 1},
    {"Condition": "c", "Not": {"Condition": "c"}},
    {"RequireGroup": {"min": 256, "reqs": []}},
    {"RequireGroup": {"min": 1}},
    {"RequireGroup": {"min": 1, "reqs": [], "max": 2}},
]


def test_the_schema_is_one_of_its_dialect() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(SCHEMA)


@pytest.mark.parametrize("requirement", [*REQUIREMENTS, "at_least(1, c)"])
def test_the_schema_takes_requirements_as_trees_and_as_texts(requirement: Any) -> None:
    assert RULES.is_valid(document(stages=[stage("a", gates=[gate("g", requirement)])]))


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_what_the_schema_takes_the_records_take(requirement: Any) -> None:
    converted(document(stages=[stage("a", gates=[gate("g", requirement)])]), ScenarioSpec)


@pytest.mark.parametrize("requirement", NO_REQUIREMENTS)
def test_the_schema_refuses_what_is_no_requirement(requirement: Any) -> None:
    assert not RULES.is_valid(document(stages=[stage("a", gates=[{**gate("g"), "requirement": requirement}])]))


def test_the_schema_takes_a_document_with_every_kind_of_member() -> None:
    tree = read_tree((BROKEN / "sound.yaml").read_bytes(), "sound.yaml", Findings("x"), SCENARIO)

    assert tree is not None
    assert [each.message for each in RULES.iter_errors(plain(tree))] == []


@pytest.mark.parametrize(
    "value",
    [
        document(note=1),
        document(namespace_id=0),
        document(default_tenant_id=0),
        document(stages=[stage("a", on_hold="wait")]),
        document(stages=[stage("a", on_timeout="none")]),
        document(stages=[stage("a", advance_to={"kind": "fixed"})]),
        document(stages=[stage("a", advance_to={"kind": "branch", "branches": [{"gate_id": "g"}]})]),
        document(stages=[stage("a", timeout={"timeout_ms": -1, "policy_tags": []})]),
        document(stages=[stage("a", entry_packets=[{**packet("p"), "payload": {"kind": "bytes", "bytes": [256]}}])]),
        document(stages=[stage("a", entry_packets=[{**packet("p"), "expiry": {"kind": "logical", "value": -1}}])]),
        document(conditions=[condition("c", comparator="equal")]),
        document(conditions=[condition("c", max_age_ms=0)]),
        document(conditions=[condition("c", trust={"min_lane": "proven"})]),
        {key: value for key, value in document().items() if key != "policies"},
    ],
)
def test_the_schema_refuses_what_is_wrong_in_form(value: dict[str, Any]) -> None:
    assert not RULES.is_valid(value)
    if "note" not in value:
        with pytest.raises(InterlockError) as caught:
            converted(value, ScenarioSpec)
        assert caught.value.code == "gate_input_invalid"
