"""The JSON Schemas of plan documents: for the check of their form, and for editors.

What it does: makes the schema of the grammar and of each handler's `with` from their records. What it does not do: it
checks nothing.

Rule: editors get one schema (2020-12) in which each value may also be an expression; the check gets the plain ones,
because it knows where expressions stand.
"""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlock.base.part import StepHandler
from interlock.engine.document.grammar import DocumentGrammar
from interlock.engine.steps.call import StepHandlers

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_ID: Final = "https://interlock.example/schemas/plan-document-1.json"
_EXPRESSION: Final = {"$ref": "#/$defs/Expression"}
_ANNOTATIONS: Final = ("description", "title", "default")


@lru_cache(maxsize=256)
def record_schema(record: type[Struct]) -> dict[str, Any]:
    """The schema of a record, its patterns in the form of JSON Schema."""
    found: dict[str, Any] = plain_patterns(msgspec.json.schema(record))
    return found


def editor_schema(handlers: StepHandlers) -> dict[str, Any]:
    """The schema of plan documents with the steps of these handlers."""
    schema = copy.deepcopy(record_schema(DocumentGrammar))
    definitions: dict[str, Any] = schema.pop("$defs")
    step = definitions["StepGrammar"]
    step["properties"]["handler"] = {
        "description": step["properties"]["handler"]["description"],
        "enum": list(handlers.names),
    }
    step["allOf"] = [_with_of(handler, definitions) for handler in handlers]
    definitions["Expression"] = {
        "title": "Expression",
        "description": "A value that is computed when the step runs.",
        "type": "string",
        "pattern": r"^\$\{\{[\s\S]*\}\}$",
    }
    return {"$schema": DIALECT, "$id": SCHEMA_ID, "title": "Plan document", **schema, "$defs": definitions}


def _with_of(handler: StepHandler, definitions: dict[str, Any]) -> dict[str, Any]:
    """What `with` is where this handler is named; its records join the definitions."""
    found = copy.deepcopy(record_schema(handler.parameters))
    for name, each in found["$defs"].items():
        definitions[name] = _with_expressions(each, skip=handler.literal)
    then: dict[str, Any] = {"properties": {"with": {"$ref": f"#/$defs/{handler.parameters.__name__}"}}}
    if found["$defs"][handler.parameters.__name__].get("required"):
        then["required"] = ["with"]
    if handler.declares({}):
        then["required"] = [*then.get("required", []), "side_effects"]
    return {"if": {"properties": {"handler": {"const": handler.name}}, "required": ["handler"]}, "then": then}


def _with_expressions(schema: dict[str, Any], *, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """A record's schema whose members may also be expressions."""
    members = {
        name: member if name in skip else _or_expression(member)
        for name, member in schema.get("properties", {}).items()
    }
    return {**schema, "properties": members} if members else schema


def _or_expression(schema: dict[str, Any]) -> dict[str, Any]:
    words: dict[str, Any] = {key: schema[key] for key in _ANNOTATIONS if key in schema}
    bare = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
    if "items" in bare:
        bare["items"] = _or_expression(bare["items"])
    if isinstance(bare.get("additionalProperties"), dict):
        bare["additionalProperties"] = _or_expression(bare["additionalProperties"])
    is_any_text = bare.get("type") == "string" and "pattern" not in bare
    return schema if not bare or is_any_text else {**words, "anyOf": [bare, _EXPRESSION]}


def plain_patterns(value: Any) -> Any:
    """A schema of msgspec with its patterns in the form of JSON Schema."""
    if isinstance(value, dict):
        return {
            key: each.replace(r"\A", "^").replace(r"\Z", "$")
            if key == "pattern" and isinstance(each, str)
            else plain_patterns(each)
            for key, each in value.items()
        }
    return [plain_patterns(each) for each in value] if isinstance(value, list) else value
