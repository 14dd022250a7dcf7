"""JSON Schemas of answers, which come from documents and plans, and reach nothing outside.

What it does: says why a schema cannot be one of an answer, and makes its validator, for values that it can judge in a
moment. What it does not do: it stores nothing and judges no answer (`waits`).

Rules: every use of the library goes through `validator`, which refuses to fetch whatever a schema names; a schema that
names a dialect other than the published drafts, or a place outside of itself, is refused before the library sees it.
Its own `$id` is no place outside. No value is judged before it is known what that takes at most (`answer_work`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NoReturn

import msgspec

from interlock.base.canonical import canonical
from interlock.base.errors import InterlockError
from interlock.engine.answer_work import Unbounded, Work, schemas, target

OUTSIDE: Final = "the schema refers to another document"
INVALID: Final = "the schema is no JSON Schema"

WORK_MAX: Final = 20_000_000
"""What a schema and a value may take together, counted as schemas that meet values: well below a second."""

PLACE_WORK_MAX: Final = 10_000
"""The same, up to which a place is looked for where schemas have branches: the library tells of each of them."""

_KNOWN_MAX: Final = 128
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_PUBLISHED: Final = ("http://json-schema.org/", "https://json-schema.org/")
_DRAFTS: Final = frozenset(
    f"{scheme}://json-schema.org/{draft}/schema"
    for scheme in ("http", "https")
    for draft in ("draft-04", "draft-06", "draft-07", "draft/2019-09", "draft/2020-12")
)


class TooMuch(ValueError):
    """A schema takes too much on a value."""


def refers_outside(schema: object) -> bool:
    """Whether a schema names a dialect that is not built in, or a place outside of itself."""
    root = schema if isinstance(schema, dict) else {}
    if any(str(root.get(name, "")).lower().startswith(_PUBLISHED) for name in ("$id", "id")):
        return True
    for each in schemas(schema):
        dialect = each.get("$schema")
        if isinstance(dialect, str) and dialect.removesuffix("#") not in _DRAFTS:
            return True
        targets = [value for value in map(each.get, _REFERENCES) if isinstance(value, str)]
        if any(target(root, value) is None for value in targets):
            return True
    return False


def validator(schema: Any) -> Any:
    """The validator of a schema. Raises: `ValueError`, `RecursionError` where it is none, or refers outside."""
    import jsonschema_rs  # a compiled library of several megabytes, which only typed waits need

    if refers_outside(schema):
        raise ValueError(OUTSIDE)
    try:
        return jsonschema_rs.validator_for(schema, retriever=refuse)
    except jsonschema_rs.ReferencingError:
        raise ValueError(OUTSIDE) from None


def validator_of(schema: bytes, value: Any, *, tells: bool = False) -> Any:
    """The validator of a schema, where it can judge `value` in a moment, or with `tells` say where it does not fit.

    Raises: `ValueError`, `RecursionError` as `validator`; `TooMuch`.
    """
    made = validator(msgspec.json.decode(schema))
    work = _work(schema)
    limit = PLACE_WORK_MAX if tells and work.tells_branches else WORK_MAX
    if work.on(value, limit) > limit:
        raise TooMuch
    return made


def fault_in(schema: Any) -> str | None:
    """What is wrong with a schema; None where nothing is."""
    try:
        return fault_of(canonical(schema))
    except InterlockError:
        return INVALID


@lru_cache(maxsize=_KNOWN_MAX)
def fault_of(content: bytes) -> str | None:
    """The same of a schema in canonical JSON."""
    schema = msgspec.json.decode(content)
    if refers_outside(schema):
        return OUTSIDE
    try:
        _work(content).check_expanded()
        validator(schema)
    except Unbounded as fault:
        return str(fault)
    except (ValueError, RecursionError):
        return INVALID
    return None


@lru_cache(maxsize=_KNOWN_MAX)
def _work(content: bytes) -> Work:
    return Work(msgspec.json.decode(content))


def refuse(_uri: str) -> NoReturn:
    """Fetch nothing: what the library asks for where a schema names something that it does not have."""
    raise ValueError(OUTSIDE)
