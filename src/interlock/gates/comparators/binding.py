"""Which part of a data shape a condition's value is, when evidence is asserted instead of asked for.

What it does: finds the schemas of a condition's value in the schema of a whole payload. What it does not do: it reads
no payload, and checks no comparator (`strict`).

Rules (seed 000, precheck): of an object, the property named as the condition, else what `additionalProperties` says of
it; any other payload is the value of the one condition that there is. Every variant of a union has to bind.
"""

from __future__ import annotations

from typing import Any

from interlock.base.ids import shown
from interlock.gates.comparators.types import invalid, without_null
from interlock.gates.errors import CONDITION_UNBOUND


def schemas_for(condition_id: str, conditions: int, shape: Any) -> list[Any]:
    """The schemas of a condition's value, one of each variant of the shape, in a scenario of so many conditions.

    Raises: `comparator_schema_invalid`; `condition_unbound`.
    """
    return [_bound(condition_id, conditions, variant) for variant in _variants(shape)]


def _variants(shape: Any) -> list[Any]:
    unions = [shape[name] for name in ("oneOf", "anyOf") if isinstance(shape, dict) and name in shape]
    if len(unions) > 1:
        raise invalid("the data shape has both oneOf and anyOf")
    if unions and isinstance(unions[0], list):
        return without_null(unions[0])
    return [shape]


def _bound(condition_id: str, conditions: int, schema: Any) -> Any:
    name = shown(condition_id)
    if not _takes_objects(schema):
        if conditions == 1:
            return schema
        raise CONDITION_UNBOUND.error("a data shape that is no object is for exactly one condition")
    properties = schema.get("properties")
    if isinstance(properties, dict) and condition_id in properties:
        return properties[condition_id]
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        return others
    if others is True:
        raise CONDITION_UNBOUND.error(f"the data shape takes anything for condition {name}")
    raise CONDITION_UNBOUND.error(f"the data shape has nothing for condition {name}")


def _takes_objects(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    kinds = schema.get("type")
    if isinstance(kinds, str):
        return kinds == "object"
    return "object" in kinds if isinstance(kinds, list) else "properties" in schema
