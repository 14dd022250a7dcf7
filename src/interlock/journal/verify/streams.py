"""Whether every stream is the chain that was written, from its first event to its head.

What it does: walks the streams of a partition, names each event that is not what was written there, and goes on
behind it. What it does not do: it trusts no digest, head or position that it has not computed or compared.

Rule: events are believed by the same reader as everywhere else. Behind a damaged event the next one may follow
either what is stored there or what is said to be stored there, so that only the damaged one is named.
"""

from __future__ import annotations

import hashlib

from interlock.base.errors import Corruption, InterlockError
from interlock.journal.chain import ChainReader, Recorded, event_digest, read_envelope
from interlock.journal.ports import EMPTY, Head, StoredEvent
from interlock.journal.streams import parse_stream, tenant_of
from interlock.journal.verify.artifacts import NamedArtifacts
from interlock.journal.verify.report import PAGE, Examination

_SUM_OVER = 1 << 256


class Tally:
    """Which events stand at which positions, as one number that does not depend on the order of looking."""

    def __init__(self) -> None:
        self.events = 0
        self.sum = 0

    def add(self, event: StoredEvent) -> None:
        """Count an event at its position."""
        text = f"{event.position} {event.stream}#{event.seq} {event.digest}"
        digest = hashlib.sha256(text.encode()).digest()
        self.events += 1
        self.sum = (self.sum + int.from_bytes(digest, "big")) % _SUM_OVER

    def same(self, other: Tally) -> bool:
        """Whether the same events stand at the same positions."""
        return (self.events, self.sum) == (other.events, other.sum)


async def check_streams(examination: Examination, partition: str, end: int, artifacts: NamedArtifacts) -> Tally:
    """Examine every stream of a partition and what its events name; return its events up to position `end`."""
    tally = Tally()
    after = ""
    while True:
        listed = await examination.store.events.streams(partition, after, PAGE)
        for stream, claimed in listed:
            _check_name(examination, partition, stream)
            await _check_stream(examination, stream, claimed, end, tally, artifacts)
        if len(listed) < PAGE:
            return tally
        after = listed[-1][0]


def _check_name(examination: Examination, partition: str, stream: str) -> None:
    examination.counts["streams"] += 1
    try:
        parse_stream(stream)
    except InterlockError as fault:
        examination.damaged(fault, stream)
        return
    if tenant_of(stream) != partition.partition("~")[0]:
        examination.found("partition_mixed", stream, f"it stands in the partition {partition}")


async def _check_stream(
    examination: Examination,
    stream: str,
    claimed: Head,
    end: int,
    tally: Tally,
    artifacts: NamedArtifacts,
) -> None:
    walk = StreamWalk(examination, stream, claimed)
    while True:
        before = walk.seq
        page = await examination.reading(stream, examination.store.events.read(stream, before, PAGE))
        if page is None:
            return
        believed = [recorded for event in page if (recorded := walk.take(event)) is not None]
        for event in page:
            if event.position <= end:
                tally.add(event)
        examination.counts["events"] += len(page)
        examination.step("events", len(page))
        await artifacts.check(believed)
        if len(page) < PAGE:
            break
        if walk.seq <= before:
            examination.found("feed_wrong", f"{stream}#{before}", "the events behind it are not in order")
            return
    [now] = await examination.store.events.heads([stream])
    walk.finish(still=now == claimed)


class StreamWalk:
    """Goes through the events of one stream in order, naming what is damaged."""

    def __init__(self, examination: Examination, stream: str, claimed: Head) -> None:
        self._examination = examination
        self._stream = stream
        self._claimed = claimed
        self._reader = ChainReader(examination.catalogue, stream, decodes=examination.decodes)
        self._before: tuple[Head, ...] = (EMPTY,)
        self._position = 0

    @property
    def seq(self) -> int:
        """The sequence number of the last event."""
        return self._before[0].seq

    def take(self, event: StoredEvent) -> Recorded | None:
        """The next event, if it can be believed."""
        if event.seq > self.seq + 1:
            self._missing(self.seq + 1, event.seq - 1)
            self._before = (Head(event.seq - 1, _prev(event)),)
        if event.position <= self._position:
            place = f"{self._stream}#{event.seq}"
            self._examination.found("feed_wrong", place, "the feed has it before the event that it follows")
        self._position = event.position
        recorded = self._believed(event)
        if event.seq == self._claimed.seq and self._claimed not in self._before:
            message = f"its head is not the digest of event {event.seq}"
            self._examination.found("head_wrong", self._stream, message)
        return recorded

    def _believed(self, event: StoredEvent) -> Recorded | None:
        fault: Corruption | None = None
        for head in self._before:
            self._reader.head = head
            try:
                [recorded] = self._reader.take([event])
            except Corruption as found:
                fault = fault or found
            else:
                self._before = (self._reader.head,)
                return recorded
        if fault is not None:
            self._examination.damaged(fault, f"{self._stream}#{event.seq}")
        # Either the envelope is damaged or the digest beside it: the next event knows.
        self._before = (Head(event.seq, event.digest), Head(event.seq, event_digest(event.envelope)))
        return None

    def finish(self, *, still: bool) -> None:
        """Say what is wrong with the end, if the head is `still` what it was said to be."""
        if self.seq < self._claimed.seq:
            self._missing(self.seq + 1, self._claimed.seq)
        elif still and self.seq > self._claimed.seq:
            message = f"its head is event {self._claimed.seq}, and event {self.seq} stands behind it"
            self._examination.found("head_wrong", self._stream, message)

    def _missing(self, first: int, last: int) -> None:
        place = f"{self._stream}#{first}" + (f"-{last}" if last > first else "")
        self._examination.found("event_missing", place, "the stream has no event of this number")


def _prev(event: StoredEvent) -> str:
    """The digest of the event before a gap's end, as that event says."""
    try:
        return read_envelope(event).prev or ""
    except Corruption:
        return ""
