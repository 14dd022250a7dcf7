"""What a provider can be asked, and conditions that ask for it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from interlock.base.canonical import digest
from interlock.base.errors import InterlockError
from interlock.gates.evidence.builtin import BUILTIN
from interlock.gates.evidence.contracts import (
    COMPARATORS,
    CheckContract,
    Contracts,
    ProviderContract,
    Registered,
    check_contract,
    contract_hash,
)
from interlock.gates.evidence.providers import env, exec, http, json, run, time  # noqa: A004 - a provider's name
from interlock.gates.evidence.providers.answers import config_of
from interlock.gates.spec import Comparator
from interlock.gates.values import plain, wire
from tests.unit.gates.evidence.asking import condition, query

CHECK = CheckContract(
    check_id="count",
    description="",
    determinism="external",
    params_required=True,
    params_schema={"type": "object", "required": ["of"], "properties": {"of": {"type": "string"}}},
    result_schema={"type": "integer", "minimum": 0},
    allowed_comparators=["equals", "less_than", "in_set", "exists"],
    anchor_types=[],
    content_types=[],
    examples=[],
)
FREE = replace(CHECK, check_id="free", params_required=False)
CONTRACT = ProviderContract("scans", "Scans", "", "mcp", {"type": "object"}, [CHECK, FREE], [])
CONTRACTS = Contracts([Registered(CONTRACT, "file"), *(Registered(each, "builtin") for each in BUILTIN.values())])


def fault_of(contract: ProviderContract) -> str:
    with pytest.raises(InterlockError) as caught:
        check_contract(contract)
    return caught.value.code


@pytest.mark.parametrize(
    ("provider", "check", "params", "expected", "comparator", "code"),
    [
        ("scans", "count", {"of": "x"}, 3, "equals", None),
        ("scans", "count", {"of": "x"}, None, "equals", None),
        ("scans", "count", {"of": "x"}, None, "exists", None),
        ("scans", "count", {"of": "x"}, [1, 2], "in_set", None),
        ("scans", "count", {"of": "x"}, [], "in_set", None),
        ("scans", "free", UNSET, 3, "equals", None),
        ("none", "none", {}, "x", "contains", "provider_missing"),
        ("scans", "none", {}, "x", "contains", "check_missing"),
        ("scans", "count", UNSET, "x", "contains", "params_missing"),
        ("scans", "count", {}, "x", "contains", "params_invalid"),
        ("scans", "count", {"of": 1}, "x", "contains", "params_invalid"),
        ("scans", "count", "x", "x", "contains", "params_invalid"),
        ("scans", "free", {"of": 1}, 3, "equals", "params_invalid"),
        ("scans", "count", {"of": "x"}, "x", "contains", "expected_invalid"),
        ("scans", "count", {"of": "x"}, -1, "equals", "expected_invalid"),
        ("scans", "count", {"of": "x"}, 1, "in_set", "expected_invalid"),
        ("scans", "count", {"of": "x"}, [1, "2"], "in_set", "expected_invalid"),
        ("scans", "count", {"of": "x"}, 1, "greater_than", "comparator_not_allowed"),
        ("time", "now", UNSET, 1, "contains", "comparator_not_allowed"),
        ("time", "after", {"timestamp": 1}, 1, "equals", "expected_invalid"),
        ("time", "after", {"timestamp": 1}, True, "equals", None),
        ("env", "get", {"key": "K"}, "x", "contains", None),
        ("json", "path", {"file": "x"}, {"any": ["thing"]}, "deep_equals", None),
        ("http", "body_hash", {"url": "https://x/"}, None, "equals", "comparator_not_allowed"),
    ],
)
def test_the_first_fault_of_a_condition_counts(
    provider: str, check: str, params: Any, expected: Any, comparator: Comparator, code: str | None
) -> None:
    asked = condition("wanted", query(provider, check, params), comparator, expected)

    if code is None:
        CONTRACTS.check_condition(asked)
    else:
        with pytest.raises(InterlockError) as caught:
            CONTRACTS.check_condition(asked)
        assert caught.value.code == code
        assert caught.value.details["condition_id"] == "wanted"


def test_a_contract_is_named_by_the_digest_of_its_canonical_form() -> None:
    assert contract_hash(CONTRACT).value == digest(wire(plain(CONTRACT)))
    assert contract_hash(replace(CONTRACT, notes=["more"])) != contract_hash(CONTRACT)
    with pytest.raises(InterlockError) as caught:
        Registered(replace(CONTRACT, config_schema={"x": float("nan")}), "file")
    assert caught.value.code == "contract_hash_failed"


def test_the_registry_lists_each_provider_once() -> None:
    assert [each.contract.provider_id for each in CONTRACTS.all()] == [
        "env",
        "exec",
        "http",
        "json",
        "run",
        "scans",
        "time",
    ]
    with pytest.raises(InterlockError) as caught:
        Contracts([Registered(CONTRACT, "file"), Registered(CONTRACT, "file")])
    assert caught.value.code == "duplicate_provider"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"allowed_comparators": []}, "contract_invalid"),
        ({"allowed_comparators": ["less_than", "equals"]}, "contract_invalid"),
        ({"allowed_comparators": ["equals", "equals"]}, "contract_invalid"),
        ({"check_id": "free"}, "contract_invalid"),
        ({"check_id": " "}, "contract_invalid"),
        ({"params_schema": {"type": "thing"}}, "schema_compile_failed"),
        ({"params_schema": {"$ref": "https://elsewhere/schema"}}, "schema_compile_failed"),
        ({"result_schema": []}, "schema_compile_failed"),
        ({"result_schema": {"pattern": "("}}, "schema_compile_failed"),
    ],
)
def test_a_contract_that_is_not_sound_is_refused(change: dict[str, Any], code: str) -> None:
    assert fault_of(replace(CONTRACT, checks=[replace(CHECK, **change), FREE])) == code


def test_a_contract_without_checks_or_with_an_unsound_configuration_is_refused() -> None:
    assert fault_of(replace(CONTRACT, checks=[])) == "contract_invalid"
    assert fault_of(replace(CONTRACT, config_schema={"type": 1})) == "schema_compile_failed"


def test_comparators_stand_in_the_order_of_the_contract() -> None:
    assert len(COMPARATORS) == 16
    assert (COMPARATORS[0], COMPARATORS[-1]) == ("equals", "not_exists")


@pytest.mark.parametrize("provider", sorted(BUILTIN))
def test_a_built_in_contract_keeps_the_rules_of_all_and_its_examples_fit(provider: str) -> None:
    contract = BUILTIN[provider]

    check_contract(contract)
    assert (contract.provider_id, contract.transport) == (provider, "builtin")
    registered = Registered(contract, "builtin")
    for rules in registered.checks.values():
        assert rules.contract.examples
        for example in rules.contract.examples:
            rules.params.validate(example.params)
            rules.result.validate(example.result)


CONFIGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "time": (time.TimeConfig, {}),
    "env": (env.EnvConfig, {}),
    "json": (json.JsonConfig, {"root": "/", "root_id": "r"}),
    "http": (http.HttpConfig, {}),
    "run": (run.RunConfig, {}),
    "exec": (exec.ExecConfig, {}),
}


@pytest.mark.parametrize("provider", sorted(BUILTIN))
def test_a_built_in_configuration_has_the_members_and_defaults_of_its_contract(provider: str) -> None:
    record, given = CONFIGS[provider]
    schema = BUILTIN[provider].config_schema
    defaults = {name: each["default"] for name, each in schema["properties"].items() if "default" in each}

    made = plain(config_of(provider, given, record))

    assert made == plain(config_of(provider, defaults | given, record))
    assert set(made) == set(schema["properties"])
    assert {name: made[name] for name in defaults} == {
        name: tuple(value) if isinstance(made[name], tuple) else value for name, value in defaults.items()
    }
    assert sorted(schema.get("required", ())) == sorted(given)
    with pytest.raises(InterlockError) as caught:
        config_of(provider, {"unknown": 1}, record)
    assert caught.value.code == "provider_config_invalid"
