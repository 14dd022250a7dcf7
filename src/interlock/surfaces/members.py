"""The members of an input record, as surfaces show and read them.

What it does: turns the types of a frozen record into `Member` rows: kind, choices, bounds, default,
description. The command line, the reference pages and error texts are all made of these rows, so they cannot
disagree.

What it does not do: it converts and validates no value; that is the client's work, by the same types.

Rules: a type of our own is written as its text; a member that is neither text, a number, a flag nor a choice,
nor a sequence of those, is JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from msgspec import NODEFAULT, Struct, inspect, json, to_builtins


class Kind(StrEnum):
    """How a person writes a value."""

    TEXT = "text"
    INTEGER = "integer"
    FLAG = "flag"
    CHOICE = "choice"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an input record.

    `default` is the JSON value of the default, None where there is none or it is computed; `bounds` is a
    phrase for people (`1 to 5`), empty where there is no bound; `pattern` is the regular expression of a
    text; `raw` says that the handler gets the canonical bytes of the JSON.
    """

    name: str
    kind: Kind
    required: bool
    repeated: bool
    default: object
    choices: tuple[str, ...]
    bounds: str
    pattern: str | None
    raw: bool
    description: str


def default_text(member: Member) -> str:
    """The default as a person would write it; empty where there is none worth saying."""
    match member.default:
        case None | False | "" | [] | () | {}:
            return ""
        case True:
            return "yes"
        case str() | int():
            return str(member.default)
        case _:
            return json.encode(member.default).decode()


@lru_cache(maxsize=1024)
def members_of(record: type[Struct]) -> tuple[Member, ...]:
    """The members of `record` in the order of their declaration."""
    shape = inspect.type_info(record)
    if not isinstance(shape, inspect.StructType):
        raise TypeError(f"{record.__name__} is not a record")
    return tuple(_member(field) for field in shape.fields)


def _member(field: inspect.Field) -> Member:
    bare, description = _unwrapped(field.type)
    repeated = isinstance(bare, inspect.ListType | inspect.VarTupleType)
    item = _unwrapped(bare.item_type)[0] if isinstance(bare, inspect.ListType | inspect.VarTupleType) else bare
    kind = _kind(item)
    if kind is Kind.JSON:
        repeated = False
    return Member(
        name=field.encode_name,
        kind=kind,
        required=field.required,
        repeated=repeated,
        default=_default(field),
        choices=tuple(_choices(item)) if kind is Kind.CHOICE else (),
        bounds=_bounds(item),
        pattern=item.pattern if isinstance(item, inspect.StrType) else None,
        raw=isinstance(item, inspect.RawType),
        description=description,
    )


def _unwrapped(shape: inspect.Type) -> tuple[inspect.Type, str]:
    """The type without annotations and without `None`, and the description met on the way."""
    description = ""
    while True:
        if isinstance(shape, inspect.Metadata):
            description = description or (shape.extra_json_schema or {}).get("description", "")
            shape = shape.type
        elif isinstance(shape, inspect.UnionType):
            options = [option for option in shape.types if not isinstance(option, inspect.NoneType)]
            if len(options) != 1:
                return shape, description
            shape = options[0]
        else:
            return shape, description


def _kind(shape: inspect.Type) -> Kind:
    match shape:
        case inspect.StrType() | inspect.CustomType():
            return Kind.TEXT
        case inspect.IntType():
            return Kind.INTEGER
        case inspect.BoolType():
            return Kind.FLAG
        case inspect.EnumType() | inspect.LiteralType() if all(isinstance(c, str) for c in _values(shape)):
            return Kind.CHOICE
        case _:
            return Kind.JSON


def _values(shape: inspect.EnumType | inspect.LiteralType) -> list[object]:
    if isinstance(shape, inspect.EnumType):
        return [member.value for member in shape.cls]
    return list(shape.values)


def _choices(shape: inspect.Type) -> Iterator[str]:
    if isinstance(shape, inspect.EnumType | inspect.LiteralType):
        yield from map(str, _values(shape))


def _default(field: inspect.Field) -> object:
    value = field.default
    if value is NODEFAULT or isinstance(value, bytes):
        return None
    try:
        return to_builtins(value)
    except TypeError:  # a default without a JSON form is not shown
        return None


def _bounds(shape: inspect.Type) -> str:
    match shape:
        case inspect.IntType():
            low = shape.ge if shape.ge is not None else None if shape.gt is None else shape.gt + 1
            high = shape.le if shape.le is not None else None if shape.lt is None else shape.lt - 1
            return _range(low, high, "")
        case inspect.StrType():
            return _range(shape.min_length, shape.max_length, " characters")
        case _:
            return ""


def _range(low: int | None, high: int | None, unit: str) -> str:
    if low is not None and high is not None:
        return f"{low} to {high}{unit}"
    if low is not None:
        return f"at least {low}{unit}"
    return "" if high is None else f"at most {high}{unit}"
