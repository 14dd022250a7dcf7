"""JSON Schemas as MCP has them: an object at the top.

What it does: turns the schema of a record into one whose top is the record itself, with expressions that every dialect
reads. What it does not do: it adds no rule and takes none away.
"""

from __future__ import annotations

import copy
from typing import Any

from interlock.engine.document.schema import plain_patterns


def rooted(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a record with the record at its top; records that it names stay definitions."""
    found: dict[str, Any] = copy.deepcopy(plain_patterns(schema))
    definitions: dict[str, Any] = found.get("$defs", {})
    name = found.get("$ref", "").rpartition("/")[2]
    if name not in definitions:
        return found
    top = definitions[name]
    if not _named(definitions, name):
        del definitions[name]
    return {**top, "$defs": definitions} if definitions else dict(top)


def _named(value: Any, name: str) -> bool:
    """Whether a reference to a definition stands anywhere."""
    if isinstance(value, dict):
        return value.get("$ref") == f"#/$defs/{name}" or any(_named(each, name) for each in value.values())
    return isinstance(value, list) and any(_named(each, name) for each in value)
