"""The catalogue of event types: how each record becomes data bytes, and comes back.

What it does: maps records to the types and versions that parts declare, encodes them to canonical bytes, and
decodes stored bytes, upcasting old versions. What it does not do: it knows no envelope, chain or store.

Rules: a record's members are in alphabetical order and its types admit no float, mapping or set, which is
proved when the type is added, so that the plain encoder's bytes are RFC 8785 once the integers are in
range; an unknown type or version stops the fold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from msgspec import Struct, inspect

from interlock.base.bounds import INTEGER_MAX
from interlock.base.canonical import JSON_INTEGER_RANGE, encode_checked
from interlock.base.errors import Category, ErrorCode
from interlock.base.events import EventType
from interlock.base.ids import op_path
from interlock.journal.errors import EVENT_CORRUPT, EVENT_TYPE_UNKNOWN

EVENT_TYPE_UNSOUND = ErrorCode(
    "event_type_unsound",
    Category.INVALID,
    "Order members by name; use str, int, bool, tuples, records and Raw.",
)

_SOUND = (
    inspect.NoneType,
    inspect.BoolType,
    inspect.IntType,
    inspect.StrType,
    inspect.EnumType,
    inspect.LiteralType,
    inspect.RawType,
)


def _proved_members(kind: EventType) -> list[str]:
    """Refuse a type whose records have no proven canonical form; return the members that hold integers."""
    record = inspect.type_info(kind.record)
    assert isinstance(record, inspect.StructType)  # noqa: S101 - the declaration says so
    _prove_struct(record, kind.name, ())
    return [f.name for f in record.fields if _prove(f.type, f"{kind.name}.{f.encode_name}", (record.cls,))]


def _prove(kind: inspect.Type, path: str, within: tuple[type, ...]) -> bool:
    """Refuse a type without a proven canonical form; return whether it holds integers.

    `within` are the records around it: one that contains itself has no bound to its depth.
    """
    if isinstance(kind, inspect.Metadata):
        return _prove(kind.type, path, within)
    if isinstance(kind, inspect.UnionType):
        return True in [_prove(option, path, within) for option in kind.types]
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        return _prove(kind.item_type, f"{path}[]", within)
    if isinstance(kind, inspect.TupleType):
        return True in [_prove(item, f"{path}[{at}]", within) for at, item in enumerate(kind.item_types)]
    if isinstance(kind, inspect.StructType):
        _prove_struct(kind, path, within)
        within = (*within, kind.cls)
        return True in [_prove(f.type, f"{path}.{f.encode_name}", within) for f in kind.fields]
    if not isinstance(kind, _SOUND):
        raise EVENT_TYPE_UNSOUND.error(f"{path}: {type(kind).__name__} has no proven canonical form")
    return isinstance(kind, inspect.IntType)


def _prove_struct(kind: inspect.StructType, path: str, within: tuple[type, ...]) -> None:
    if kind.cls in within:
        raise EVENT_TYPE_UNSOUND.error(f"{path}: a record contains itself")
    if not kind.cls.__struct_config__.frozen:
        raise EVENT_TYPE_UNSOUND.error(f"{path}: a record is not frozen")
    names = [kind.tag_field] if kind.tag_field else []
    names += [field.encode_name for field in kind.fields]
    if names != sorted(names, key=lambda name: name.encode("utf-16-be")):
        raise EVENT_TYPE_UNSOUND.error(f"{path}: members are not in alphabetical order")


def _in_range(value: object) -> bool:
    """Whether JSON keeps every integer of a member exactly; free JSON in it is canonical already."""
    if type(value) is int:
        return -INTEGER_MAX <= value <= INTEGER_MAX
    if isinstance(value, Struct):
        return all(_in_range(getattr(value, name)) for name in value.__struct_fields__)
    return not isinstance(value, tuple | list) or all(_in_range(item) for item in value)


class EventCatalogue:
    """All event types of an application.

    Raises: `event_type_unsound` when a type cannot be proved canonical, is given twice, or is current in two
    versions; `id_invalid` when its name is not `<part>.<name>`.
    """

    def __init__(self, types: Iterable[EventType]) -> None:
        self._by_name: dict[tuple[str, int], EventType] = {}
        self._by_record: dict[type[Struct], tuple[EventType, list[str]]] = {}
        self._decoders: dict[tuple[str, int], Callable[[bytes], Struct]] = {}
        self._encode = msgspec.json.Encoder().encode
        for kind in types:
            self._add(kind)

    def _add(self, kind: EventType) -> None:
        name = (op_path(kind.name), kind.version)
        if name in self._by_name or kind.version < 1:
            raise EVENT_TYPE_UNSOUND.error(f"{kind.name} version {kind.version} is declared twice, or below 1")
        self._by_name[name] = kind
        if kind.upcast is not None:
            self._decoders[name] = kind.upcast
            return
        current = {known.name for known, _ in self._by_record.values()}
        if kind.record in self._by_record or kind.name in current:
            raise EVENT_TYPE_UNSOUND.error(f"{kind.name} is current twice: give its old version an upcast")
        self._by_record[kind.record] = kind, _proved_members(kind)
        self._decoders[name] = msgspec.json.Decoder(kind.record).decode

    def encode(self, record: Struct) -> tuple[EventType, bytes]:
        """The current type of a record and its canonical data bytes.

        Raises: `event_type_unknown` (Corruption) for a record of no part; `json_surrogate`,
        `json_integer_range` (Invalid).
        """
        found = self._by_record.get(type(record))
        if found is None:
            raise EVENT_TYPE_UNKNOWN.error(f"no part declares the event {type(record).__name__}")
        kind, with_integers = found
        for member in with_integers:
            if not _in_range(getattr(record, member)):
                raise JSON_INTEGER_RANGE.error(f"{kind.name} has an integer outside ±(2^53-1)", type=kind.name)
        return kind, encode_checked(self._encode, record)

    def decode(self, name: str, version: int, data: bytes) -> Struct:
        """The record in stored data bytes, upcast to today's version."""
        decoder = self._decoders.get((name, version))
        if decoder is None:
            raise EVENT_TYPE_UNKNOWN.error(
                f"event type {name} version {version} is unknown", type=name, version=version
            )
        try:
            return decoder(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise EVENT_CORRUPT.error(f"data of {name} version {version} cannot be read", type=name) from None

    def names(self) -> frozenset[str]:
        """The names of all types, whatever their versions."""
        return frozenset(name for name, _ in self._by_name)

    def type_of(self, name: str, version: int) -> EventType | None:
        """The declaration of a type, for rebuilds."""
        return self._by_name.get((name, version))

    def current_type(self, record: type[Struct]) -> EventType | None:
        """The declaration under which a record is written today."""
        found = self._by_record.get(record)
        return None if found is None else found[0]
