"""The type matrix, class by class and comparator by comparator, and how a schema's class is found (seed 000)."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.base.errors import Invalid
from interlock.gates.comparators.types import (
    COMPARATORS,
    DEEP,
    LEXICOGRAPHIC,
    MATRIX,
    TypeClass,
    allowed_by,
    meta_of,
    without_null,
)

# A letter for each comparator in their order: always allowed, opt-in, or forbidden.
ROWS = {
    "dynamic": "AAAAAAAAAAAAAAAA",
    "boolean": "AA.........A..AA",
    "number": "AAAAAA.....A..AA",
    "string": "AA....ooooAA..AA",
    "choice": "AA.........A..AA",
    "time": "AAAAAA.....A..AA",
    "scalars": "..........A.ooAA",
    "structure": "............ooAA",
    "null": "AA............AA",
}
DYNAMIC = {"x-decision-gate": {"dynamic_type": True}}


def row(schema: Any) -> str:
    """What a schema allows, in the letters of the matrix."""
    allowed = allowed_by(schema)
    assert not allowed.always & allowed.listed
    return "".join("A" if each in allowed.always else "o" if each in allowed.listed else "." for each in COMPARATORS)


def test_there_are_sixteen_comparators_in_the_order_of_contracts() -> None:
    assert COMPARATORS == (
        "equals",
        "not_equals",
        "greater_than",
        "greater_than_or_equal",
        "less_than",
        "less_than_or_equal",
        "lex_greater_than",
        "lex_greater_than_or_equal",
        "lex_less_than",
        "lex_less_than_or_equal",
        "contains",
        "in_set",
        "deep_equals",
        "deep_not_equals",
        "exists",
        "not_exists",
    )
    assert (len(LEXICOGRAPHIC), len(DEEP)) == (4, 2)
    assert {each.name.lower() for each in TypeClass} == {each.name.lower() for each in MATRIX} == set(ROWS)


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        (DYNAMIC, "dynamic"),
        ({"type": "integer", **DYNAMIC}, "dynamic"),
        ({"type": "boolean", "x-decision-gate": {"dynamic_type": False}}, "boolean"),
        ({"type": "boolean", "x-decision-gate": {}}, "boolean"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "integer"}, "number"),
        ({"type": "number", "minimum": 0}, "number"),
        ({"type": "string"}, "string"),
        ({"type": "string", "format": "email"}, "string"),
        ({"type": "string", "format": ["date"]}, "string"),
        ({"type": "string", "enum": ["a", "b"]}, "choice"),
        ({"enum": ["a"]}, "choice"),
        ({"enum": [1, 2.5]}, "choice"),
        ({"enum": [True, False]}, "choice"),
        ({"type": "string", "format": "uuid"}, "choice"),
        ({"type": "string", "format": "date"}, "time"),
        ({"type": "string", "format": "date-time"}, "time"),
        ({"type": "integer", "format": "date"}, "number"),
        ({"type": "array", "items": {"type": "string"}}, "scalars"),
        ({"type": "array", "items": {"type": ["integer", "null"]}}, "scalars"),
        ({"type": "array", "items": {"type": ["integer", "string"]}}, "scalars"),
        ({"type": "array", "items": {"type": "null"}}, "scalars"),
        ({"type": "array", "items": {"type": "string", "format": "uuid"}}, "scalars"),
        ({"type": "array", "items": {"enum": ["a"]}}, "scalars"),
        ({"type": "array"}, "structure"),
        ({"type": "array", "items": True}, "structure"),
        ({"type": "array", "items": {}}, "structure"),
        ({"type": "array", "items": DYNAMIC}, "structure"),
        ({"type": "array", "items": {"type": "object"}}, "structure"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, "structure"),
        ({"type": "array", "items": {"type": ["string", "object"]}}, "structure"),
        ({"type": "array", "items": {"oneOf": [{"type": "string"}]}}, "structure"),
        ({"type": "object", "properties": {}}, "structure"),
        ({"type": "null"}, "null"),
        ({"enum": [None]}, "null"),
        ({"enum": "a", "type": "boolean"}, "boolean"),
        ({"type": ["boolean"]}, "boolean"),
        ({"type": ["null"]}, "null"),
        ({"type": ["null", "null"]}, "null"),
        ({"type": ["string", "null"]}, "string"),
        ({"type": ["null", "integer"]}, "number"),
        ({"type": ["integer", "number"]}, "number"),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, "string"),
        ({"anyOf": [{"enum": [None]}, {"type": "number"}]}, "number"),
        ({"anyOf": [{"type": ["null"]}, {"type": "null"}]}, "null"),
        ({"oneOf": [{"oneOf": [{"type": "null"}, {"type": "boolean"}]}]}, "boolean"),
        ({"oneOf": [{"type": "string"}], "anyOf": [{"type": "number"}]}, "string"),
        ({"oneOf": [{"type": "string"}], **DYNAMIC}, "string"),
        ({"oneOf": "none", "type": "string"}, "string"),
    ],
    ids=repr,
)
def test_a_schema_allows_what_its_class_allows(schema: Any, name: str) -> None:
    assert row(schema) == ROWS[name]


@pytest.mark.parametrize(
    ("schema", "both"),
    [
        ({"type": ["string", "integer"]}, "AA.........A..AA"),
        ({"type": ["string", "boolean", "null"]}, "AA.........A..AA"),
        ({"type": ["string", "object"]}, "..............AA"),
        ({"type": ["object", "array"]}, "............ooAA"),
        ({"oneOf": [{"type": "string"}, DYNAMIC]}, "AA....ooooAA..AA"),
        ({"anyOf": [DYNAMIC, {"type": "array", "items": {"type": "integer"}}]}, "..........A.ooAA"),
        ({"anyOf": [{"type": "array"}, {"type": "array", "items": {"type": "integer"}}]}, "............ooAA"),
        ({"oneOf": [{"type": "string"}, {"type": "string", "format": "date"}]}, "AA.........A..AA"),
        ({"oneOf": [{"type": "integer"}, {"type": "string", "format": "date-time"}]}, "AAAAAA.....A..AA"),
        ({"oneOf": [{"type": ["null", "string"]}, {"type": "null"}]}, "AA....ooooAA..AA"),
    ],
    ids=repr,
)
def test_several_types_allow_what_each_of_them_allows(schema: Any, both: str) -> None:
    assert row(schema) == both


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        "string",
        {},
        {"type": None},
        {"type": 1},
        {"type": []},
        {"type": ["string", 1]},
        {"type": "text"},
        {"type": ["string", "text"]},
        {"enum": []},
        {"enum": [1, "a"]},
        {"enum": [None, "a"]},
        {"enum": [True, 1]},
        {"enum": [[1]]},
        {"enum": [{"a": 1}]},
        {"oneOf": []},
        {"anyOf": []},
        {"oneOf": [{"type": "string"}, {}]},
        {"oneOf": [{"type": "string"}, True]},
        {"oneOf": [{"type": "string"}, {"enum": []}]},
        {"oneOf": [{"type": 1}]},
        {"type": "string", "x-decision-gate": None},
        {"type": "string", "x-decision-gate": []},
        {"x-decision-gate": {"dynamic_type": "yes"}},
        {"x-decision-gate": {"dynamic_type": None}},
    ],
    ids=repr,
)
def test_a_schema_whose_type_cannot_be_told_is_refused(schema: Any) -> None:
    with pytest.raises(Invalid) as refused:
        allowed_by(schema)

    assert refused.value.code == "comparator_schema_invalid"


def test_variants_of_null_are_left_out_unless_there_is_nothing_else() -> None:
    null, text, maybe = {"type": "null"}, {"type": "string"}, {"type": ["null", "string"]}

    assert without_null([null, text, maybe]) == [text, maybe]
    assert without_null([null, {"enum": [None]}]) == [null, {"enum": [None]}]
    assert without_null([{}]) == [{}]


def test_what_a_schema_says_beside_json_schema() -> None:
    assert meta_of({"type": "string"}) == meta_of(True) == {}
    assert meta_of({"x-decision-gate": {"dynamic_type": False, "note": 1}}) == {"dynamic_type": False, "note": 1}
