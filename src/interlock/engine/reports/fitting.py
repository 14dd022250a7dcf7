"""What fits a schema, in a few words for somebody who types an answer.

It knows the common schemas of answers (true or false, a choice, a text, a number, an object) and has no words for
others; it judges no value. A schema that is none has no words.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from interlock.base.ids import shown

CHOICES_SHOWN_MAX: Final = 8
_CHARACTERS_MAX: Final = 200
_WORDS: Final = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": """a text with quotes of its own: '"…"'""",
    "array": "a JSON list: '[…]'",
    "null": "null",
}


def what_fits(schema: Any) -> str | None:
    """The words for what a schema takes; None where there are none."""
    found = _below_reference(schema)
    if not isinstance(found, dict):
        return None
    if "const" in found:
        return _json([found["const"]])
    choices = found.get("enum")
    if isinstance(choices, list) and 0 < len(choices) <= CHOICES_SHOWN_MAX:
        return _json(choices)
    kind = found.get("type")
    if kind == "object":
        return _object(found)
    return _WORDS.get(kind) if isinstance(kind, str) else None


def _below_reference(schema: Any) -> Any:
    """The one definition that a schema refers to, or the schema itself."""
    match schema:
        case {"$ref": str(target), "$defs": {**definitions}}:
            return definitions.get(target.removeprefix("#/$defs/"))
        case _:
            return schema


def _json(values: list[Any]) -> str:
    texts = [shown(msgspec.json.encode(value).decode(), _CHARACTERS_MAX // len(values)) for value in values]
    return " or ".join(f"'{text}'" if text.startswith('"') else text for text in texts)


def _object(schema: dict[str, Any]) -> str:
    required, properties = schema.get("required"), schema.get("properties")
    members = required if isinstance(required, list) and required else properties
    listed = list(members) if isinstance(members, list | dict) else []
    names = [shown(name) for name in listed[:CHOICES_SHOWN_MAX] if isinstance(name, str)]
    return "a JSON object" + (f" with {', '.join(names)}" if names else "")
