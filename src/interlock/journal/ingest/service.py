"""Events from outside for the rest of the product: take them, and find one again.

What it does: holds senders against the settings, executes the decider, and reads an event with its data. What it does
not do: it reads no request (`base.cloud_binding`), and nobody is told: who wants to know follows the feed.

Rules: an event is durable when `receive` returns; a source that the settings do not list is refused; where its entry
has a secret, the request is signed with it, or is refused before anything is looked up; one event that is refused
refuses all that came with it.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Raw, Struct

from interlock.base.canonical import canonical, digest
from interlock.base.cloud_attributes import Incoming
from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.base.principal import Principal
from interlock.base.secrets import Secret, SecretRef
from interlock.journal.chain import read_envelope, read_record
from interlock.journal.errors import (
    EVENT_CORRUPT,
    EVENT_NOT_FOUND,
    EVENT_SECRET_UNREADABLE,
    EVENT_SOURCE_REFUSED,
)
from interlock.journal.ingest.decide import DECIDER, Arrival, Receive
from interlock.journal.ingest.events import (
    DATA_BYTES_MAX,
    NOTHING,
    RECEIVED_INDEX,
    EventReceived,
    event_key,
    extensions_of,
    inbox_stream,
)
from interlock.journal.ingest.settings import EventSettings, EventSource
from interlock.journal.ingest.signature import Signed, check_signature
from interlock.journal.journal import Journal
from interlock.journal.runner import Runner

_LOG = logging.getLogger("interlock.ingest")


class Taken(Struct, frozen=True):
    """What came of a request: events that are new, and those that were there already."""

    new: int
    repeated: int


class Found(Struct, frozen=True):
    """An event that was received; `event` is None once its data was erased, `data` is whole (null: none)."""

    stream: str
    seq: int
    received_ms: int
    received_by: str
    event: EventReceived | None
    data: Raw = NOTHING


class Ingest:
    """The way in for events. `secret` gives the secret that a reference names."""

    def __init__(
        self, journal: Journal, runner: Runner, settings: EventSettings, secret: Callable[[SecretRef], Secret]
    ) -> None:
        self._journal = journal
        self._runner = runner
        self._secret = secret
        self.settings = settings

    def check_secrets(self) -> None:
        """Make sure that every secret of a source can be read. Raises: `secret_not_found`, `secret_unreadable`."""
        for name, entry in self.settings.sources.items():
            try:
                if entry.secret is not None:
                    self._secret(entry.secret)
            except InterlockError as fault:
                place = f"events.sources.{shown(name)}.secret"
                raise fault.kind.error(f"{place}: {fault.message}", place=place) from None

    async def receive(self, events: Sequence[Incoming], *, principal: Principal, signed: Signed | None = None) -> Taken:
        """Take events into the inboxes of the principal's tenant, all or none; durable on return.

        Raises: `event_source_refused`, `event_signature_invalid`, `event_secret_unreadable`, `queue_full`, storage
        errors. Side effects: at most one append.
        """
        entries = [self._entry(event.source) for event in events]
        self._check(entries, signed)
        arrivals = tuple(
            _arrival(principal.tenant, event, known=entry is not None and entry.knows(event.type))
            for event, entry in zip(events, entries, strict=True)
        )
        new: int = await self._runner.execute(DECIDER, Receive(arrivals), principal) if arrivals else 0
        return Taken(new, len(arrivals) - new)

    async def find(self, source: str, identity: str, *, principal: Principal) -> Found:
        """An event by its source and id. Raises: `event_not_found`; `event_corrupt`, `artifact_not_found`."""
        store, stream = self._journal.store, inbox_stream(principal.tenant, source)
        [row] = await store.index.get(principal.tenant, RECEIVED_INDEX, [event_key(source, identity)])
        if row is None:
            raise EVENT_NOT_FOUND.error("no event of this source and id was received")
        page = await store.events.read(stream, int(row) - 1, 1)
        if not page:
            raise EVENT_CORRUPT.error("an event that the index knows is missing", stream=stream, seq=int(row))
        envelope = read_envelope(page[0])
        record: Any = read_record(self._journal.catalogue, envelope, page[0])
        data = NOTHING if record is None else await self.data(record)
        return Found(stream, envelope.seq, envelope.at_ms, envelope.actor, record, data)

    async def data(self, event: EventReceived) -> Raw:
        """The data of an event, wherever it is kept: JSON, a text in base64 where it is `binary`, null for none."""
        if event.data_id is None:
            return event.data
        [content] = await self._journal.store.artifacts.get([event.data_id])
        return Raw(_base64(content) if event.binary else content)

    def _entry(self, source: str) -> EventSource | None:
        entry = self.settings.source(source)
        if entry is None and not self.settings.allow_unlisted:
            raise EVENT_SOURCE_REFUSED.error("events of this source are not taken here")
        return entry

    def _check(self, entries: Iterable[EventSource | None], signed: Signed | None) -> None:
        """Hold the request against every secret that one of its events asks for."""
        now_ms = self._journal.clock.now_ms()
        for ref in dict.fromkeys(entry.secret for entry in entries if entry is not None):
            if ref is not None:
                check_signature(signed, self._resolved(ref), now_ms, self.settings.signature_tolerance_seconds)

    def _resolved(self, ref: SecretRef) -> Secret:
        try:
            return self._secret(ref)
        except InterlockError as fault:
            _LOG.error("signatures of events cannot be checked: %s", fault)
            raise EVENT_SECRET_UNREADABLE.error("the signature cannot be checked now") from None


def _arrival(tenant: str, event: Incoming, *, known: bool) -> Arrival:
    data, data_id, content = _kept(event)
    received = EventReceived(
        binary=event.binary is not None,
        data=data,
        data_id=data_id,
        datacontenttype=event.datacontenttype,
        dataschema=event.dataschema,
        extensions=extensions_of(dict(event.extensions)),
        id=event.id,
        known=known,
        source=event.source,
        subject=event.subject,
        time=event.time,
        type=event.type,
    )
    return Arrival(inbox_stream(tenant, event.source), received, content)


def _kept(event: Incoming) -> tuple[Raw, str | None, bytes | None]:
    """Data as it stands in the event, or the artifact that holds it: its id and bytes."""
    content = event.data if event.binary is None else event.binary
    if content is None:
        return NOTHING, None, None
    if len(content) > DATA_BYTES_MAX:
        return NOTHING, digest(content), content
    return Raw(content if event.binary is None else _base64(content)), None, None


def _base64(content: bytes) -> bytes:
    return canonical(base64.b64encode(content).decode("ascii"))
