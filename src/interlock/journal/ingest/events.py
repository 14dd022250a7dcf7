"""The event of an inbox of events from outside, and the row by which a repetition is found.

What it does: declares the record, and names streams and keys. What it does not do: it checks nothing that came.

Rules: members are in alphabetical order; data is erasable, its row is not, so that an erased event stays known; data
above `DATA_BYTES_MAX` is an artifact; what others chose (`source`, `id`) stands in names by its digest alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Raw, Struct

from interlock.base.canonical import canonical, canonical_digest, digest
from interlock.base.events import EventType, IndexRow, Place, Row
from interlock.base.ids import ArtifactId
from interlock.journal.streams import stream_id

INBOX = "inbox"
"""The kind of the streams that hold events from outside, one for each source."""

RECEIVED_INDEX = "event"
DATA_BYTES_MAX = 16 * 1024
"""Bytes of data that stand in the event itself."""

NOTHING = Raw(b"null")


class EventReceived(Struct, frozen=True):
    """An event from outside, as it came.

    `data` is its JSON value, null where it has none or where it is the artifact `data_id`; with `binary` it is a text
    in base64, and the artifact the bytes themselves. `extensions` is an object. `known` says that the settings knew
    its type when it came.
    """

    binary: bool
    data: Raw
    data_id: ArtifactId | None
    datacontenttype: str | None
    dataschema: str | None
    extensions: Raw
    id: str
    known: bool
    source: str
    subject: str | None
    time: str | None
    type: str


def inbox_stream(tenant: str, source: str) -> str:
    """The stream of the events of a source. Raises: `id_invalid`."""
    return stream_id(tenant, INBOX, digest(source.encode()))


def event_key(source: str, identity: str) -> str:
    """What an event is known by: no other has its source and its id."""
    return canonical_digest([source, identity])


def _received(place: Place, record: Any) -> Sequence[Row]:
    return (IndexRow(RECEIVED_INDEX, event_key(record.source, record.id), b"%d" % place.seq, fresh=True),)


def extensions_of(values: object) -> Raw:
    """Extensions as they are kept."""
    return Raw(canonical(values))


EVENTS = (EventType("journal.event_received", 1, EventReceived, erasable=True, index=_received),)
