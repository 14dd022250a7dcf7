"""The JSON Schema of scenario documents: for editors, and for the check of a document's form.

What it does: makes the schema (2020-12) from the records, with the text form of requirements and the members that the
contract does not have. What it does not do: it says nothing of what names what.

Rule: a document that follows the schema has the shape that the records take; members that no record knows are refused,
although reading ignores them: they are mistakes of whoever writes.
"""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any, Final

import msgspec

from interlock.engine.document.schema import DIALECT, plain_patterns
from interlock.gates.logic.tree import GROUP_MIN_MAX, Requirement
from interlock.gates.spec import ScenarioSpec

SCHEMA_ID: Final = "https://interlock.example/schemas/scenario-1.json"
_TREE: Final = {"$ref": "#/$defs/Requirement"}
_TREES: Final = {"type": "array", "items": _TREE}
_TEXT: Final = {
    "type": "string",
    "minLength": 1,
    "description": "A requirement as text: conditions with and, or, not, at_least(n, …) and parentheses.",
}
_KINDS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "And": ("Every one holds; with none, it does.", _TREES),
    "Or": ("Any one holds; with none, it does not.", _TREES),
    "Not": ("The other does not hold.", _TREE),
    "RequireGroup": (
        "At least `min` of `reqs` hold.",
        {
            "type": "object",
            "properties": {"min": {"type": "integer", "minimum": 0, "maximum": GROUP_MIN_MAX}, "reqs": _TREES},
            "required": ["min", "reqs"],
            "additionalProperties": False,
        },
    ),
    "Condition": ("The condition of this id holds.", {"type": "string"}),
}


def scenario_schema() -> dict[str, Any]:
    """The schema of scenario documents, as it is published."""
    schema = _records()
    definitions = schema.pop("$defs")
    definitions["GateSpec"]["properties"]["requirement"] = {"anyOf": [_TREE, _TEXT]}
    definitions["Requirement"] = requirement_schema()
    return {"$schema": DIALECT, "$id": SCHEMA_ID, "title": "Scenario", **schema, "$defs": definitions}


def requirement_schema() -> dict[str, Any]:
    """The schema of a requirement as a tree, under the name `Requirement`."""
    return {
        "title": "Requirement",
        "description": "What must hold, over conditions by their ids.",
        "anyOf": [_kind(name, *said) for name, said in _KINDS.items()],
    }


@lru_cache(maxsize=1)
def form_schema() -> dict[str, Any]:
    """The schema without requirements, which are walked with more to say of each part."""
    schema = _records()
    schema["$defs"]["GateSpec"]["properties"]["requirement"] = {}
    return schema


def _records() -> dict[str, Any]:
    made = msgspec.json.schema(ScenarioSpec, schema_hook=requirement_hook)
    schema: dict[str, Any] = copy.deepcopy(plain_patterns(made))
    for record in schema["$defs"].values():
        record["description"] = " ".join(record["description"].split())
        record["additionalProperties"] = False
        for member in record["properties"].values():
            member.pop("discriminator", None)
    return schema


def requirement_hook(kind: type) -> dict[str, Any]:
    """For the schemas of records that hold requirements: a reference to the definition `Requirement`."""
    assert kind is Requirement, kind  # noqa: S101 - the one type of scenario records that msgspec does not know
    return _TREE


def _kind(name: str, description: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "properties": {name: content},
        "required": [name],
        "additionalProperties": False,
    }
