"""What a store in memory holds, and the one place where an append changes it.

What it does: `MemoryData` is the content that outlives an opened store, as a file would; `commit` checks an
append against it and then writes all of it. What it does not do: it knows no queue, no clock and no opened
store.

Rules: `commit` never awaits, so nobody sees a part of it; it changes nothing before its last check has
passed; an append costs what is new in it and not what the store holds.
"""

from __future__ import annotations

import hashlib
from asyncio import Future
from collections import defaultdict
from collections.abc import Sequence

from interlock.base.events import ClearTimer, IndexRow, Row, SetTimer
from interlock.journal.errors import ARTIFACT_ID_MISMATCH, HEAD_MOVED, INDEX_KEY_TAKEN, PARTITION_MIXED
from interlock.journal.ports import EMPTY, Append, Appended, Blob, Head, StoredEvent, StreamAppend, ViewRow
from interlock.stores.memory.agenda import Agenda
from interlock.stores.memory.rows import SortedRows
from interlock.stores.memory.timers import TimerTables
from interlock.stores.shape import checked_partition

_TIMER_ROWS = (SetTimer, ClearTimer)


class View:
    """One view: its rows by key, their order for listings, and the position that it has seen."""

    def __init__(self) -> None:
        self.position = 0
        self.rows: dict[str, ViewRow] = {}
        self.listing: SortedRows[tuple[int, str], ViewRow] = SortedRows()

    def put(self, row: ViewRow) -> None:
        """Write a row, or take it away where it has no document."""
        old = self.rows.pop(row.key, None)
        if old is not None:
            self.listing.drop((old.order, old.key))
        if row.document is not None:
            self.rows[row.key] = row
            self.listing.put((row.order, row.key), row)


class MemoryData:
    """The content of a store; every opened store on it sees the same."""

    def __init__(self, identity: str) -> None:
        self.id = identity
        self.streams: dict[str, list[StoredEvent]] = {}
        self.names: dict[str, SortedRows[str, Head]] = {}
        self.partition_of: dict[str, str] = {}
        self.feeds: dict[str, list[StoredEvent]] = defaultdict(list)
        self.blobs: SortedRows[str, bytes] = SortedRows()
        self.index: dict[tuple[str, str], SortedRows[str, bytes]] = defaultdict(SortedRows)
        self.views: dict[tuple[str, str], View] = defaultdict(View)
        self.timers = TimerTables()
        self.agenda = Agenda()
        self.changes = 0
        self._waiting: list[Future[None]] = []

    def head(self, stream: str) -> Head:
        """The head of a stream, `EMPTY` for one that does not exist."""
        events = self.streams.get(stream)
        return Head(events[-1].seq, events[-1].digest) if events else EMPTY

    def commit(self, append: Append) -> Appended:
        """Write an append whole. Raises what `EventLog.append` names, and has then written nothing."""
        partition = checked_partition(append)
        for each in append.streams:
            self._check_stream(each, partition)
        check_blobs(append.blobs)
        index = self._index_changes(partition, append.rows)
        activations = self.agenda.changes(partition, append.rows)
        for each in sorted(append.streams, key=lambda each: each.stream):
            self._write_stream(each, partition)
        for blob in append.blobs:
            self.blobs.put(blob.id, blob.content)
        for row in index.values():
            self._write_index(partition, row)
        for stream, activation in activations.items():
            self.agenda.put(stream, activation)
        for timer in append.rows:
            if isinstance(timer, _TIMER_ROWS):
                self.timers.apply(partition, timer)
        self.changed()
        return Appended(partition, len(self.feeds[partition]))

    def _check_stream(self, append: StreamAppend, partition: str) -> None:
        stream = append.stream
        if self.partition_of.get(stream, partition) != partition:
            raise PARTITION_MIXED.error(f"stream {stream} is of another partition", stream=stream)
        if self.head(stream) != append.expected:
            raise HEAD_MOVED.error(f"the head of {stream} is not the expected one", stream=stream)

    def _index_changes(self, partition: str, rows: Sequence[Row]) -> dict[tuple[str, str], IndexRow]:
        """The last row for each key. A fresh key may be taken neither before nor within the append."""
        changes: dict[tuple[str, str], IndexRow] = {}
        for row in rows:
            if not isinstance(row, IndexRow):
                continue
            place = (row.index, row.key)
            before = changes.get(place)
            stands = row.key in self.index[partition, row.index] if before is None else before.value is not None
            if row.fresh and stands:
                raise INDEX_KEY_TAKEN.error(f"a key of the index {row.index} is taken", index=row.index)
            changes[place] = row
        return changes

    def _write_index(self, partition: str, row: IndexRow) -> None:
        table = self.index[partition, row.index]
        if row.value is None:
            table.drop(row.key)
        else:
            table.put(row.key, row.value)

    def _write_stream(self, append: StreamAppend, partition: str) -> None:
        feed = self.feeds[partition]
        events = self.streams.setdefault(append.stream, [])
        for event in append.events:
            stored = StoredEvent(
                event.stream, event.seq, event.digest, event.envelope, event.data, event.salt, len(feed) + 1
            )
            feed.append(stored)
            events.append(stored)
        self.partition_of[append.stream] = partition
        self.names.setdefault(partition, SortedRows()).put(append.stream, append.head)

    def changed(self) -> None:
        """Wake everyone who waits for a change."""
        self.changes += 1
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def wait(self, waiter: Future[None]) -> None:
        """Let the next change set `waiter`."""
        self._waiting = [each for each in self._waiting if not each.done()]
        self._waiting.append(waiter)


def check_blobs(blobs: Sequence[Blob]) -> None:
    """Refuse an artifact under a name that is not its digest. Raises: `artifact_id_mismatch`."""
    for blob in blobs:
        if hashlib.sha256(blob.content).hexdigest() != blob.id:
            raise ARTIFACT_ID_MISMATCH.error("the id of an artifact is not the SHA-256 of its bytes")
