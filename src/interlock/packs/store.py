"""A pack as a store that is only read: what knows how to read runs reads them from it.

What it does: gives the streams and artifacts of a pack through the ports of the journal, page by page. What it does not
do: it trusts nothing; the chain and the readers of artifacts verify what it gives, as they do with any store.

Rules: events stand in the feed stream after stream, since a pack says nothing about the order between streams; a line
that is none is damage at its place, and what stands before it is given; memory is one page and a mark for each.
"""

from __future__ import annotations

from collections.abc import Sequence

from interlock.base.canonical import digest
from interlock.base.errors import Corruption, InterlockError
from interlock.journal.errors import ARTIFACT_CORRUPT, ARTIFACT_NOT_FOUND, EVENT_CORRUPT
from interlock.journal.ports import (
    EMPTY,
    Activations,
    Append,
    Appended,
    Artifacts,
    Blob,
    Doorbell,
    EventLog,
    Head,
    Index,
    StoredEvent,
    StoreStatistics,
    Timers,
    ViewStore,
)
from interlock.journal.streams import tenant_of
from interlock.packs.content import Content
from interlock.packs.lines import LINE_BYTES_MAX, event_of
from interlock.packs.manifest import StreamEntry
from interlock.packs.nothing import NoActivations, NoDoorbell, NoIndex, NoTimers, NoViews, unwritable

_CHUNK = 1 << 18


class _Stream:
    """One stream, and where some of its events begin."""

    def __init__(self, content: Content, entry: StreamEntry, before: int) -> None:
        self._content = content
        self.entry = entry
        self.before = before
        """How many events the streams before it have."""
        self._marks = {0: 0}

    def read(self, after_seq: int, limit: int) -> list[StoredEvent]:
        seq = after_seq if after_seq in self._marks else max(mark for mark in self._marks if mark <= after_seq)
        at = self._marks[seq]
        found: list[StoredEvent] = []
        held, begin = b"", 0
        while len(found) < limit:
            end = held.find(b"\n", begin)
            if end < 0:
                held, begin = held[begin:], 0
                more = self._more(at + len(held), seq) if len(held) <= LINE_BYTES_MAX else b""
                if not more:
                    if held and not found:
                        raise self._damage(seq + 1, "its line has no end, or is too long")
                    break
                held += more
                continue
            if seq >= after_seq:
                try:
                    event = event_of(held[begin:end], self.entry.stream, seq + 1, self.before + seq + 1)
                except Corruption:
                    if not found:
                        raise
                    break
                found.append(event)
            seq, at, begin = seq + 1, at + end + 1 - begin, end + 1
        self._marks[seq] = at
        return found

    def _more(self, at: int, seq: int) -> bytes:
        found = self._content.read(self.entry.member, at, _CHUNK)
        if found and seq >= self.entry.events:
            raise self._damage(self.entry.events, "more stands behind its last event than the manifest says")
        return found

    def _damage(self, seq: int, why: str) -> InterlockError:
        stream = self.entry.stream
        return EVENT_CORRUPT.error(f"event {stream}#{seq} is damaged: {why}", stream=stream, seq=seq, why=why)


class PackEvents:
    """The streams of a pack."""

    def __init__(self, content: Content) -> None:
        self._streams: dict[str, _Stream] = {}
        before = 0
        for entry in content.manifest.streams:
            if entry.member in content.places:
                self._streams[entry.stream] = _Stream(content, entry, before)
            before += entry.events
        self._end = before
        self._partition = content.manifest.root.tenant

    async def append(self, appends: Sequence[Append]) -> list[Appended | InterlockError]:  # noqa: ARG002
        """Raises: `store_unwritable`."""
        raise unwritable()

    async def heads(self, streams: Sequence[str]) -> list[Head]:
        """The heads that the manifest claims."""
        found = [self._streams.get(stream) for stream in streams]
        return [EMPTY if each is None else Head(each.entry.events, each.entry.head) for each in found]

    async def read(self, stream: str, after_seq: int, limit: int) -> list[StoredEvent]:
        """Events of a stream. Raises: `event_corrupt` where the first of them is no line."""
        found = self._streams.get(stream)
        return [] if found is None else found.read(after_seq, limit)

    async def feed(self, partition: str, after_position: int, limit: int) -> list[StoredEvent]:
        """Events of all streams, stream after stream."""
        found: list[StoredEvent] = []
        for each in self._streams.values() if partition == self._partition else ():
            last = each.before + each.entry.events
            while len(found) < limit and after_position < last:
                page = each.read(after_position - each.before, limit - len(found))
                if not page:
                    break
                found += page
                after_position = page[-1].position
        return found

    async def position(self, partition: str) -> int:
        """How many events there are."""
        return self._end if partition == self._partition else 0

    async def streams(self, partition: str, after: str, limit: int) -> list[tuple[str, Head]]:
        """The streams in the order of their ids."""
        names = sorted(name for name in self._streams if name > after and tenant_of(name) == partition)[:limit]
        return list(zip(names, await self.heads(names), strict=True))

    async def partitions(self) -> list[str]:
        """The one tenant whose run it is."""
        return [self._partition]


class PackArtifacts:
    """The artifacts of a pack."""

    def __init__(self, content: Content) -> None:
        self._content = content

    async def put(self, blobs: Sequence[Blob]) -> list[str]:  # noqa: ARG002
        """Raises: `store_unwritable`."""
        raise unwritable()

    async def get(self, ids: Sequence[str]) -> list[bytes]:
        """The bytes, verified. Raises: `artifact_not_found`, `artifact_corrupt`."""
        return [self._one(each) for each in ids]

    def _one(self, artifact: str) -> bytes:
        content = self._content.artifact(artifact)
        if content is None:
            raise ARTIFACT_NOT_FOUND.error("an artifact is not in the pack", artifact=artifact)
        if digest(content) != artifact:
            raise ARTIFACT_CORRUPT.error("an artifact differs from its digest", artifact=artifact)
        return content

    async def exists(self, ids: Sequence[str]) -> list[bool]:
        """Whether each is there."""
        return [self._content.artifacts.find(each) is not None for each in ids]

    async def scan(self, after: str, limit: int) -> list[str]:
        """Ids greater than `after`."""
        places = self._content.artifacts
        first = places.after(bytes.fromhex(after)) if after else 0
        if after and first < len(places) and places[first].hex() == after:
            first += 1
        return [places[place].hex() for place in range(first, min(first + limit, len(places)))]


class PackStore:
    """A pack behind all ports of a store."""

    def __init__(self, content: Content) -> None:
        self.events: EventLog = PackEvents(content)
        self.artifacts: Artifacts = PackArtifacts(content)
        self.index: Index = NoIndex()
        self.views: ViewStore = NoViews()
        self.activations: Activations = NoActivations()
        self.timers: Timers = NoTimers()
        self.doorbell: Doorbell = NoDoorbell()
        self.id = content.manifest_digest
        self.owner = "pack"

    def statistics(self) -> StoreStatistics:
        """Nothing was ever written."""
        return StoreStatistics(0, 0, 0, 0, 0, 0, 0)

    async def close(self) -> None:
        """Whoever opened the pack closes it."""
