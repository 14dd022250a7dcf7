"""One reader of a tenant's feed for all who listen to it.

What it does: follows the feed from where the first listener is, has each event told once, and puts it into the backlog
of everyone who wants it. What it does not do: it waits for no listener, and brings none up to where it is (`reader`).

The procedure, while anybody listens:
 1. read a page of the feed; at its end wait for the store's doorbell
 2. see who wants an event, and have it told if anybody does
 3. offer it, without waiting, to all who stand before it
Rules: a listener joins only at or behind the hub's own place, so it misses nothing; an event that it has already is not
offered; a backlog that is full is dropped by itself; a fault of the feed ends every listener with that fault.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from msgspec import Raw, Struct

from interlock.base.errors import InterlockError
from interlock.base.part import Telling
from interlock.engine.io.sinks.cloud_event import cloud_event_of
from interlock.journal.chain import Envelope, check_data, read_envelope
from interlock.journal.cursor import write_cursor
from interlock.journal.errors import FEED_HOLE
from interlock.journal.journal import Journal
from interlock.journal.ports import StoredEvent
from interlock.journal.subscriptions.events import key_of
from interlock.journal.subscriptions.port import Delivery
from interlock.surfaces.errors import PROGRAM_FAULT
from interlock.surfaces.sse.filters import Wanted
from interlock.surfaces.sse.messages import EVENT, message, untold

PAGE_EVENTS = 100
WAIT_MS_MAX = 30_000
_LOG = logging.getLogger("interlock.sse")

Tell = Callable[[Envelope, StoredEvent], Awaitable[Telling | None]]


class Frame(Struct, frozen=True):
    """A message as it is sent, and the position behind it."""

    position: int
    content: bytes


class Backlog:
    """What waits for one listener: bounded, filled by the hub, emptied by the listener."""

    def __init__(self, wanted: Wanted, *, events_max: int, bytes_max: int) -> None:
        self.wanted = wanted
        self.position = 0
        """Behind which everything is still to come."""
        self.dropped = False
        self.fault: InterlockError | None = None
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._ring = asyncio.Event()

    def offer(self, position: int, content: bytes | None) -> None:
        """Put an event in, or note that there is none for this listener at a position."""
        self.position = position
        if content is None or self.dropped:
            return
        full = len(self._frames) >= self._events_max or self._bytes + len(content) > self._bytes_max
        if full and self._frames:  # one event is never too large for an empty backlog
            self.dropped = True
            self._frames.clear()
        else:
            self._frames.append(Frame(position, content))
            self._bytes += len(content)
        self._ring.set()

    def end(self, fault: InterlockError | None) -> None:
        """Let the listener know that nothing follows."""
        self.fault = fault
        self._ring.set()

    async def wait(self, timeout_s: float) -> None:
        """Return once something is here or nothing more follows, or after some time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ring.wait()
        except TimeoutError:
            return

    def take(self) -> Frame | None:
        """The next event, or None."""
        frame = self._frames.popleft() if self._frames else None
        if frame is not None:
            self._bytes -= len(frame.content)
        if not self._frames and self.fault is None and not self.dropped:
            self._ring.clear()
        return frame


class Teller:
    """Makes messages of events."""

    def __init__(self, journal: Journal, partition: str, tell: Tell) -> None:
        self._journal = journal
        self._partition = partition
        self._tell = tell

    async def page(self, after: int) -> list[StoredEvent]:
        """Events of the feed behind a position. Raises: `feed_hole`, storage errors."""
        page = await self._journal.store.events.feed(self._partition, after, PAGE_EVENTS)
        if page and page[-1].position != after + len(page):
            raise FEED_HOLE.error(f"the feed misses a position after {after}", position=after)
        return page

    async def end(self) -> int:
        """The position of the last event of the feed."""
        return await self._journal.store.events.position(self._partition)

    def cursor(self, position: int) -> str:
        """The cursor behind a position."""
        return write_cursor(self._journal.store.id, self._partition, position)

    async def told(self, envelope: Envelope, event: StoredEvent) -> bytes:
        """The message of an event: the CloudEvent that a subscription would deliver. Raises: `event_corrupt`."""
        check_data(self._journal.catalogue, envelope, event)
        key, cursor = key_of(event.stream, event.seq), self.cursor(event.position)
        try:
            telling = await self._tell(envelope, event)
        except InterlockError as fault:
            return untold(key, fault, cursor)
        delivery = Delivery(
            key=key,
            subscription="",
            store=self._journal.store.id,
            stream=event.stream,
            seq=event.seq,
            type=envelope.type,
            version=envelope.version,
            at_ms=envelope.at_ms,
            actor=envelope.actor,
            correlation=envelope.correlation,
            digest=event.digest,
            attempt=1,
            redriven=False,
            data=None if telling is None or telling.data is None else Raw(telling.data),
        )
        return message(EVENT, cloud_event_of(delivery).to_json(), cursor)


class FeedHub:
    """The one reader of a tenant's feed; it works while somebody listens."""

    def __init__(self, journal: Journal, teller: Teller) -> None:
        self._journal = journal
        self._teller = teller
        self._backlogs: set[Backlog] = set()
        self._task: asyncio.Task[None] | None = None
        self._position = 0

    @property
    def position(self) -> int | None:
        """How far it has read; None while nobody listens."""
        return None if self._task is None else self._position

    def attach(self, backlog: Backlog, after: int) -> bool:
        """Let a listener that has everything up to `after` hear what follows; False if it is behind the hub."""
        if self._task is None:
            self._position = after
            self._task = asyncio.get_running_loop().create_task(self._follow(), name="live feed")
        elif after < self._position:
            return False
        backlog.position = after
        self._backlogs.add(backlog)
        return True

    def detach(self, backlog: Backlog) -> None:
        """Let a listener go; without any, nothing is read."""
        self._backlogs.discard(backlog)
        if not self._backlogs and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _follow(self) -> None:
        fault: InterlockError | None = None
        doorbell = self._journal.store.doorbell
        try:
            while True:
                seen = doorbell.seen()
                page = await self._teller.page(self._position)
                for event in page:
                    await self._hand_out(event)
                if not page:
                    await doorbell.wait(seen, WAIT_MS_MAX)
        except InterlockError as raised:
            fault = raised
        except Exception as raised:  # noqa: BLE001 - listeners must not wait for what never comes
            _LOG.exception("the live feed is at fault")
            fault = PROGRAM_FAULT.error(f"unexpected {type(raised).__name__}")
        backlogs, self._backlogs, self._task = self._backlogs, set(), None
        for backlog in backlogs:
            backlog.end(fault)

    async def _hand_out(self, event: StoredEvent) -> None:
        envelope = read_envelope(event)
        content: bytes | None = None
        # Who comes while it is told may want it, too: it is looked at again.
        while content is None and any(self._is_for(each, envelope, event) for each in self._backlogs):
            content = await self._teller.told(envelope, event)
        for backlog in self._backlogs:
            if backlog.position < event.position:
                backlog.offer(event.position, content if self._is_for(backlog, envelope, event) else None)
        self._position = event.position

    @staticmethod
    def _is_for(backlog: Backlog, envelope: Envelope, event: StoredEvent) -> bool:
        stands_before = backlog.position < event.position and not backlog.dropped
        return stands_before and backlog.wanted.takes(event.stream, envelope.type)
