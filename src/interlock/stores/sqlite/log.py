"""`EventLog` on SQLite: appending through the writer, reading on the loop.

What it does: checks the shape of appends, puts large artifacts into files before the transaction that names
them, and reads streams and the feed in slices. What it does not do: it verifies no chain; whoever reads for
the product does.

Rules: a refusal of one append is its own outcome; each slice is one statement, so that no read crosses an
`await`; a hole in the feed is never passed over.

Reads stay on the loop's thread, in slices of well under a millisecond: a thread would give up the
interpreter's lock at each row, and beside a busy loop a page then takes some twenty times as long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from interlock.base.errors import InterlockError
from interlock.journal.errors import EVENT_CORRUPT, FEED_HOLE
from interlock.journal.ports import EMPTY, Append, Head, StoredEvent
from interlock.stores.appending import Outcome, append_each
from interlock.stores.shape import checked_partition
from interlock.stores.sqlite.artifacts import SqliteArtifacts
from interlock.stores.sqlite.connection import Reader
from interlock.stores.sqlite.heads import PARTITION_SHIFT
from interlock.stores.sqlite.rows import Missing, RowShape, check_ascending
from interlock.stores.sqlite.statements import ManyRows, Row, statements
from interlock.stores.sqlite.writer import Writer

SLICE_EVENTS = 250
"""Events read without letting others run: below a millisecond."""

_SQL = statements("events")
_HEADS = ManyRows(_SQL["heads"])
_POSITION_MASK = (1 << PARTITION_SHIFT) - 1


def _damaged(row: Row) -> InterlockError:
    position = row[-1] & _POSITION_MASK
    return EVENT_CORRUPT.error(f"a row of the event at {position} is damaged", position=position)


_DATA = (bytes, Missing)
_EVENT = RowShape("event", int, bytes, bytes, _DATA, bytes, int, fault=_damaged)
_FEED_EVENT = RowShape("event", str, int, bytes, bytes, _DATA, bytes, int, fault=_damaged)
_PLACE = RowShape("event", int)
_HEAD = RowShape("stream", str, int, bytes)
_STREAM_NO = RowShape("stream", int)
_PARTITION, _PARTITION_NO = RowShape("partition", str), RowShape("partition", int)


class SqliteEventLog:
    """`EventLog` over one opened store."""

    def __init__(self, reader: Reader, writer: Writer, artifacts: SqliteArtifacts) -> None:
        self._reader = reader
        self._writer = writer
        self._artifacts = artifacts
        self._partition_nos: dict[str, int] = {}

    async def append(self, appends: Sequence[Append]) -> list[Outcome]:
        """Append each durably; see `EventLog.append`. Who gives up waiting does not undo it."""
        return await append_each(appends, checked_partition, self._artifacts.prepare_each, self._writer.append)

    async def restore(self, appends: Sequence[Append]) -> list[Outcome]:
        """As `append`, of what another store holds: data may have been erased."""
        check = partial(checked_partition, erased=True)
        return await append_each(appends, check, self._artifacts.prepare_each, self._writer.append)

    async def heads(self, streams: Sequence[str]) -> list[Head]:
        """The head of each."""
        found = {row[0]: Head(row[1], row[2].hex()) for row in self._reader.many(_HEADS, _HEAD, streams)}
        return [found.get(stream, EMPTY) for stream in streams]

    async def read(self, stream: str, after_seq: int, limit: int) -> list[StoredEvent]:
        """Events of a stream after `after_seq`."""
        no = self._reader.one(_SQL["stream_find"], _STREAM_NO, (stream,))
        events: list[StoredEvent] = []
        while no is not None and len(events) < limit:
            wanted = min(SLICE_EVENTS, limit - len(events))
            after = events[-1].seq if events else after_seq
            rows = self._reader.rows(_SQL["stream_events"], _EVENT, (no, after, wanted))
            events += [
                StoredEvent(stream, seq, digest.hex(), envelope, data, salt, place & _POSITION_MASK)
                for seq, digest, envelope, data, salt, place in rows
            ]
            if len(rows) < wanted:
                break
            await asyncio.sleep(0)
        return events

    async def feed(self, partition: str, after_position: int, limit: int) -> list[StoredEvent]:
        """Events of a partition after `after_position`. Raises: `feed_hole`."""
        events: list[StoredEvent] = []
        after = max(after_position, 0)
        while len(events) < limit:
            wanted = min(SLICE_EVENTS, limit - len(events))
            page = self._feed_slice(partition, after + len(events), wanted)
            events += page
            if len(page) < wanted:
                break
            await asyncio.sleep(0)
        return events

    def _feed_slice(self, partition: str, after: int, limit: int) -> list[StoredEvent]:
        no = self._partition_no(partition)
        if no is None:
            return []
        first = no << PARTITION_SHIFT
        rows = self._reader.rows(_SQL["feed"], _FEED_EVENT, (first + after, first + (1 << PARTITION_SHIFT), limit))
        if rows and rows[-1][6] != first + after + len(rows):
            raise FEED_HOLE.error(f"the feed of {partition} misses a position after {after}", position=after)
        return [
            StoredEvent(stream, seq, digest.hex(), envelope, data, salt, place & _POSITION_MASK)
            for stream, seq, digest, envelope, data, salt, place in rows
        ]

    def _partition_no(self, partition: str) -> int | None:
        no = self._partition_nos.get(partition)
        if no is None:
            no = self._reader.one(_SQL["partition_find"], _PARTITION_NO, (partition,))
            if no is not None:
                self._partition_nos[partition] = no
        return no

    async def position(self, partition: str) -> int:
        """Position of the partition's last event."""
        no = self._partition_no(partition)
        if no is None:
            return 0
        first = no << PARTITION_SHIFT
        place = self._reader.one(_SQL["place_last"], _PLACE, (first, first + (1 << PARTITION_SHIFT)))
        return 0 if place is None else int(place) - first

    async def streams(self, partition: str, after: str, limit: int) -> list[tuple[str, Head]]:
        """Streams of a partition after `after`, in the order of their ids, with their heads."""
        rows = self._reader.rows(_SQL["streams_after"], _HEAD, (partition, after, max(limit, 0)))
        check_ascending("stream", [after, *(row[0] for row in rows)])
        return [(stream, Head(seq, digest.hex())) for stream, seq, digest in rows]

    async def partitions(self) -> list[str]:
        """Every partition that has an event, in order."""
        return [partition for (partition,) in self._reader.rows(_SQL["partitions"], _PARTITION)]
