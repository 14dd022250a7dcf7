"""Envelopes and the hash chain: how an event becomes bytes, and how bytes are believed.

What it does: seals records into envelopes that each name the digest of the one before, and checks stored
events against that chain while reading them. What it does not do: it reads and writes no store, and knows
no event type beyond asking the catalogue to encode or decode it.

Rules (decision 0001, section 3, for ever): the digest is SHA-256 of a domain line and the exact envelope
bytes; the data digest is SHA-256 of salt and exact data bytes; what was stored is verified as it was read
and never re-encoded.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from interlock.base.bounds import EVENT_DATA_BYTES_MAX
from interlock.base.canonical import JSON_SURROGATE
from interlock.base.errors import InterlockError
from interlock.base.events import Place, Row
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.errors import EVENT_CORRUPT, EVENT_TOO_LARGE
from interlock.journal.ports import EMPTY, Head, StoredEvent, StreamAppend
from interlock.journal.streams import tenant_of

FORMAT = 1
DOMAIN = b"interlock/event/1\n"
SALT_BYTES = 16


class Envelope(Struct, frozen=True, forbid_unknown_fields=True):
    """The hashed head of an event; members in the order in which they are written."""

    actor: str
    at_ms: int
    causation: str | None
    command_digest: str | None
    command_id: str | None
    correlation: str | None
    data_digest: str
    format: int
    prev: str | None
    seq: int
    stream: str
    type: str
    version: int

    @property
    def place(self) -> Place:
        """What index functions, folds and views may use beside the record."""
        return Place(self.stream, self.seq, self.at_ms, self.actor, self.correlation)


class Recorded(Struct, frozen=True):
    """An event that was read and verified; `record` is None where its data was erased."""

    envelope: Envelope
    record: Struct | None
    digest: str
    position: int
    bytes: int = 0

    @property
    def place(self) -> Place:
        """What index functions, folds and views may use beside the record."""
        given = self.envelope
        return Place(given.stream, given.seq, given.at_ms, given.actor, given.correlation, self.bytes)


class Authorship(Struct, frozen=True):
    """Who appends, for what, and under which command; the same for all events of one append."""

    actor: str
    correlation: str | None = None
    causation: str | None = None
    command_id: str | None = None
    command_digest: str | None = None
    salt_key: bytes = b""


class Sealed(Struct, frozen=True):
    """New events of one stream, ready to append, with the derived rows that go with them."""

    append: StreamAppend
    rows: list[Row]
    bytes: int
    """Those of the data of the events."""


_encode_envelope = msgspec.json.Encoder().encode
_decode_envelope = msgspec.json.Decoder(Envelope).decode


def event_digest(envelope: bytes) -> str:
    """The digest of an event: its name in the chain."""
    return hashlib.sha256(DOMAIN + envelope).hexdigest()


def _salt(key: bytes, stream: str, seq: int) -> bytes:
    return hmac.digest(key, f"{stream}#{seq}".encode(), "sha256")[:SALT_BYTES]


def seal(
    catalogue: EventCatalogue,
    stream: str,
    head: Head,
    records: Iterable[Struct],
    at_ms: int,
    author: Authorship,
) -> Sealed:
    """Chain `records` onto `head`.

    `at_ms` must not be less than that of the event at `head` (the caller knows it). Erasable data is salted
    with a value derived from `author.salt_key`, which must then be 32 bytes of fresh entropy.

    Raises: `event_too_large`, `json_surrogate`, `json_integer_range` (Invalid); `event_type_unknown` for a
    record of no part.
    """
    events: list[StoredEvent] = []
    rows: list[Row] = []
    size = 0
    seq, prev = head.seq, head.digest or None
    for record in records:
        seq += 1
        kind, data = catalogue.encode(record)
        if len(data) > EVENT_DATA_BYTES_MAX:
            raise EVENT_TOO_LARGE.error(f"{kind.name} has more than {EVENT_DATA_BYTES_MAX} bytes", type=kind.name)
        size += len(data)
        salt = _salt(author.salt_key, stream, seq) if kind.erasable else b""
        try:
            envelope = _encode_envelope(
                Envelope(
                    author.actor,
                    at_ms,
                    author.causation,
                    author.command_digest,
                    author.command_id,
                    author.correlation,
                    hashlib.sha256(salt + data).hexdigest(),
                    FORMAT,
                    prev,
                    seq,
                    stream,
                    kind.name,
                    kind.version,
                )
            )
        except UnicodeEncodeError:
            raise JSON_SURROGATE.error("an envelope has text with a lone surrogate") from None
        prev = event_digest(envelope)
        events.append(StoredEvent(stream, seq, prev, envelope, data, salt))
        if kind.index is not None:
            rows.extend(kind.index(Place(stream, seq, at_ms, author.actor, author.correlation), record))
    return Sealed(StreamAppend(stream, tenant_of(stream), head, events, Head(seq, prev or "")), rows, size)


def read_envelope(event: StoredEvent) -> Envelope:
    """The envelope of a stored event, if its bytes are those of the digest that it is stored under.

    Raises: `event_corrupt`. Whether it follows the event before it, `ChainReader` alone can tell.
    """
    if event_digest(event.envelope) != event.digest:
        raise _damage(event, "its envelope differs from its digest")
    try:
        envelope = _decode_envelope(event.envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _damage(event, "its envelope cannot be read") from None
    if envelope.format != FORMAT or (envelope.stream, envelope.seq) != (event.stream, event.seq):
        raise _damage(event, "it stands in the wrong place")
    return envelope


def read_record(catalogue: EventCatalogue, envelope: Envelope, event: StoredEvent) -> Struct | None:
    """The record of a stored event, if its data is what the envelope names; None where it was erased.

    Raises: `event_corrupt`; `event_type_unknown` for a type or version that no part explains.
    """
    check_data(catalogue, envelope, event)
    return None if event.data is None else catalogue.decode(envelope.type, envelope.version, event.data)


def check_data(catalogue: EventCatalogue, envelope: Envelope, event: StoredEvent) -> None:
    """Refuse data that is not what the envelope names, whether or not a part explains it. Raises: `event_corrupt`.

    Only data of an erasable type may be missing: of any other, and of one that no part explains, that is damage.
    """
    if event.data is None:
        kind = catalogue.type_of(envelope.type, envelope.version)
        if kind is None or not kind.erasable:
            raise _damage(event, "its data is missing")
    elif hashlib.sha256(event.salt + event.data).hexdigest() != envelope.data_digest:
        raise _damage(event, "its data differs from its digest")


class ChainReader:
    """Believes the events of one stream, in order, from a head known to be good (by default the start).

    Raises `event_corrupt` at the first event that is not the one that was written there, and
    `event_type_unknown` for a type or version that no part explains. Nothing after a fault is given out. A reader that
    does not decode gives no records, and so believes events that no part explains, too.
    """

    def __init__(self, catalogue: EventCatalogue, stream: str, head: Head = EMPTY, *, decodes: bool = True) -> None:
        self._catalogue = catalogue
        self._stream = stream
        self._decodes = decodes
        self.head = head
        self.at_ms = 0

    def take(self, stored: Sequence[StoredEvent]) -> list[Recorded]:
        """Verify the next events and decode them."""
        return [self._next(event) for event in stored]

    def _next(self, event: StoredEvent) -> Recorded:
        seq = self.head.seq + 1
        if event.stream != self._stream or event.seq != seq:
            raise _damage(event, f"it stands where {self._stream}#{seq} belongs")
        envelope = read_envelope(event)
        if envelope.prev != (self.head.digest or None):
            raise _damage(event, "it does not follow the event before it")
        if envelope.at_ms < self.at_ms:
            raise _damage(event, "its time runs backwards")
        record = None
        if self._decodes:
            record = read_record(self._catalogue, envelope, event)
        else:
            check_data(self._catalogue, envelope, event)
        self.head, self.at_ms = Head(seq, event.digest), envelope.at_ms
        return Recorded(envelope, record, event.digest, event.position, len(event.data or b""))


def _damage(event: StoredEvent, why: str) -> InterlockError:
    place = f"{event.stream}#{event.seq}"
    return EVENT_CORRUPT.error(f"event {place} is damaged: {why}", stream=event.stream, seq=event.seq, why=why)
