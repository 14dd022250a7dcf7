"""Which comparators a type of values allows, by the schema of the value.

What it does: finds the type class of a JSON Schema and what that class allows: always, or only where the schema lists
it. What it does not do: it compiles no schema and looks at no value (`strict`).

Rules (seed 000, type matrix): of several types, or of the variants of `oneOf` or `anyOf`, only what each of them allows
is allowed, where null counts only if there is nothing else; a schema whose type cannot be told is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from functools import reduce
from typing import Any, Final, get_args

from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.gates.errors import COMPARATOR_SCHEMA_INVALID
from interlock.gates.spec import Comparator

COMPARATORS: Final[tuple[Comparator, ...]] = get_args(Comparator)
"""All sixteen, in the order of provider contracts."""
META: Final = "x-decision-gate"
"""The member of a schema that says what JSON Schema has no word for."""

_Set = frozenset[Comparator]
_EXISTENCE: Final[_Set] = frozenset({"exists", "not_exists"})
_EQUALITY: Final[_Set] = _EXISTENCE | {"equals", "not_equals"}
_MEMBERSHIP: Final[_Set] = _EQUALITY | {"in_set"}
_ORDER: Final[_Set] = _MEMBERSHIP | {"greater_than", "greater_than_or_equal", "less_than", "less_than_or_equal"}
LEXICOGRAPHIC: Final[_Set] = frozenset(
    {"lex_greater_than", "lex_greater_than_or_equal", "lex_less_than", "lex_less_than_or_equal"}
)
DEEP: Final[_Set] = frozenset({"deep_equals", "deep_not_equals"})


class Allowed(Struct, frozen=True):
    """The comparators that are always allowed, and those that a schema has to list."""

    always: _Set
    listed: _Set = frozenset()

    def both(self, other: Allowed) -> Allowed:
        """What each of two types allows."""
        always = self.always & other.always
        return Allowed(always, ((self.always | self.listed) & (other.always | other.listed)) - always)


class TypeClass(Enum):
    """The kinds of values that differ in what can be said of them."""

    DYNAMIC = auto()
    BOOLEAN = auto()
    NUMBER = auto()
    STRING = auto()
    CHOICE = auto()
    TIME = auto()
    SCALARS = auto()
    STRUCTURE = auto()
    NULL = auto()


MATRIX: Final = {
    TypeClass.DYNAMIC: Allowed(frozenset(COMPARATORS)),
    TypeClass.BOOLEAN: Allowed(_MEMBERSHIP),
    TypeClass.NUMBER: Allowed(_ORDER),
    TypeClass.STRING: Allowed(_MEMBERSHIP | {"contains"}, LEXICOGRAPHIC),
    TypeClass.CHOICE: Allowed(_MEMBERSHIP),
    TypeClass.TIME: Allowed(_ORDER),
    TypeClass.SCALARS: Allowed(_EXISTENCE | {"contains"}, DEEP),
    TypeClass.STRUCTURE: Allowed(_EXISTENCE, DEEP),
    TypeClass.NULL: Allowed(_EQUALITY),
}
"""What each class allows; everything else is forbidden."""

_SCALAR: Final = frozenset(TypeClass) - {TypeClass.DYNAMIC, TypeClass.SCALARS, TypeClass.STRUCTURE}
_FORMATS: Final = {"date": TypeClass.TIME, "date-time": TypeClass.TIME, "uuid": TypeClass.CHOICE}
_TYPES: Final = {
    "boolean": TypeClass.BOOLEAN,
    "integer": TypeClass.NUMBER,
    "number": TypeClass.NUMBER,
    "object": TypeClass.STRUCTURE,
    "null": TypeClass.NULL,
}
_KINDS: Final[dict[type, str]] = {type(None): "null", bool: "boolean", int: "number", float: "number", str: "string"}


def allowed_by(schema: Any) -> Allowed:
    """What the schema of a value allows. Raises: `comparator_schema_invalid`."""
    for union in ("oneOf", "anyOf"):
        options = _member(schema, union)
        if isinstance(options, list):
            return _by_all(allowed_by(option) for option in without_null(options))
    return _by_all(MATRIX[each] for each in _classes(schema))


def without_null(options: Sequence[Any]) -> list[Any]:
    """The variants of a union that are not null alone; all of them if there are no others.

    Raises: `comparator_schema_invalid`.
    """
    if not options:
        raise invalid("a union has no variants")
    return [option for option in options if not _is_null(option)] or list(options)


def invalid(what: str) -> InterlockError:
    """The error of a schema that cannot be judged."""
    return COMPARATOR_SCHEMA_INVALID.error(what)


def _by_all(allowed: Iterable[Allowed]) -> Allowed:
    return reduce(Allowed.both, allowed)


def _classes(schema: Any) -> list[TypeClass]:
    """The classes of a schema that is no union."""
    if meta_of(schema).get("dynamic_type"):
        return [TypeClass.DYNAMIC]
    values = _member(schema, "enum")
    if isinstance(values, list):
        return [_of_values(values)]
    kinds = [_of_kind(kind, schema) for kind in _kinds(schema)]
    return [kind for kind in kinds if kind is not TypeClass.NULL] or kinds


def meta_of(schema: Any) -> dict[str, Any]:
    """What a schema says in `x-decision-gate`. Raises: `comparator_schema_invalid`."""
    meta = _member(schema, META)
    if meta is None and not (isinstance(schema, dict) and META in schema):
        return {}
    if not isinstance(meta, dict):
        raise invalid(f"{META} is no object")
    if not isinstance(meta.get("dynamic_type", False), bool):
        raise invalid(f"{META}.dynamic_type is neither true nor false")
    return meta


def _of_values(values: list[Any]) -> TypeClass:
    kinds = {_KINDS.get(type(value), "structure") for value in values}
    if not kinds:
        raise invalid("enum has no values")
    if "structure" in kinds:
        raise invalid("enum has values that are lists or objects")
    if len(kinds) > 1:
        raise invalid("enum has values of several types")
    return TypeClass.NULL if kinds == {"null"} else TypeClass.CHOICE


def _kinds(schema: Any) -> list[Any]:
    """The types that a schema names."""
    named = _member(schema, "type")
    if named is None:
        raise invalid("the schema has no type")
    kinds = named if isinstance(named, list) else [named]
    if not kinds or not all(isinstance(kind, str) for kind in kinds):
        raise invalid("type is neither a name nor a list of names")
    return kinds


def _of_kind(kind: str, schema: Any) -> TypeClass:
    if kind == "string":
        named = _member(schema, "format")
        return _FORMATS.get(named, TypeClass.STRING) if isinstance(named, str) else TypeClass.STRING
    if kind == "array":
        return TypeClass.SCALARS if _holds_scalars(schema) else TypeClass.STRUCTURE
    if kind not in _TYPES:
        raise invalid("type is none of the types of JSON")
    return _TYPES[kind]


def _holds_scalars(schema: Any) -> bool:
    """Whether the elements of a list are known to be scalars."""
    try:
        return _SCALAR.issuperset(_classes(_member(schema, "items")))
    except InterlockError:
        return False


def _is_null(schema: Any) -> bool:
    """Whether a schema takes null alone."""
    values = _member(schema, "enum")
    if isinstance(values, list):
        return _of_values(values) is TypeClass.NULL
    return _member(schema, "type") is not None and set(_kinds(schema)) == {"null"}


def _member(schema: Any, name: str) -> Any:
    return schema.get(name) if isinstance(schema, dict) else None
