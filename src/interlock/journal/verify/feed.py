"""Whether the feed holds every event once, without a hole, where the streams say that it stands.

What it does: walks the feed of a partition and compares it with what the streams hold. What it does not do: it
does not look into events; `streams` does.

Rule: feed and streams are compared by a tally of both, which needs no memory; only where the tallies differ is
every event looked up on the other side, to name the ones that stray.
"""

from __future__ import annotations

from interlock.journal.ports import StoredEvent
from interlock.journal.verify.report import PAGE, Examination, FeedReader, Finding
from interlock.journal.verify.streams import Tally


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
            place = f"{partition}@{event.position}"
            own = await examination.reading(
                place, examination.store.events.read(event.stream, event.seq - 1, 1)
            )
            if own is not None and not _same(own, event):
                message = f"the feed has an event here that is not {event.stream}#{event.seq}"
                examination.found(Finding("feed_wrong", place, message))


async def _name_strays_of_streams(examination: Examination, partition: str, end: int) -> None:
    """Name the events of streams that the feed does not have where they say."""
    log = examination.store.events
    after = ""
    while listed := await log.streams(partition, after, PAGE):
        for stream, _ in listed:
            seq = 0
            while page := await examination.reading(stream, log.read(stream, seq, PAGE)) or []:
                for event in page:
                    if event.position <= end:
                        await _name_stray(examination, partition, event)
                seq = page[-1].seq
        after = listed[-1][0]


async def _name_stray(examination: Examination, partition: str, event: StoredEvent) -> None:
    place = f"{event.stream}#{event.seq}"
    log = examination.store.events
    found = await examination.reading(
        f"{partition}@{event.position}", log.feed(partition, event.position - 1, 1)
    )
    if found is not None and not _same(found, event):
        examination.found(Finding("feed_wrong", place, f"the feed does not have it at {event.position}"))


def _same(found: list[StoredEvent], event: StoredEvent) -> bool:
    return [(e.stream, e.seq, e.digest, e.position) for e in found] == [
        (event.stream, event.seq, event.digest, event.position)
    ]
