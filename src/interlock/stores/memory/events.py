"""Appending to and reading from a store in memory.

What it does: takes appends in turn, first come first served, from a queue that is bounded; reads streams and
the feed. What it does not do: it decides nothing about heads and rows; `data` does.

Rules: the turn of a caller passes through a pause before and after its commit, so that tests meet the
interleavings of a real store; an outcome is given for every append, an error of one is no other's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice

from interlock.base.errors import Conflict, InterlockError
from interlock.journal.errors import OUTCOME_UNKNOWN, QUEUE_FULL
from interlock.journal.ports import Append, Head, StoredEvent, StoreStatistics
from interlock.stores.appending import RETRY_AFTER_MS, Outcome
from interlock.stores.memory.data import MemoryData
from interlock.stores.memory.handle import Handle
from interlock.stores.memory.rows import next_text


class MemoryEventLog:
    """`EventLog` in memory."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._data: MemoryData = handle.data
        self._turn = asyncio.Lock()
        self._queued = self._commits = self._appends = 0
        self._events = self._conflicts = self._refused = 0

    async def append(self, appends: Sequence[Append]) -> list[Outcome]:
        """Append each in turn; see `EventLog.append`."""
        if self._queued + len(appends) > self._handle.queue_capacity:
            self._refused += len(appends)
            full = QUEUE_FULL.error("too many appends wait", retry_after_ms=RETRY_AFTER_MS)
            return [full for _ in appends]
        if self._queued == 0:
            # A lock belongs to the event loop on which someone waited for it; an idle store belongs to none.
            self._turn = asyncio.Lock()
        self._queued += len(appends)
        try:
            async with self._turn:
                await self._handle.pause()
                outcomes = self._write(appends)
        finally:
            self._queued -= len(appends)
        await self._handle.pause()
        return outcomes

    def _write(self, appends: Sequence[Append]) -> list[Outcome]:
        """One transaction: every append that fits is in it."""
        try:
            self._handle.check_open()
            self._handle.reach("append:before")
            outcomes = [self._commit(append) for append in appends]
            self._commits += 1
            self._handle.reach("append:after_commit")
        except InterlockError as fault:
            if fault.kind is OUTCOME_UNKNOWN:
                self._handle.close()
            return [fault for _ in appends]
        return outcomes

    def _commit(self, append: Append) -> Outcome:
        try:
            appended = self._data.commit(append)
        except InterlockError as fault:
            self._conflicts += isinstance(fault, Conflict)
            return fault
        self._appends += 1
        self._events += sum(len(each.events) for each in append.streams)
        return appended

    async def drain(self) -> None:
        """Return once every append that was queued before has its outcome."""
        async with self._turn:
            pass

    async def heads(self, streams: Sequence[str]) -> list[Head]:
        """The head of each."""
        self._handle.check_open()
        return [self._data.head(stream) for stream in streams]

    async def read(self, stream: str, after_seq: int, limit: int) -> list[StoredEvent]:
        """Events of a stream after `after_seq`."""
        self._handle.check_open()
        return _page(self._data.streams.get(stream, []), after_seq, limit)

    async def feed(self, partition: str, after_position: int, limit: int) -> list[StoredEvent]:
        """Events of a partition after `after_position`."""
        self._handle.check_open()
        return _page(self._data.feeds[partition], after_position, limit)

    async def position(self, partition: str) -> int:
        """Position of the partition's last event."""
        self._handle.check_open()
        return len(self._data.feeds[partition])

    async def streams(self, partition: str, after: str, limit: int) -> list[tuple[str, Head]]:
        """Streams of a partition after `after`, in the order of their ids, with their heads."""
        self._handle.check_open()
        names = self._data.names.get(partition)
        return [] if names is None else list(islice(names.since(next_text(after)), max(limit, 0)))

    async def partitions(self) -> list[str]:
        """Every partition that has an event, in order."""
        self._handle.check_open()
        return sorted(self._data.names)

    def statistics(self) -> StoreStatistics:
        """Figures of the writer since the store was opened."""
        return StoreStatistics(
            self._queued,
            self._commits,
            self._appends,
            self._events,
            self._conflicts,
            self._refused,
            wal_bytes=0,
        )


def _page(events: Sequence[StoredEvent], after: int, limit: int) -> list[StoredEvent]:
    """What stands after place `after`, counted from 1."""
    start = max(after, 0)
    return list(events[start : start + max(limit, 0)])
