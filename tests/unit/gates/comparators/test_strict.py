"""Strict validation of a condition against the schema of its value, error by error (seed 000)."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.base.errors import Invalid
from interlock.gates.comparators.strict import Enabled, check_condition
from interlock.gates.comparators.types import COMPARATORS, DEEP, LEXICOGRAPHIC
from interlock.gates.spec import ConditionSpec, EvidenceQuery

ALL = Enabled(lexicographic=True, deep_equals=True)
COMMON = Enabled()
STRING, NUMBER = {"type": "string"}, {"type": "number"}
SCALARS = {"type": "array", "items": {"type": "integer"}}
DYNAMIC = {"x-decision-gate": {"dynamic_type": True}}


def listing(schema: dict[str, Any], *comparators: Any) -> dict[str, Any]:
    """A schema that lists comparators."""
    return {**schema, "x-decision-gate": {**schema.get("x-decision-gate", {}), "allowed_comparators": [*comparators]}}


def refusal(comparator: Any, expected: Any, schema: Any, enabled: Enabled = COMMON) -> Invalid | None:
    """Why a condition is refused; None where it is not."""
    condition = ConditionSpec("c-1", EvidenceQuery("env", "get"), comparator, [], expected)
    try:
        check_condition(condition, schema, enabled)
    except Invalid as refused:
        return refused
    return None


def code(comparator: Any, expected: Any, schema: Any, enabled: Enabled = COMMON) -> str:
    """The code with which a condition is refused; nothing where it is not."""
    refused = refusal(comparator, expected, schema, enabled)
    return "" if refused is None else refused.code


@pytest.mark.parametrize(
    ("comparator", "expected", "schema"),
    [
        ("equals", "a", STRING),
        ("contains", "", STRING),
        ("in_set", ["a", "b"], STRING),
        ("in_set", [], STRING),
        ("exists", None, STRING),
        ("not_exists", None, SCALARS),
        ("greater_than", 1, NUMBER),
        ("less_than", 1.5, NUMBER),
        ("less_than", 2**64 - 1, NUMBER),
        ("equals", 1.0, {"type": "integer"}),
        ("less_than", "2024-01-01", {"type": "string", "format": "date"}),
        ("less_than", "no date at all", {"type": "string", "format": "date"}),
        ("contains", [1], SCALARS),
        ("contains", [], SCALARS),
        ("in_set", [None, "a"], {"type": ["string", "null"]}),
        ("equals", "a", {"enum": ["a"]}),
        ("equals", {"any": ["thing"]}, DYNAMIC),
        ("greater_than", "b", DYNAMIC),
        ("equals", "a", listing(STRING, "equals", "exists")),
        ("equals", "a", listing(STRING, "equals", "equals")),
        ("equals", "a", {"oneOf": [STRING, {"type": "null"}]}),
    ],
    ids=repr,
)
def test_a_condition_that_can_work_is_taken(comparator: Any, expected: Any, schema: Any) -> None:
    assert code(comparator, expected, schema) == ""


@pytest.mark.parametrize(
    ("comparator", "expected", "schema"),
    [
        ("greater_than", "a", STRING),
        ("deep_equals", "a", STRING),
        ("contains", 1, NUMBER),
        ("in_set", [[1]], SCALARS),
        ("equals", [1], SCALARS),
        ("equals", {}, {"type": "object"}),
        ("contains", [1], {"type": "array"}),
        ("in_set", [None], {"type": "null"}),
        ("contains", "a", {"enum": ["a"]}),
        ("contains", "a", {"type": ["string", "integer"]}),
        ("contains", "2024", {"type": "string", "format": "date"}),
        ("contains", "a", {"type": "string", "format": "uuid"}),
    ],
    ids=repr,
)
def test_a_comparator_that_is_not_for_the_type_is_forbidden(comparator: Any, expected: Any, schema: Any) -> None:
    assert code(comparator, expected, schema, ALL) == "comparator_forbidden"


@pytest.mark.parametrize("comparator", sorted(LEXICOGRAPHIC))
def test_order_of_texts_needs_to_be_enabled_and_to_be_listed(comparator: str) -> None:
    listed, others = listing(STRING, comparator), listing(STRING, "equals")

    assert code(comparator, "a", STRING) == "comparator_disabled"
    assert code(comparator, "a", STRING, ALL) == "comparator_not_listed"
    assert code(comparator, "a", others, ALL) == "comparator_not_listed"
    assert code(comparator, "a", listed) == "comparator_disabled"
    assert code(comparator, "a", listed, Enabled(deep_equals=True)) == "comparator_disabled"
    assert code(comparator, "a", listed, Enabled(lexicographic=True)) == ""


@pytest.mark.parametrize("comparator", sorted(DEEP))
@pytest.mark.parametrize("schema", [SCALARS, {"type": "array"}])
def test_deep_equality_needs_to_be_enabled_and_to_be_listed(comparator: str, schema: dict[str, Any]) -> None:
    assert code(comparator, [1], schema) == "comparator_disabled"
    assert code(comparator, [1], schema, ALL) == "comparator_not_listed"
    assert code(comparator, [1], listing(schema, comparator), Enabled(lexicographic=True)) == "comparator_disabled"
    assert code(comparator, [1], listing(schema, comparator), Enabled(deep_equals=True)) == ""


def test_values_of_any_type_need_no_list_yet_what_is_not_enabled_is_refused() -> None:
    refused = {each: code(each, [] if each == "in_set" else None, DYNAMIC) for each in COMPARATORS}

    assert {each for each, kind in refused.items() if kind == "comparator_disabled"} == LEXICOGRAPHIC | DEEP
    assert code("lex_less_than", "a", DYNAMIC, ALL) == code("deep_equals", [1], DYNAMIC, ALL) == ""
    assert code("equals", "a", listing(DYNAMIC, "exists"), ALL) == "comparator_not_listed"


def test_a_list_is_all_that_is_allowed() -> None:
    assert code("not_equals", "a", listing(STRING, "equals")) == "comparator_not_listed"
    assert code("exists", None, listing(STRING, "equals")) == "comparator_not_listed"


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        (listing(STRING), "comparator_schema_invalid"),
        (listing(STRING, "like"), "comparator_schema_invalid"),
        (listing(STRING, 1), "comparator_schema_invalid"),
        (listing(STRING, ["equals"]), "comparator_schema_invalid"),
        ({**STRING, "x-decision-gate": {"allowed_comparators": "equals"}}, "comparator_schema_invalid"),
        ({**STRING, "x-decision-gate": {"allowed_comparators": None}}, "comparator_schema_invalid"),
        ({**STRING, "x-decision-gate": 1}, "comparator_schema_invalid"),
        (listing(STRING, "equals", "greater_than"), "comparator_forbidden"),
        (listing(STRING, "equals", "lex_less_than"), "comparator_disabled"),
        (listing(SCALARS, "contains", "deep_equals"), "comparator_disabled"),
        ({}, "comparator_schema_invalid"),
        ({"type": "string", "pattern": "("}, "comparator_schema_invalid"),
        ({"type": "string", "maxLength": "long"}, "comparator_schema_invalid"),
        ({"type": "string", "$ref": "https://example.com/schema"}, "comparator_schema_invalid"),
        ({"type": "string", "$ref": "#/nowhere"}, "comparator_schema_invalid"),
    ],
    ids=repr,
)
def test_a_schema_that_cannot_be_held_to_is_refused(schema: Any, wanted: str) -> None:
    assert code("equals", "a", schema) == wanted


@pytest.mark.parametrize(
    ("comparator", "expected", "schema", "place"),
    [
        ("equals", 1, STRING, ""),
        ("equals", "b", {"enum": ["a"]}, ""),
        ("greater_than", "1", NUMBER, ""),
        ("greater_than", True, NUMBER, ""),
        ("equals", 1.5, {"type": "integer"}, ""),
        ("equals", 5, {"type": "integer", "maximum": 4}, ""),
        ("contains", [1, "a"], SCALARS, "/1"),
        ("contains", 1, SCALARS, ""),
        ("in_set", ["a", "b", 1], STRING, "/2"),
        ("in_set", [None], STRING, "/0"),
        ("equals", {"a": {"b": [True]}}, {**DYNAMIC, "properties": {"a": {"properties": {"b": SCALARS}}}}, "/a/b/0"),
        ("equals", {"a": 1}, {**DYNAMIC, "properties": {"a": False}}, "/a"),
    ],
    ids=repr,
)
def test_an_expected_value_has_to_fit_the_schema_at_every_place(
    comparator: Any, expected: Any, schema: Any, place: str
) -> None:
    refused = refusal(comparator, expected, schema)

    assert refused is not None
    assert (refused.code, refused.details) == ("comparator_expected_invalid", {"place": place})


@pytest.mark.parametrize(
    ("comparator", "expected", "schema"),
    [
        ("exists", True, STRING),
        ("not_exists", "a", STRING),
        ("equals", None, STRING),
        ("equals", None, {"type": "null"}),
        ("greater_than", None, NUMBER),
        ("contains", None, STRING),
        ("in_set", None, STRING),
        ("in_set", "a", STRING),
        ("in_set", {"0": "a"}, STRING),
    ],
    ids=repr,
)
def test_an_expected_value_is_there_where_the_comparator_takes_one(comparator: Any, expected: Any, schema: Any) -> None:
    assert code(comparator, expected, schema) == "comparator_expected_invalid"


def test_a_refusal_names_condition_and_comparator_and_never_the_value() -> None:
    refused = refusal("equals", 123456789, STRING)

    assert refused is not None
    assert "c-1: equals" in refused.message
    assert "type" in refused.message
    assert "123456789" not in str(refused)
