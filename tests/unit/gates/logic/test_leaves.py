"""What is told of a scenario's condition, and what is withheld."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.gates.evidence.records import EvidenceResult, failed
from interlock.gates.logic.explain import Explanation, explain
from interlock.gates.logic.leaves import Disclosure, EvidenceDetail, leaf_of, told
from interlock.gates.logic.status import Status
from interlock.gates.logic.text import requirement_from
from interlock.gates.records import EvidenceRecord
from interlock.gates.spec import Comparator, ConditionSpec, EvidenceQuery
from interlock.gates.values import BytesValue, JsonValue, hash_of

HIDDEN = "not to be seen"
HASH = hash_of(b"x")
OPEN = Disclosure(evidence=True, expected=True)


def condition(comparator: Comparator = "equals", expected: Any = HIDDEN) -> ConditionSpec:
    return ConditionSpec("c", EvidenceQuery("env", "get"), comparator, [], expected)


def record(status: Status, result: EvidenceResult) -> EvidenceRecord:
    return EvidenceRecord("c", status, result)


FOUND = record(Status.TRUE, EvidenceResult(JsonValue(HIDDEN), "asserted", evidence_hash=HASH))


def test_a_leaf_tells_query_comparator_lane_age_and_hash_and_withholds_values() -> None:
    leaf = leaf_of(condition(), FOUND, Disclosure(), age_ms=1_500)

    assert (leaf.status, leaf.why) == (Status.TRUE, "equals holds")
    assert leaf.detail == EvidenceDetail(
        provider_id="env",
        check_id="get",
        comparator="equals",
        lane="asserted",
        age_ms=1_500,
        evidence_hash=HASH,
        withheld=("expected", "value"),
    )
    assert HIDDEN.encode() not in msgspec.json.encode(leaf)
    assert told(leaf.detail) == "env.get, asserted, 1500 ms old, not disclosed: expected, value"


def test_what_was_asked_is_told_with_the_expected_value_alone() -> None:
    asked = ConditionSpec("c", EvidenceQuery("json", "path", {"file": "a.json", "jsonpath": "$.x"}), "equals", [], True)
    told_of = leaf_of(asked, FOUND, Disclosure(expected=True)).detail
    assert isinstance(told_of, EvidenceDetail)
    assert told(told_of).startswith('json.path {"file":"a.json","jsonpath":"$.x"}, asserted, expects')
    hidden = leaf_of(asked, FOUND, Disclosure(evidence=True)).detail
    assert isinstance(hidden, EvidenceDetail)
    assert hidden.params is msgspec.UNSET


def test_values_are_told_where_they_are_disclosed_each_on_its_own() -> None:
    both = leaf_of(condition(), FOUND, OPEN).detail
    assert isinstance(both, EvidenceDetail)
    assert (both.value, both.expected, both.withheld) == (JsonValue(HIDDEN), HIDDEN, ())
    assert told(both) == f'env.get, asserted, is "{HIDDEN}", expects equals "{HIDDEN}"'

    expected = leaf_of(condition(), FOUND, Disclosure(expected=True)).detail
    assert isinstance(expected, EvidenceDetail)
    assert (expected.value, expected.expected, expected.withheld) == (msgspec.UNSET, HIDDEN, ("value",))


def test_what_is_not_there_is_not_withheld() -> None:
    leaf = leaf_of(condition("exists", None), record(Status.FALSE, EvidenceResult()), Disclosure())

    assert leaf.why == "exists does not hold"
    assert isinstance(leaf.detail, EvidenceDetail)
    assert leaf.detail.withheld == ()
    assert told(leaf.detail) == "env.get, verified"


@pytest.mark.parametrize(
    ("evidence", "why"),
    [
        (None, "there is no evidence"),
        (record(Status.UNKNOWN, EvidenceResult()), "its evidence has no value"),
        (record(Status.UNKNOWN, failed("evidence_stale", HIDDEN, HIDDEN)), "its evidence is an error, evidence_stale"),
        (
            record(Status.UNKNOWN, EvidenceResult(BytesValue([1]))),
            "equals cannot compare what is there with what is expected",
        ),
    ],
)
def test_what_is_unknown_says_why_and_never_shows_a_value(evidence: EvidenceRecord | None, why: str) -> None:
    leaf = leaf_of(condition(), evidence, Disclosure())

    assert (leaf.status, leaf.why) == (Status.UNKNOWN, why)
    assert HIDDEN.encode() not in msgspec.json.encode(leaf)


def test_an_error_is_told_by_its_code_alone() -> None:
    leaf = leaf_of(condition(), record(Status.UNKNOWN, failed("trust_lane", HIDDEN)), OPEN)

    assert isinstance(leaf.detail, EvidenceDetail)
    assert leaf.detail.error == "trust_lane"
    assert b'"message"' not in msgspec.json.encode(leaf)


def test_a_long_value_is_cut_in_the_text() -> None:
    detail = leaf_of(condition(expected="x" * 1_000), None, OPEN).detail

    assert isinstance(detail, EvidenceDetail)
    assert len(told(detail)) < 200


def test_an_explanation_with_such_leaves_is_the_same_after_a_journey_through_json() -> None:
    leaves = {"c": leaf_of(condition(), FOUND, OPEN, age_ms=1)}
    found = explain(requirement_from("c and not d"), leaves)

    assert msgspec.json.decode(msgspec.json.encode(found), type=Explanation[EvidenceDetail]) == found
