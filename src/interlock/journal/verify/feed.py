"""Whether the feed holds every event once, without a hole, where the streams say that it stands.

What it does: reads the feed of a partition past its holes, and compares it with what the streams hold. What it
does not do: it does not look into events; `streams` does.

Rule: feed and streams are compared by a tally of both, which needs no memory; only where the tallies differ is
every event looked up on the other side, to name the ones that stray.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from interlock.base.errors import Corruption
from interlock.journal.errors import FEED_HOLE
from interlock.journal.ports import StoredEvent
from interlock.journal.verify.report import PAGE, Examination
from interlock.journal.verify.streams import Tally

# A page with a hole is read again in smaller ones: to find the hole without reading event by event.
_PAGES = (PAGE, 32, 1)


class FeedReader:
    """Reads a part of the feed page by page, past every hole. `whole` tells whether there was none."""

    def __init__(self, examination: Examination, partition: str, end: int) -> None:
        self._examination = examination
        self._partition = partition
        self._end = end
        self.whole = True

    async def pages(self) -> AsyncGenerator[list[StoredEvent], None]:
        """The events at positions 1 to `end`; a hole is a finding."""
        seen = 0
        while seen < self._end:
            page = await self._page(seen)
            if not page:
                last = self._end if page is not None else seen + 1
                self._hole(seen + 1, last)
                seen = last
            for event in page or ():
                if event.position > seen + 1:
                    self._hole(seen + 1, event.position - 1)
                elif event.position <= seen:
                    self._doubled(event.position)
                seen = max(seen + 1, event.position)
            yield [event for event in page or () if event.position <= self._end]

    async def _page(self, after: int) -> list[StoredEvent] | None:
        """The events after a position; None where it cannot be said what stands at the next one."""
        for limit in _PAGES:
            try:
                return await self._examination.store.events.feed(self._partition, after, limit)
            except Corruption as fault:
                if fault.kind is not FEED_HOLE:
                    self._examination.damaged(fault, f"{self._partition}@{after + 1}")
        return None

    def _doubled(self, position: int) -> None:
        self.whole = False
        place = f"{self._partition}@{position}"
        self._examination.found("feed_wrong", place, "the feed has more than one event at this position")

    def _hole(self, first: int, last: int) -> None:
        self.whole = False
        place = f"{self._partition}@{first}" + (f"-{last}" if last > first else "")
        self._examination.found(FEED_HOLE.code, place, "the feed has no event at this position")


async def check_feed(examination: Examination, partition: str, end: int, in_streams: Tally) -> None:
    """Examine the feed up to `end`; `in_streams` are the events that the streams hold up to there."""
    tally = Tally()
    async for page in FeedReader(examination, partition, end).pages():
        for event in page:
            tally.add(event)
        examination.step("feed", len(page))
    if not tally.same(in_streams):
        await _name_strays_of_feed(examination, partition, end)
        await _name_strays_of_streams(examination, partition, end)


async def _name_strays_of_feed(examination: Examination, partition: str, end: int) -> None:
    """Name what stands in the feed and is not that event of its stream."""
    async for page in FeedReader(examination, partition, end).pages():
        for event in page:
            read = examination.store.events.read(event.stream, event.seq - 1, 1)
            if not _is(event, await examination.reading(event.stream, read)):
                message = f"what the feed has here is not event {event.stream}#{event.seq}"
                examination.found("feed_wrong", f"{partition}@{event.position}", message)


async def _name_strays_of_streams(examination: Examination, partition: str, end: int) -> None:
    """Name the events of streams that the feed does not have where they say."""
    log = examination.store.events
    after = ""
    while listed := await log.streams(partition, after, PAGE):
        for stream, _ in listed:
            seq = 0
            while page := await examination.reading(stream, log.read(stream, seq, PAGE)):
                for event in page:
                    if event.position <= end:
                        await _name_stray(examination, partition, event)
                seq = page[-1].seq
        after = listed[-1][0]


async def _name_stray(examination: Examination, partition: str, event: StoredEvent) -> None:
    read = examination.store.events.feed(partition, event.position - 1, 1)
    if not _is(event, await examination.reading(f"{partition}@{event.position}", read)):
        place = f"{event.stream}#{event.seq}"
        examination.found("feed_wrong", place, f"the feed does not have it at position {event.position}")


def _is(event: StoredEvent, found: list[StoredEvent] | None) -> bool:
    """Whether this event alone was found, at its position; damage that was met instead is named already."""
    return found is None or [(e.stream, e.seq, e.digest, e.position) for e in found] == [
        (event.stream, event.seq, event.digest, event.position)
    ]
