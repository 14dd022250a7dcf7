"""What the contract's records take, and what they refuse."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.gates.records import RunConfig, ScenarioStatus, TriggerEvent
from interlock.gates.spec import ConditionSpec, GateSpec
from interlock.gates.values import converted, plain, read, wire

STATUS: dict[str, Any] = {
    "run_id": "r1",
    "scenario_id": "release",
    "current_stage_id": "one",
    "last_decision": None,
    "issued_packet_ids": [],
    "safe_summary": None,
}


def refused(value: Any, record: type[Any]) -> str:
    with pytest.raises(InterlockError) as fault:
        converted(value, record)
    assert fault.value.code == "gate_input_invalid"
    return fault.value.message


@pytest.mark.parametrize("status", ["active", "completed", "failed"])
def test_a_run_is_active_completed_or_failed_and_nothing_else(status: str) -> None:
    assert converted({**STATUS, "status": status}, ScenarioStatus).status == status
    for other in ("Active", "running", "cancelled", None, 1):
        assert "status" in refused({**STATUS, "status": other}, ScenarioStatus)


@pytest.mark.parametrize("identity", [0, -1, "1", 1.0, True, None])
def test_ids_of_tenants_and_namespaces_are_numbers_from_one(identity: Any) -> None:
    given: dict[str, Any] = {
        "run_id": "r",
        "scenario_id": "s",
        "dispatch_targets": [],
        "policy_tags": [],
        "namespace_id": 1,
    }
    assert "tenant_id" in refused({**given, "tenant_id": identity}, RunConfig)
    assert converted({**given, "tenant_id": 2**63}, RunConfig).tenant_id == 2**63


def test_absent_members_are_left_out_or_null_as_the_contract_has_it() -> None:
    query = {"provider_id": "p", "check_id": "c", "params": None}
    given: Any = {
        "condition_id": "a",
        "query": query,
        "comparator": "exists",
        "policy_tags": [],
        "trust": None,
        "new": 1,
    }
    condition = converted(given, ConditionSpec)
    assert wire(condition) == (
        b'{"comparator":"exists","condition_id":"a","expected":null,"policy_tags":[],'
        b'"query":{"check_id":"c","provider_id":"p"}}'
    )
    gate = converted({"gate_id": "g", "requirement": {"Condition": "a"}, "trust": None}, GateSpec)
    assert plain(gate) == {"gate_id": "g", "requirement": {"Condition": "a"}}


def test_numbers_beyond_two_to_the_53_are_spelled_as_doubles() -> None:
    assert wire([2**53 - 1, 2**53, 2**64 - 1, -(2**63)]) == (
        b"[9007199254740991,9007199254740992,18446744073709552000,-9223372036854776000]"
    )
    assert read(b"[18446744073709551615, 18446744073709551616]", list, bytes_max=100) == [2**64 - 1, 2.0**64]


def test_what_is_no_json_of_the_contract_has_no_bytes() -> None:
    with pytest.raises(InterlockError) as fault:
        wire([float("nan")])
    assert fault.value.code == "json_non_finite"


def test_a_place_is_named_and_no_content() -> None:
    given: dict[str, Any] = {
        "trigger_id": "t",
        "tenant_id": 1,
        "namespace_id": 1,
        "run_id": "r",
        "kind": "tick",
        "source_id": "s",
    }
    time = {"kind": "logical", "value": -1}
    assert "$.time" in refused({**given, "time": time}, TriggerEvent)
    assert msgspec.to_builtins(converted({**given, "time": {"kind": "logical", "value": 0}}, TriggerEvent))
