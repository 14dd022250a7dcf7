"""The catalogue of event types: how each record becomes data bytes, and comes back.

What it does: maps records to the types and versions that parts declare, encodes them to canonical bytes, and decodes
stored bytes, upcasting old versions. What it does not do: it knows no envelope, chain or store.

Rules: a record's members are in alphabetical order and its types admit no float, mapping or set, which is proved
when the type is added, so that the plain encoder's bytes are RFC 8785; an unknown type or version stops the fold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct, inspect

from interlock.base.canonical import encode_checked
from interlock.base.errors import Category, ErrorCode
from interlock.base.events import EventType
from interlock.journal.errors import EVENT_CORRUPT, EVENT_TYPE_UNKNOWN

EVENT_TYPE_UNSOUND = ErrorCode(
    "event_type_unsound", Category.INVALID, "Order members by name; use str, int, bool, tuples, records and Raw."
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


def _prove(kind: inspect.Type, path: str) -> None:
    if isinstance(kind, inspect.Metadata):
        _prove(kind.type, path)
    elif isinstance(kind, inspect.UnionType):
        for option in kind.types:
            _prove(option, path)
    elif isinstance(kind, inspect.VarTupleType | inspect.ListType):
        _prove(kind.item_type, f"{path}[]")
    elif isinstance(kind, inspect.StructType):
        names = [field.encode_name for field in kind.fields]
        tag = [kind.tag_field] if kind.tag_field else []
        if tag + names != sorted(tag + names):
            raise EVENT_TYPE_UNSOUND.error(f"{path}: members are not in alphabetical order")
        for field in kind.fields:
            _prove(field.type, f"{path}.{field.encode_name}")
    elif not isinstance(kind, _SOUND):
        raise EVENT_TYPE_UNSOUND.error(f"{path}: {type(kind).__name__} has no proven canonical form")


class EventCatalogue:
    """All event types of an application.

    Raises `event_type_unsound` when a type cannot be proved canonical, is given twice, or is current in two versions.
    """

    def __init__(self, types: Iterable[EventType]) -> None:
        self._by_name: dict[tuple[str, int], EventType] = {}
        self._by_record: dict[type[Struct], EventType] = {}
        self._decoders: dict[tuple[str, int], Any] = {}
        self._encode = msgspec.json.Encoder().encode
        for kind in types:
            self._add(kind)

    def _add(self, kind: EventType) -> None:
        name = (kind.name, kind.version)
        if name in self._by_name or (kind.upcast is None and kind.record in self._by_record):
            raise EVENT_TYPE_UNSOUND.error(f"{kind.name} version {kind.version} is declared twice")
        self._by_name[name] = kind
        if kind.upcast is None:
            _prove(inspect.type_info(kind.record), kind.name)
            self._by_record[kind.record] = kind
            self._decoders[name] = msgspec.json.Decoder(kind.record).decode
        else:
            self._decoders[name] = kind.upcast

    def encode(self, record: Struct) -> tuple[EventType, bytes]:
        """The current type of a record and its canonical data bytes."""
        kind = self._by_record.get(type(record))
        if kind is None:
            raise EVENT_TYPE_UNKNOWN.error(f"no part declares the event {type(record).__name__}")
        return kind, encode_checked(self._encode, record)

    def decode(self, name: str, version: int, data: bytes) -> Struct:
        """The record in stored data bytes, upcast to today's version."""
        decoder = self._decoders.get((name, version))
        if decoder is None:
            raise EVENT_TYPE_UNKNOWN.error(f"event type {name} version {version} is unknown", type=name, version=version)
        try:
            record: Struct = decoder(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise EVENT_CORRUPT.error(f"data of {name} version {version} cannot be read", type=name) from None
        return record

    def type_of(self, name: str, version: int) -> EventType | None:
        """The declaration of a type, for rebuilds."""
        return self._by_name.get((name, version))
