"""What a schema takes on a value is never more than was said before, counted visit by visit."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from interlock.base.canonical import Json
from interlock.engine.answer_schema import WORK_MAX
from interlock.engine.answer_work import Unbounded, Work

NAMES = st.sampled_from(["a", "b", "c"])
DEFINITIONS = ("p", "q", "r")
REFERENCES = st.sampled_from([{"$ref": f"#/$defs/{name}"} for name in DEFINITIONS] + [{"$ref": "#"}])
LEAVES = st.sampled_from([True, False, {}, {"type": "string"}, {"enum": [1, 2, 3]}, {"required": ["a"]}])


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas of others, by every way in which one stands in another."""
    some, named = st.lists(inner, min_size=1, max_size=2), st.dictionaries(NAMES, inner, max_size=2)
    ways = {
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), some),
        **dict.fromkeys(("properties", "patternProperties", "dependentSchemas"), named),
        **dict.fromkeys(("not", "if", "then", "items", "contains"), inner),
        **dict.fromkeys(("additionalProperties", "unevaluatedProperties", "propertyNames"), inner),
    }
    return st.lists(st.sampled_from(sorted(ways)), min_size=1, max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: ways[name] for name in names})
    )


SCHEMAS = st.recursive(LEAVES | REFERENCES, keywords, max_leaves=4)
ROOTS = st.fixed_dictionaries(
    {"$defs": st.fixed_dictionaries(dict.fromkeys(DEFINITIONS, SCHEMAS)), "allOf": st.lists(SCHEMAS)}
)
VALUES = st.recursive(
    st.sampled_from([None, 1, "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


class Visits:
    """Goes wherever a validator could go that knows no short way; what patterns are for, they match."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.count = 0

    def visit(self, schema: Any, value: Json) -> None:
        self.count += 1
        if not isinstance(schema, dict) or self.count > WORK_MAX:
            return
        self.count += len(schema) + sum(len(schema.get(name, ())) for name in ("enum", "required"))
        for name in ("allOf", "anyOf", "oneOf"):
            for each in schema.get(name, ()):
                self.visit(each, value)
        for name in ("not", "if", "then"):
            if name in schema:
                self.visit(schema[name], value)
        for each in schema.get("dependentSchemas", {}).values():
            self.visit(each, value)
        if "$ref" in schema:
            _, _, name = schema["$ref"].rpartition("/")
            self.visit(self.root if schema["$ref"] == "#" else self.root["$defs"][name], value)
        self._below(schema, value)

    def _below(self, schema: dict[str, Any], value: Json) -> None:
        if isinstance(value, list):
            for place, each in enumerate(value):
                first = schema.get("prefixItems", ())
                for inner in (
                    *first[place : place + 1],
                    *(schema[name] for name in ("items", "contains") if name in schema),
                ):
                    self.visit(inner, each)
        elif isinstance(value, dict):
            for name, each in value.items():
                inner = [schema[way] for way in ("additionalProperties", "unevaluatedProperties") if way in schema]
                inner += [schema["properties"][name]] if name in schema.get("properties", {}) else []
                for one in (*inner, *schema.get("patternProperties", {}).values()):
                    self.visit(one, each)
                if "propertyNames" in schema:
                    self.visit(schema["propertyNames"], name)


@given(ROOTS, VALUES)
def test_no_validator_goes_further_than_was_said(root: dict[str, Any], value: Json) -> None:
    try:
        work = Work(root)
    except Unbounded:
        return
    said = work.on(value, WORK_MAX)
    if said <= WORK_MAX:
        visits = Visits(root)
        visits.visit(root, value)
        assert visits.count <= said
