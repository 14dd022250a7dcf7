"""The types of what expressions come to, as far as they are seen in the document, against those of their places.

What it does: says the type of an expression (that of CEL, or of an input's default), and finds texts that are exactly
one expression of another type than their place takes. What it does not do: it evaluates nothing.

Rules: types have the names of JSON Schema; what is not known fits everywhere, and a number may be a whole one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from interlock.base.ids import shown
from interlock.engine.document import cel, rules
from interlock.engine.document.findings import Findings
from interlock.engine.document.templates import EXPRESSION_CHARACTERS_MAX, Unclosed, bare_path, sole
from interlock.engine.document.tree import Node, Path, dotted

_OF_CEL: Final = {
    "STRING": "string",
    "INT": "integer",
    "UINT": "integer",
    "DOUBLE": "number",
    "BOOL": "boolean",
    "NULL": "null",
    "LIST": "array",
    "MAP": "object",
}
_OF_VALUE: Final = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}


def kind_of(node: Node) -> str | None:
    """The type of a value; None for null, which as a default takes any."""
    return _OF_VALUE.get(type(node.value))


def result_type(source: str, inputs: Mapping[str, str | None]) -> str | None:
    """The type of an expression; None where it is not known. `inputs` are the types of their defaults."""
    path = bare_path(source)
    if path is not None:
        root, members = path
        return inputs.get(str(members[0])) if root == "input" and len(members) == 1 else None
    if not source.strip() or len(source) > EXPRESSION_CHARACTERS_MAX:
        return None
    try:
        kind = cel.compiled(source).kind
    except (cel.CelFault, cel.CelMissingError):
        return None
    return None if kind == "DYN" else _OF_CEL.get(kind.split("<")[0], kind.lower())


def check_result_types(
    node: Node, name: str, schema: dict[str, Any], inputs: Mapping[str, str | None], findings: Findings
) -> None:
    """Find expressions in the member `name` of a step that certainly do not fit their place in its schema."""
    for path, each in node.texts():
        try:
            source = sole(each.text() or "")
        except Unclosed:
            continue
        kind = None if source is None else result_type(source, inputs)
        wanted = set(_types(schema, schema, path)) if kind is not None else {None}
        if kind is None or not wanted or None in wanted or kind in wanted or {kind, *wanted} >= {"integer", "number"}:
            continue
        expected = " or ".join(sorted(map(str, wanted)))
        where = shown(dotted((name, *path)), 120)
        findings.add(rules.RESULT_TYPE, each.place, f"`{where}` takes {expected}, and the expression gives {kind}")


def _types(whole: dict[str, Any], schema: Any, path: Path) -> Iterator[str | None]:
    """The types that a schema takes at a path; None for any, or where that is not said."""
    while isinstance(schema, dict) and "$ref" in schema:
        schema = whole["$defs"][str(schema["$ref"]).removeprefix("#/$defs/")]
    if not isinstance(schema, dict):
        yield None
    elif "anyOf" in schema:
        for option in schema["anyOf"]:
            yield from _types(whole, option, path)
    elif path:
        here = schema.get("type")
        if here not in {"object", "array"}:
            yield from () if isinstance(here, str) else (None,)  # a text has nothing below; what has no type, anything
            return
        below = schema.get("items") if here == "array" else schema.get("additionalProperties")
        if here == "object":
            below = schema.get("properties", {}).get(path[0], below)
        yield from _types(whole, below, path[1:])
    elif "enum" in schema:
        yield from (_OF_VALUE.get(type(value), "null") for value in schema["enum"])
    else:
        kinds = schema.get("type")
        yield from kinds if isinstance(kinds, list) else [kinds]
