"""`EventLog` on PostgreSQL: appending through the writer, reading on the shared connections.

What it does: checks the shape of appends, stores large artifacts before the batch that names them, and reads streams
and the feed in slices. What it does not do: it verifies no chain; whoever reads for the product does.

Rules: a refusal of one append is its own outcome; each slice is one statement; a hole in the feed is never passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from interlock.journal.errors import FEED_HOLE, STORE_CORRUPT
from interlock.journal.ports import EMPTY, Append, Head, StoredEvent
from interlock.stores.appending import Outcome, append_each
from interlock.stores.postgres.artifacts import PostgresArtifacts
from interlock.stores.postgres.connections import Pool
from interlock.stores.postgres.staging import PARTITION_SHIFT
from interlock.stores.postgres.statements import statements
from interlock.stores.postgres.texts import check_texts
from interlock.stores.postgres.writer import Writer
from interlock.stores.shape import checked_partition

SLICE_EVENTS = 1000
"""Events of one statement: what a page takes of memory here and at the server."""

_SQL = statements("events")
_POSITION_MASK = (1 << PARTITION_SHIFT) - 1


class PostgresEventLog:
    """`EventLog` over one opened store."""

    def __init__(self, pool: Pool, writer: Writer, artifacts: PostgresArtifacts) -> None:
        self._pool = pool
        self._writer = writer
        self._artifacts = artifacts
        self._partition_nos: dict[str, int] = {}

    async def append(self, appends: Sequence[Append]) -> list[Outcome]:
        """Append each durably; see `EventLog.append`. Who gives up waiting does not undo it."""
        return await append_each(appends, _check, self._artifacts.prepare_each, self._writer.append)

    async def restore(self, appends: Sequence[Append]) -> list[Outcome]:
        """As `append`, of what another store holds: data may have been erased."""
        check = partial(_check, erased=True)
        return await append_each(appends, check, self._artifacts.prepare_each, self._writer.append)

    async def heads(self, streams: Sequence[str]) -> list[Head]:
        """The head of each."""
        if not streams:
            return []
        rows = await self._pool.rows(_SQL["streams_find"], (list(streams),))
        found = {stream: Head(seq, digest.hex()) for stream, _, _, seq, digest in rows}
        return [found.get(stream, EMPTY) for stream in streams]

    async def read(self, stream: str, after_seq: int, limit: int) -> list[StoredEvent]:
        """Events of a stream after `after_seq`."""
        events: list[StoredEvent] = []
        while len(events) < limit:
            wanted = min(SLICE_EVENTS, limit - len(events))
            after = events[-1].seq if events else after_seq
            rows = await self._pool.rows(_SQL["stream_events"], (stream, after, wanted))
            events += [
                StoredEvent(stream, seq, digest.hex(), envelope, data, salt, place & _POSITION_MASK)
                for seq, digest, envelope, data, salt, place in rows
            ]
            if len(rows) < wanted:
                break
        return events

    async def feed(self, partition: str, after_position: int, limit: int) -> list[StoredEvent]:
        """Events of a partition after `after_position`. Raises: `feed_hole`."""
        events: list[StoredEvent] = []
        after = max(after_position, 0)
        no = await self._partition_no(partition)
        while no is not None and len(events) < limit:
            wanted = min(SLICE_EVENTS, limit - len(events))
            page = await self._feed_slice(partition, no, after + len(events), wanted)
            events += page
            if len(page) < wanted:
                break
        return events

    async def _feed_slice(self, partition: str, no: int, after: int, limit: int) -> list[StoredEvent]:
        first = no << PARTITION_SHIFT
        rows = await self._pool.rows(_SQL["feed"], (first + after, first + _POSITION_MASK, limit))
        if rows and rows[-1][6] != first + after + len(rows):
            raise FEED_HOLE.error(f"the feed of {partition} misses a position after {after}", position=after)
        if any(row[0] is None for row in rows):
            raise STORE_CORRUPT.error("the stream of an event is lost")
        return [
            StoredEvent(stream, seq, digest.hex(), envelope, data, salt, place & _POSITION_MASK)
            for stream, seq, digest, envelope, data, salt, place in rows
        ]

    async def _partition_no(self, partition: str) -> int | None:
        no = self._partition_nos.get(partition)
        if no is None:
            rows = await self._pool.rows(_SQL["partition_position"], (partition,))
            no = rows[0][0] if rows else None
            if no is not None:
                self._partition_nos[partition] = no
        return no

    async def position(self, partition: str) -> int:
        """Position of the partition's last event."""
        return int(await self._pool.one(_SQL["position"], (partition,)) or 0)

    async def streams(self, partition: str, after: str, limit: int) -> list[tuple[str, Head]]:
        """Streams of a partition after `after`, in the order of their ids, with their heads."""
        rows = await self._pool.rows(_SQL["streams_after"], (partition, after, max(limit, 0)))
        return [(stream, Head(seq, digest.hex())) for stream, seq, digest in rows]

    async def partitions(self) -> list[str]:
        """Every partition that has an event, in order."""
        return [partition for (partition,) in await self._pool.rows(_SQL["partitions"])]


def _check(append: Append, *, erased: bool = False) -> None:
    checked_partition(append, erased=erased)
    check_texts(append)
