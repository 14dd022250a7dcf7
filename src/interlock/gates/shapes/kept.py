"""The life of a data shape on its stream: it is registered once, and then it is there.

What it does: names streams and keys, declares the event and the decider, and derives the row by which shapes are found
and listed. What it does not do: it checks no schema and reads no store.

Rules: one stream for each version of a shape, so that a registration costs the same however many there are; the rows of
the index stand in the order of `(schema_id, version)` by the bytes of their UTF-8; the record is kept as the JSON text
that it is, because canonical bytes would change numbers of its schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.events import EventType, IndexRow, Place, Row
from interlock.base.ids import ArtifactId, shown
from interlock.base.part import DecideContext, Decider, Decision, Refusal
from interlock.gates.errors import SHAPE_EXISTS, SHAPE_INVALID
from interlock.journal.streams import parse_stream, stream_id

SHAPE: Final = "shape"
"""The kind of a shape's stream, and the name of the index."""


class ShapeKey(Struct, frozen=True):
    """What a shape is known by within a tenant of the journal."""

    tenant_id: int
    namespace_id: int
    schema_id: str
    version: str


class ShapeRegistered(Struct, frozen=True):
    """The shape of this stream is there: its record as JSON text, or the artifact that holds it; `bytes` of it."""

    bytes: int
    record: str | None
    record_id: ArtifactId | None


class RegisterShape(Struct, frozen=True):
    """Register the shape of a stream."""

    stream: str
    registered: ShapeRegistered


def shape_stream(tenant: str, key: ShapeKey) -> str:
    """The stream of a shape. Raises: `shape_invalid` for a name that is too long; `id_invalid`."""
    names = (quote(key.schema_id, safe=""), quote(key.version, safe=""))
    identity = ":".join((str(key.tenant_id), str(key.namespace_id), *names))
    try:
        return stream_id(tenant, SHAPE, identity)
    except InterlockError as fault:
        if fault.code != "stream_invalid":
            raise
        raise SHAPE_INVALID.error("schema_id and version are too long together", place="schema_id") from None


def namespace_prefix(tenant_id: int, namespace_id: int) -> str:
    """What the rows of a namespace begin with."""
    return f"{tenant_id}:{namespace_id}:"


def index_key(key: ShapeKey) -> str:
    """Where the row of a shape stands. A full stop sorts before every digit of the texts beside it."""
    names = f"{key.schema_id.encode().hex()}.{key.version.encode().hex()}"
    return namespace_prefix(key.tenant_id, key.namespace_id) + names


def _key_of(stream: str) -> ShapeKey:
    tenant_id, namespace_id, schema_id, version = parse_stream(stream).id.split(":")
    return ShapeKey(int(tenant_id), int(namespace_id), unquote(schema_id), unquote(version))


def _row(place: Place, record: Any) -> Sequence[Row]:
    return (IndexRow(SHAPE, index_key(_key_of(place.stream)), encode(record), fresh=True),)


def _decide(states: Mapping[str, bool], command: RegisterShape, _ctx: DecideContext) -> Decision:
    if states[command.stream]:
        key = _key_of(command.stream)
        what = f"{shown(key.schema_id)} in the version {shown(key.version)}"
        return Refusal(SHAPE_EXISTS.error(f"the shape {what} is there already"))
    return {command.stream: (command.registered,)}


encode = msgspec.json.Encoder().encode
"""An event as the bytes of its row."""

decode = msgspec.json.Decoder(ShapeRegistered).decode
"""An event from the bytes of its row."""

SHAPES_KEPT: Final = Decider(
    name="gates.shape",
    streams=lambda command: (command.stream,),
    initial=lambda _stream: False,
    decide=_decide,
    evolve=lambda _state, _record, _place: True,
    result=lambda _events, _command: None,
)
EVENTS: Final = (EventType("gates.shape_registered", 1, ShapeRegistered, index=_row),)
