"""Validation in the order of the contract, and its codes."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.gates.scenario.validate import validate
from interlock.gates.spec import ScenarioSpec
from interlock.gates.values import converted
from tests.unit.gates.scenario.documents import condition, document, gate, packet, stage


def refused(value: dict[str, Any]) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        validate(converted(value, ScenarioSpec))
    return caught.value


def asking(provider_id: str, check_id: str) -> dict[str, Any]:
    return condition("c", query={"provider_id": provider_id, "check_id": check_id})


TWO_GATES = [stage("a", gates=[gate("g")]), stage("b", gates=[gate("g")])]
TWO_PACKETS = [
    stage("a", entry_packets=[packet("p")]),
    stage("b", entry_packets=[packet("p")]),
]
UNDEFINED = {"RequireGroup": {"min": 1, "reqs": [{"And": [{"Not": {"Condition": "x"}}]}, {"Condition": "y"}]}}
BRANCH = {"kind": "branch", "branches": [{"gate_id": "g", "outcome": "true", "next_stage_id": "x"}], "default": "y"}
CASES = [
    (document(stages=[]), "scenario_stages_missing", {}),
    (document(stages=[stage("a"), stage("a")]), "scenario_stage_duplicate", {"stage_id": "a"}),
    (document(stages=TWO_GATES), "scenario_gate_duplicate", {"gate_id": "g"}),
    (document(stages=TWO_PACKETS), "scenario_packet_duplicate", {"packet_id": "p"}),
    (document(conditions=[condition("c"), condition("c")]), "scenario_condition_duplicate", {"condition_id": "c"}),
    (
        document(conditions=[asking(" ", "now")]),
        "scenario_query_invalid",
        {"condition_id": "c", "reason": "provider_id is blank"},
    ),
    (
        document(conditions=[asking("time", "")]),
        "scenario_query_invalid",
        {"condition_id": "c", "reason": "check_id is blank"},
    ),
    (
        document(stages=[stage("a", gates=[gate("g", UNDEFINED)])]),
        "scenario_condition_undefined",
        {"gate_id": "g", "condition_id": "x"},
    ),
    (
        document(stages=[stage("a", advance_to={"kind": "fixed", "stage_id": "b"})]),
        "scenario_target_unknown",
        {"stage_id": "a", "next_stage_id": "b"},
    ),
    (
        document(stages=[stage("a", advance_to=BRANCH)]),
        "scenario_target_unknown",
        {"stage_id": "a", "next_stage_id": "x"},
    ),
    (
        document(stages=[stage("a", advance_to={**BRANCH, "branches": []})]),
        "scenario_target_unknown",
        {"stage_id": "a", "next_stage_id": "y"},
    ),
]


@pytest.mark.parametrize(("value", "code", "details"), CASES)
def test_a_scenario_that_does_not_hold_together_is_refused(value: Any, code: str, details: dict[str, str]) -> None:
    fault = refused(value)

    assert (fault.code, fault.details) == (code, details)
    assert fault.advice


def test_the_first_rule_of_the_contract_that_is_broken_is_the_one_that_is_named() -> None:
    wrong: dict[str, Any] = document(
        stages=[
            stage("a", gates=[gate("g"), gate("g", {"Condition": "x"})], entry_packets=[packet("p"), packet("p")]),
            stage("a", gates=[], advance_to={"kind": "fixed", "stage_id": "b"}),
        ],
        conditions=[asking("", "now"), condition("c")],
    )
    codes = []
    repairs: list[Any] = [
        lambda: wrong["stages"][1].update(stage_id="z"),
        lambda: wrong["stages"][0]["gates"][1].update(gate_id="h"),
        wrong["stages"][0]["entry_packets"].pop,
        wrong["conditions"].pop,
        lambda: wrong["conditions"][0]["query"].update(provider_id="time"),
        wrong["stages"][0]["gates"].pop,
        lambda: wrong["stages"][1]["advance_to"].update(stage_id="a"),
    ]
    for repair in repairs:
        codes.append(refused(wrong).code.removeprefix("scenario_"))
        repair()

    assert codes == [
        "stage_duplicate",
        "gate_duplicate",
        "packet_duplicate",
        "condition_duplicate",
        "query_invalid",
        "condition_undefined",
        "target_unknown",
    ]
    validate(converted(wrong, ScenarioSpec))


def test_a_condition_is_missed_however_deep_it_stands() -> None:
    requirement: dict[str, Any] = {"Condition": "nobody"}
    for _ in range(50):
        requirement = {"Not": requirement}

    assert refused(document(stages=[stage("a", gates=[gate("g", requirement)])])).details["condition_id"] == "nobody"


def test_what_the_contract_leaves_open_is_not_refused() -> None:
    branches = [{"gate_id": "nobody", "outcome": "false", "next_stage_id": "b"}]
    open_ended = document(
        stages=[
            stage("a", advance_to={"kind": "branch", "branches": branches}),
            stage("b", gates=[gate("g", {"RequireGroup": {"min": 9, "reqs": []}})], advance_to={"kind": "linear"}),
            stage("", gates=[]),
        ]
    )

    validate(converted(open_ended, ScenarioSpec))
