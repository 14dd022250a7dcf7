"""Which part of a data shape a condition is bound to (seed 000)."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.base.errors import Invalid
from interlock.gates.comparators.binding import schemas_for

STRING, NUMBER, NULL = {"type": "string"}, {"type": "number"}, {"type": "null"}
OBJECT = {"type": "object", "properties": {"a": STRING}}


@pytest.mark.parametrize(
    ("shape", "schemas"),
    [
        (OBJECT, [STRING]),
        ({"properties": {"a": STRING}}, [STRING]),
        ({"type": ["object", "null"], "properties": {"a": NUMBER}}, [NUMBER]),
        ({**OBJECT, "additionalProperties": NUMBER}, [STRING]),
        ({"type": "object", "additionalProperties": NUMBER}, [NUMBER]),
        ({"type": "object", "properties": {"b": STRING}, "additionalProperties": NUMBER}, [NUMBER]),
        ({"type": "object", "properties": [], "additionalProperties": NUMBER}, [NUMBER]),
        ({"oneOf": [OBJECT, NULL]}, [STRING]),
        ({"anyOf": [OBJECT, {"type": "object", "additionalProperties": NUMBER}]}, [STRING, NUMBER]),
        ({"oneOf": "none", **OBJECT}, [STRING]),
    ],
    ids=repr,
)
def test_a_condition_of_an_object_is_its_property(shape: Any, schemas: list[Any]) -> None:
    assert schemas_for("a", 2, shape) == schemas


@pytest.mark.parametrize("shape", [STRING, NULL, {}, {"type": ["string", "null"]}, True], ids=repr)
def test_any_other_payload_is_the_value_of_the_only_condition(shape: Any) -> None:
    assert schemas_for("a", 1, shape) == [shape]

    with pytest.raises(Invalid, match="exactly one condition") as refused:
        schemas_for("a", 2, shape)
    assert refused.value.code == "condition_unbound"


@pytest.mark.parametrize(
    "shape",
    [
        {"type": "object"},
        {"type": "object", "properties": {"b": STRING}},
        {"type": "object", "additionalProperties": False},
        {"type": "object", "additionalProperties": True},
        {"oneOf": [OBJECT, {"type": "object"}]},
    ],
    ids=repr,
)
def test_a_condition_that_the_shape_has_nothing_for_is_unbound(shape: Any) -> None:
    with pytest.raises(Invalid) as refused:
        schemas_for("a", 1, shape)

    assert refused.value.code == "condition_unbound"


@pytest.mark.parametrize(
    "shape",
    [
        {"oneOf": [OBJECT], "anyOf": [OBJECT]},
        {"oneOf": "x", "anyOf": "x"},
        {"oneOf": []},
        {"anyOf": []},
        {"oneOf": [{"enum": []}]},
    ],
    ids=repr,
)
def test_a_union_that_cannot_be_told_is_refused(shape: Any) -> None:
    with pytest.raises(Invalid) as refused:
        schemas_for("a", 1, shape)

    assert refused.value.code == "comparator_schema_invalid"
