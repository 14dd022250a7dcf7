"""The normal form: which documents are the same scenario, and what names it."""

from __future__ import annotations

import hashlib
import json
from random import Random
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.errors import InterlockError
from interlock.gates.scenario.lint import ScenarioLinter
from interlock.gates.scenario.normalise import SCENARIO, normalise
from tests.unit.gates.scenario.documents import condition, document, gate, packet, read_text, stage

TRUSTED = {"min_lane": "asserted"}
FULL = document(
    stages=[
        stage(
            "a",
            entry_packets=[packet("p")],
            gates=[{**gate("g", {"Or": [{"Condition": "c"}, {"Not": {"Condition": "d"}}]}), "trust": TRUSTED}],
            timeout={"timeout_ms": 1_000, "policy_tags": ["slow"]},
            on_timeout="alternate_branch",
            advance_to={
                "kind": "branch",
                "branches": [{"gate_id": "g", "outcome": "unknown", "next_stage_id": "b"}],
                "default": None,
            },
        ),
        stage("b"),
    ],
    conditions=[
        condition("c", comparator="equals", expected={"é": 1.5, "\U0001f600": [True, None], "z": 1e21}, trust=TRUSTED),
        condition("d", query={"provider_id": "env", "check_id": "get", "params": {"key": "A"}}, expected=None),
    ],
    policies=[{"policy_id": "p", "description": None}],
    schemas=[{"schema_id": "s", "version": "1", "uri": None}],
    default_tenant_id=7,
)
OURS = document(
    stages=[stage("a", on_hold="hold", auto_tick=False, timeout={"timeout_ms": 1, "policy_tags": []})],
    conditions=[condition("c", max_age_ms=5, expected=None)],
    default_tenant_id=None,
)
SMALL = document(conditions=[condition("c", expected=None)], default_tenant_id=None)
GOLDEN = [
    (FULL, "762e9e0b22c8c460a21330b3a88eafccb4acba5ea154ec400272d400874fb633"),
    (OURS, "6f2645f02e2896bbd405d37efa36f1dba1ff988981b385b13bda550152d67fcc"),
    (SMALL, "80b6dfa7971ae540f18072d45f19b03dc290599a9e0336c4c0e9ec28012d2e5f"),
]


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def refused(content: bytes, **options: Any) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        normalise(content, **options)
    return caught.value


@pytest.mark.parametrize(("value", "golden"), GOLDEN)
def test_the_hash_is_that_of_the_canonical_bytes_of_the_document(value: dict[str, Any], golden: str) -> None:
    content = rfc8785.dumps(value)

    normal = normalise(encoded(value))

    assert normal.content == content
    assert normal.spec_hash.value == hashlib.sha256(content).hexdigest() == golden


def shuffled(value: Any, order: Random) -> Any:
    """The same JSON value with the members of its objects in another order."""
    if isinstance(value, dict):
        keys = list(value)
        order.shuffle(keys)
        return {key: shuffled(value[key], order) for key in keys}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@given(order=st.randoms(use_true_random=False), indent=st.none() | st.integers(0, 8), escaped=st.booleans())
def test_neither_the_order_of_members_nor_white_space_nor_escapes_change_the_scenario(
    order: Random, indent: int | None, escaped: bool
) -> None:
    text = json.dumps(shuffled(FULL, order), indent=indent, ensure_ascii=escaped)

    assert normalise(text.encode()) == normalise(encoded(FULL))


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(expected=_VALUES, params=_VALUES)
def test_a_normal_form_is_its_own_normal_form(expected: Any, params: Any) -> None:
    query = {"provider_id": "p", "check_id": "c", "params": params}
    normal = normalise(encoded(document(conditions=[condition("c", expected=expected, query=query)])))

    assert normalise(normal.content) == normal


def test_yaml_and_json_and_the_text_of_a_requirement_are_the_same_scenario() -> None:
    yaml = b"""\
scenario_id: small
namespace_id: 1
spec_version: "1"
stages:
  - stage_id: only
    entry_packets: []
    gates: [{gate_id: g, requirement: "all(c, not c)"}]
    advance_to: {kind: terminal}
    on_timeout: fail
conditions:
  - {condition_id: c, query: {provider_id: time, check_id: now}, comparator: exists, policy_tags: []}
policies: []
schemas: []
"""
    tree = {"And": [{"Condition": "c"}, {"Not": {"Condition": "c"}}]}
    value = document(stages=[stage("only", gates=[gate("g", tree)])])

    assert normalise(yaml, read_text, is_yaml=True) == normalise(encoded(value)) == normalise(encoded(value), read_text)


def test_members_that_no_record_knows_and_nulls_that_stand_for_absence_change_nothing() -> None:
    written = document(
        stages=[stage("only", gates=[{**gate("only-gate"), "trust": None}], note="x")],
        conditions=[condition("c", trust=None, query={"provider_id": "time", "check_id": "now", "params": None})],
        comment={"anything": 1},
    )

    assert normalise(encoded(written)) == normalise(encoded(SMALL))


def test_the_record_is_what_the_canonical_bytes_say() -> None:
    normal = normalise(encoded(document(conditions=[condition("c", comparator="in_set", expected=[1.0, 2**60 + 1])])))

    [kept] = normal.spec.conditions
    assert [(value, type(value)) for value in kept.expected] == [(1, int), (1152921504606847000, int)]


@pytest.mark.parametrize("number", [2**53 - 1, 2**53 + 1, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 10**30, 1.5, 1e300])
def test_numbers_are_the_same_in_json_and_yaml_and_to_the_linter(number: float) -> None:
    content = encoded(document(conditions=[condition("c", comparator="equals", expected=number)]))
    normal = normalise(content)

    assert normalise(content, is_yaml=True) == normal
    assert [ScenarioLinter().content(content, name).normalised for name in ("x.json", "x.yaml")] == [normal, normal]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"namespace_id": 2**53 + 1}, "an id beyond"),
        ({"default_tenant_id": 2**53 + 1}, "an id beyond"),
        ({"namespace_id": 2**64 - 1}, "an integer near"),
    ],
)
def test_ids_that_would_be_others_in_the_normal_form_are_refused(members: dict[str, int], message: str) -> None:
    fault = refused(encoded(document(**members)))

    assert fault.code == "scenario_invalid"
    assert fault.message.startswith(message)


def test_an_id_that_its_double_holds_is_kept() -> None:
    assert normalise(encoded(document(namespace_id=2**53))).spec.namespace_id == 2**53


WRONG = [
    (b"", "json_invalid"),
    (b"\xff", "json_invalid"),
    (b'{"a": 1, "a": 2}', "json_duplicate_key"),
    (b"[" * 65 + b"]" * 65, "json_too_deep"),
    (b"[NaN]", "json_non_finite"),
    (b"[]", "gate_input_invalid"),
    (encoded({**SMALL, "namespace_id": 0}), "gate_input_invalid"),
    (encoded({**SMALL, "namespace_id": True}), "gate_input_invalid"),
    (encoded({**SMALL, "stages": [stage("a", gates=[gate("g", "c")])]}), "gate_input_invalid"),
    (encoded({**SMALL, "stages": []}), "scenario_stages_missing"),
]


@pytest.mark.parametrize(("content", "code"), WRONG)
def test_what_is_no_scenario_is_refused(content: bytes, code: str) -> None:
    assert refused(content).code == code


def test_more_bytes_than_a_document_may_have_are_refused() -> None:
    fault = refused(b" " * (SCENARIO.json_bytes_max + 1))

    assert (fault.code, fault.details) == ("json_too_large", {"limit_bytes": 16 * 1024 * 1024})


@pytest.mark.parametrize(
    ("content", "rule", "line"),
    [
        (b"a: [1", "yaml_syntax", 1),
        (b"a: 1\nb: &x 2\n", "yaml_anchor", 2),
        (b"#" * (1024 * 1024 + 1), "file_too_large", 1),
        (b"a: " + b"[" * 64, "too_deep", 1),
    ],
)
def test_yaml_that_cannot_be_read_is_refused_with_its_place(content: bytes, rule: str, line: int) -> None:
    fault = refused(content, is_yaml=True)

    assert (fault.code, fault.details["rule"], fault.details["line"]) == ("scenario_invalid", rule, line)


def test_a_text_that_is_no_requirement_is_refused_with_its_gate() -> None:
    fault = refused(encoded(document(stages=[stage("a", gates=[gate("g", "c and")])])), read_text=read_text)

    assert (fault.code, fault.details) == ("requirement_invalid", {"gate_id": "g", "byte": 5})
    assert fault.message == "the requirement of the gate g: a name is expected at byte 5"
