"""JSON Schemas of answers, which come from documents and plans, and reach nothing outside.

What it does: says why a schema cannot be one of an answer, and makes its validator. What it does not do: it stores
nothing and judges no answer (`waits`).

Rules: every use of the library goes through `validator`, which refuses to fetch whatever a schema names; a schema that
names a dialect other than the published drafts, or a place outside of itself, is refused before the library sees it.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

OUTSIDE: Final = "the schema refers to another document"
INVALID: Final = "the schema is no JSON Schema"

_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef", "$id")
_DRAFTS: Final = frozenset(
    f"{scheme}://json-schema.org/{draft}/schema"
    for scheme in ("http", "https")
    for draft in ("draft-04", "draft-06", "draft-07", "draft/2019-09", "draft/2020-12")
)


def refers_outside(schema: object) -> bool:
    """Whether a schema names a dialect that is not built in, or a place outside of itself."""
    left = [schema]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            dialect = value.get("$schema")
            if isinstance(dialect, str) and dialect.removesuffix("#") not in _DRAFTS:
                return True
            targets = [value.get(name) for name in _REFERENCES]
            if any(isinstance(each, str) and not each.startswith("#") for each in targets):
                return True
            left += value.values()
        elif isinstance(value, list | tuple):
            left += value
    return False


def validator(schema: Any) -> Any:
    """The validator of a schema. Raises: `ValueError`, `RecursionError` where it is none, or refers outside."""
    import jsonschema_rs  # a compiled library of several megabytes, which only typed waits need

    if refers_outside(schema):
        raise ValueError(OUTSIDE)
    return jsonschema_rs.validator_for(schema, retriever=refuse)


def fault_in(schema: Any) -> str | None:
    """What is wrong with a schema; None where nothing is."""
    if refers_outside(schema):
        return OUTSIDE
    try:
        validator(schema)
    except (ValueError, RecursionError):
        return INVALID
    return None


def refuse(_uri: str) -> NoReturn:
    """Fetch nothing: what the library asks for where a schema names something that it does not have."""
    raise ValueError(OUTSIDE)
