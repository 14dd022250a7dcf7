"""One connection's stream of the live feed, and all of them together.

What it does: gives a reader a seat, reads for it what it missed, and goes over to the hub of its tenant without a gap.
What it does not do: it writes to no socket (`response`), and no reader reads the feed by itself once it has caught up.

Rules: what cannot be served is refused before anything is sent; principals and tenants have shares of the seats; a
reader sees the tenant of its principal alone; first comes the snapshot, then every event that it wants, once and in
order, and something at least at every heartbeat; one whose backlog was dropped, and everyone at the end of the service,
is let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from interlock.base.errors import InterlockError
from interlock.base.principal import Principal
from interlock.journal.chain import read_envelope
from interlock.journal.cursor import read_own_cursor
from interlock.journal.errors import CURSOR_FOREIGN
from interlock.journal.journal import Journal
from interlock.surfaces.errors import STREAM_READERS_FULL
from interlock.surfaces.seats import Seat, Seats, Shares
from interlock.surfaces.sse.filters import Wanted
from interlock.surfaces.sse.hub import Backlog, FeedHub, Tell, Teller
from interlock.surfaces.sse.messages import HEARTBEAT, Place, ended, moved, snapshot
from interlock.surfaces.sse.settings import EventStreamSettings

CATCH_UPS_MAX = 8
"""Pages of the feed that readers who catch up have read at once."""

CHUNK_BYTES_MAX = 64 * 1024
RETRY_AFTER_MS = 5_000


class EventStreams:
    """Every reader of the live feed of this process. `tell` says what of an event is told (`Subscriptions.tell`)."""

    def __init__(
        self,
        journal: Journal,
        tell: Tell,
        settings: EventStreamSettings,
        shares: Shares = Shares(),  # noqa: B008 - immutable
    ) -> None:
        self.settings = settings
        self.types = journal.catalogue.names()
        self._seats = Seats(settings.readers_max, shares, self._full, "readers of the live feed")
        self._journal = journal
        self._tell = tell
        self._hubs: dict[str, FeedHub] = {}
        self._readers: set[Reader] = set()
        self._slots = asyncio.Semaphore(CATCH_UPS_MAX)
        self._closed = False

    @property
    def readers(self) -> int:
        """How many there are."""
        return len(self._readers)

    async def open(self, principal: Principal, wanted: Wanted, last_event_id: str | None = None) -> Reader:
        """A seat for a reader, which its caller closes. `last_event_id` goes before the cursor of the address.

        Raises: `stream_readers_full`, `share_taken`, `cursor_invalid`, `cursor_foreign`, storage errors.
        """
        if self._closed:
            raise self._full()
        seat = self._seats.take(principal)
        teller = Teller(self._journal, principal.tenant, self._tell)
        hub = self._hubs.setdefault(principal.tenant, FeedHub(self._journal, teller))
        reader = Reader(self, hub, teller, wanted, self._slots, seat)
        self._readers.add(reader)
        try:
            await self._place(reader, principal.tenant, wanted, last_event_id or wanted.after)
        except BaseException:
            self.release(reader)
            raise
        return reader

    def release(self, reader: Reader) -> None:
        """Take a reader's seat away, however it ended."""
        reader.leave()
        reader.seat.back()
        self._readers.discard(reader)

    async def close(self) -> None:
        """Let every reader end, and take no more: before a server waits for its connections to end."""
        self._closed = True
        for reader in list(self._readers):
            reader.stop()

    def _full(self) -> InterlockError:
        message = f"{self.settings.readers_max} readers are served, or the server ends"
        return STREAM_READERS_FULL.error(message, retry_after_ms=RETRY_AFTER_MS)

    async def _place(self, reader: Reader, tenant: str, wanted: Wanted, cursor: str | None) -> None:
        """Find out where a reader begins, and where the one stream that it asks for ends."""
        store = self._journal.store
        after = None if cursor is None else read_own_cursor(store.id, tenant, cursor)
        end = await store.events.position(tenant)
        if after is not None and after > end:
            raise CURSOR_FOREIGN.error("this cursor names a place that the store has not come to")
        reader.after = end if after is None else after
        if len(wanted.streams) == 1:
            [stream] = wanted.streams
            [head] = await store.events.heads([stream])
            reader.head = Place(stream, head.seq)


class Reader:
    """One stream: `chunks` are what is sent."""

    def __init__(
        self,
        streams: EventStreams,
        hub: FeedHub,
        teller: Teller,
        wanted: Wanted,
        slots: asyncio.Semaphore,
        seat: Seat,
    ) -> None:
        self.seat = seat
        self.after = 0
        self.head: Place | None = None
        self._streams = streams
        self._hub = hub
        self._teller = teller
        self._slots = slots
        settings = streams.settings
        self._heartbeat_s = settings.heartbeat_ms / 1000
        self._backlog = Backlog(wanted, events_max=settings.backlog_events_max, bytes_max=settings.backlog_bytes_max)
        self._stopped = False
        self._refused: InterlockError | None = None
        self._marked = 0

    @property
    def dropped(self) -> bool:
        """Whether it was too slow for its backlog."""
        return self._backlog.dropped

    def stop(self) -> None:
        """Let the stream end by itself."""
        self._stopped = True
        self._backlog.end(None)

    def end(self, fault: InterlockError) -> None:
        """Let the stream end with an error, whatever else there is to say."""
        self._refused = fault
        self._backlog.end(fault)

    def leave(self) -> None:
        """Hear nothing more."""
        self._hub.detach(self._backlog)

    def close(self) -> None:
        """Give the seat back."""
        self._streams.release(self)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """What is sent, piece by piece; it ends when it is stopped, dropped, or met by a fault, which is its last."""
        self._marked = self.after
        yield snapshot(self._teller.cursor(self.after), self.head)
        try:
            async with aclosing(self._missed()) as missed:
                async for chunk in missed:
                    yield chunk
            while not self._stopped and not self.dropped:
                if chunk := await self._live():
                    yield chunk
        except InterlockError as fault:
            yield ended(fault)

    async def _missed(self) -> AsyncGenerator[bytes, None]:
        """What stands in the feed before the place of the hub, until the hub has taken this reader over."""
        loop = asyncio.get_running_loop()
        spoke_at = loop.time()
        while not self._stopped and not await self._taken_over():
            self._check()
            async with self._slots:
                page = await self._teller.page(self.after)
            for event in page:
                envelope = read_envelope(event)
                if self._backlog.wanted.takes(event.stream, envelope.type):
                    yield await self._teller.told(envelope, event)
                    self._marked, spoke_at = event.position, loop.time()
                self.after = event.position
            if loop.time() - spoke_at >= self._heartbeat_s:
                yield self._heartbeat(self.after)
                spoke_at = loop.time()

    async def _taken_over(self) -> bool:
        """Join the hub where it is; False while this reader is behind it."""
        position = self._hub.position
        if position is None:
            position = await self._teller.end()
        return self.after >= position and self._hub.attach(self._backlog, self.after)

    async def _live(self) -> bytes:
        """What the hub has put in, as one piece; a heartbeat where that is nothing for some time."""
        backlog = self._backlog
        await backlog.wait(self._heartbeat_s)
        self._check()
        content = bytearray()
        while len(content) < CHUNK_BYTES_MAX and (frame := backlog.take()) is not None:
            content += frame.content
            self._marked = frame.position
        if backlog.fault is not None and not content:
            raise backlog.fault
        if not content and not self._stopped and not backlog.dropped:
            return self._heartbeat(backlog.position)
        return bytes(content)

    def _check(self) -> None:
        if self._refused is not None:
            raise self._refused

    def _heartbeat(self, position: int) -> bytes:
        """A sign of life, with the cursor if it has moved."""
        if position == self._marked:
            return HEARTBEAT
        self._marked = position
        return moved(self._teller.cursor(position))
