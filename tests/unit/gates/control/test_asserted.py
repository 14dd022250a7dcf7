"""Admission and prechecks: what is refused, in which order, and what a stage would come to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from interlock.app import App
from interlock.base.errors import InterlockError
from interlock.gates.config import GatesSettings, ValidationSettings
from interlock.gates.control.admission import admitted, check_binding
from interlock.gates.control.asserted import PrecheckRequest, Prechecks, asserted_evidence
from interlock.gates.control.definitions import Definitions
from interlock.gates.evidence.query import Evidence
from interlock.gates.records import DataShapeRecord, Prechecked
from interlock.gates.shapes.registry import Shapes
from interlock.gates.spec import ScenarioSpec, spec_hash
from interlock.gates.values import Logical, converted, plain
from interlock.parts import PARTS, sections_of
from interlock.settings import load
from tests.unit.gates.control.scenes import ADA

BOOLEAN = {"type": "object", "properties": {"after": {"type": "boolean"}}, "required": ["after"]}


def document(**members: Any) -> dict[str, Any]:
    """A scenario of one gate that opens after the logical time 5."""
    return {
        "scenario_id": "s",
        "namespace_id": 2,
        "spec_version": "1",
        "stages": [
            {
                "stage_id": "one",
                "entry_packets": [],
                "gates": [{"gate_id": "g", "requirement": {"Condition": "after"}}],
                "advance_to": {"kind": "terminal"},
                "on_timeout": "fail",
            }
        ],
        "conditions": [condition()],
        "policies": [],
        "schemas": [],
        **members,
    }


def condition(**members: Any) -> dict[str, Any]:
    query = {"provider_id": "time", "check_id": "after", "params": {"timestamp": 5}, **members.pop("query", {})}
    return {
        "condition_id": "after",
        "query": query,
        "comparator": "equals",
        "expected": True,
        "policy_tags": [],
        **members,
    }


def spec(**members: Any) -> ScenarioSpec:
    return converted(document(**members), ScenarioSpec)


def request(**members: Any) -> PrecheckRequest:
    given = {
        "tenant_id": 1,
        "namespace_id": 2,
        "scenario_id": "s",
        "data_shape": {"schema_id": "shape", "version": "v1"},
        "payload": {"after": True},
        **members,
    }
    return converted(given, PrecheckRequest)


async def prechecked(given: PrecheckRequest, schema: Any = BOOLEAN, *, lane: str = "asserted") -> Prechecked:
    """The precheck in an application with one scenario and one shape."""
    settings = load(sections_of(PARTS), arguments={"gates": {"trust": {"min_lane": lane}}})
    async with App.open(settings=settings) as app:
        definitions, shapes = app.get(Definitions), app.get(Shapes)
        await definitions.define(spec(default_tenant_id=1), principal=ADA)
        await shapes.register(DataShapeRecord(1, 2, "shape", "v1", schema, Logical(1)), ADA)
        await shapes.register(DataShapeRecord(3, 2, "shape", "v1", schema, Logical(1)), ADA)
        validation = settings.get(GatesSettings).validation
        prechecks = Prechecks(definitions, shapes, app.get(Evidence), validation)
        return await prechecks.precheck(given, principal=ADA)


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(InterlockError) as refused:
        call()
    return refused.value.code


@pytest.mark.parametrize(
    ("given", "outcome", "status"),
    [
        (request(), "complete", "True"),
        (request(payload={"after": True, "worker": 1}), "complete", "True"),
        (request(payload={"after": False}), "hold", "False"),
        (request(scenario_id=None, spec=document()), "complete", "True"),
        (request(spec=document(), stage_id="one"), "complete", "True"),
    ],
)
def test_a_stage_comes_to_what_the_data_say(given: PrecheckRequest, outcome: str, status: str) -> None:
    found = plain(asyncio.run(prechecked(given)))
    assert found["decision"]["kind"] == outcome
    assert [gate["status"] for gate in found["gate_evaluations"]] == [status]


def test_asserted_data_never_stand_for_verified_evidence() -> None:
    found = plain(asyncio.run(prechecked(request(), lane="verified")))
    assert (found["decision"]["kind"], found["gate_evaluations"][0]["status"]) == ("hold", "Unknown")


@pytest.mark.parametrize(
    ("given", "schema", "code"),
    [
        (request(data_shape={"schema_id": "none", "version": "v1"}, payload=1), BOOLEAN, "shape_not_found"),
        (request(payload={}, scenario_id="none"), BOOLEAN, "payload_unfit"),
        (request(payload={"after": 1}), BOOLEAN, "payload_unfit"),
        (request(scenario_id=None), BOOLEAN, "precheck_invalid"),
        (request(scenario_id="other", spec=document()), BOOLEAN, "precheck_invalid"),
        (request(spec=document(namespace_id=3)), BOOLEAN, "precheck_invalid"),
        (request(scenario_id="none"), BOOLEAN, "scenario_not_found"),
        (request(tenant_id=3), BOOLEAN, "scenario_not_found"),
        (request(tenant_id=3, spec=document(default_tenant_id=1)), BOOLEAN, "tenant_denied"),
        (request(spec=document(stages=[])), BOOLEAN, "scenario_stages_missing"),
        (request(stage_id="none"), BOOLEAN, "stage_not_found"),
        (request(payload={}), {"type": "object"}, "condition_unbound"),
        (request(), {"type": "object", "properties": {"after": {"type": "string"}}}, "payload_unfit"),
        (
            request(payload={"after": 7}),
            {"type": "object", "properties": {"after": {"type": "integer"}}},
            "comparator_expected_invalid",
        ),
    ],
)
def test_what_cannot_be_prechecked_is_refused_in_the_order_of_the_contract(
    given: PrecheckRequest, schema: Any, code: str
) -> None:
    assert code_of(lambda: asyncio.run(prechecked(given, schema))) == code


def test_a_payload_that_is_no_object_is_the_value_of_the_one_condition_there_is() -> None:
    assert plain(asyncio.run(prechecked(request(payload=True), {"type": "boolean"})))["decision"]["kind"] == "complete"
    two = spec(conditions=[condition(), condition(condition_id="b")])
    assert code_of(lambda: asserted_evidence(two, [True])) == "precheck_invalid"
    assert list(asserted_evidence(two, {"b": None, "c": 1})) == ["b"]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"conditions": [condition(query={"provider_id": "none"})], "stages": []}, "provider_missing"),
        ({"conditions": [condition(query={"check_id": "none"})]}, "check_missing"),
        ({"conditions": [condition(query={"params": None})]}, "params_missing"),
        ({"conditions": [condition(query={"params": {"timestamp": []}})]}, "params_invalid"),
        ({"conditions": [condition(expected=1)]}, "expected_invalid"),
        ({"conditions": [condition(comparator="contains")]}, "comparator_not_allowed"),
        ({"conditions": [condition(expected=None)], "stages": []}, "comparator_expected_invalid"),
        ({"stages": []}, "scenario_stages_missing"),
    ],
)
def test_a_scenario_is_held_against_contracts_then_types_then_the_rules(members: dict[str, Any], code: str) -> None:
    async def admit() -> None:
        async with App.open() as app:
            admitted(spec(**members), app.get(Evidence).contracts, ValidationSettings())

    assert code_of(lambda: asyncio.run(admit())) == code


def test_without_strict_validation_types_are_not_held_against_comparators() -> None:
    lenient = ValidationSettings(strict=False, allow_permissive=True)

    async def admit() -> ScenarioSpec:
        async with App.open() as app:
            given = spec(conditions=[condition(expected=None)])
            normal = admitted(given, app.get(Evidence).contracts, lenient)
            assert normal.spec_hash == spec_hash(given)
            return normal.spec

    check_binding(asyncio.run(admit()), {"type": "object"}, lenient)
