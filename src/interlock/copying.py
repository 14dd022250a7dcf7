"""`interlock store copy`: a store made anew elsewhere, event for event, and compared with where it came from.

What it does: copies artifacts, the feed and the rows of index, timers and activations through the ports of both stores,
compares what was written page by page, and heads, artifacts and rows at the end. What it does not do: it stops nobody,
and copies no view: those are rebuilt from the feed by whoever asks for them first.

Rules: nothing is written over: the target must not be there, or be what an earlier try of the same copy left; until the
copy is finished no one can open it as a store; a source whose runs somebody drives is refused, and one that moved
meanwhile is no copy. Positions, heads, bytes and epochs are those of the source; the identity of the store is new, and
an artifact's kind, which is only a hint, is not kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from interlock.base.clock import SystemClock
from interlock.base.errors import InterlockError, NotFound
from interlock.base.events import Claim, Hold, IndexRow, Row, SetTimer, Wake
from interlock.journal.errors import (
    COPY_DIFFERS,
    COPY_SOURCE_BUSY,
    COPY_SOURCE_NOT_FOUND,
    EVENT_CORRUPT,
    STORE_NOT_FOUND,
)
from interlock.journal.ports import Append, Blob, Head, Store, StoredEvent, StreamAppend
from interlock.journal.store_name import StoreName, is_url, shown_store
from interlock.stores.activation import Activation

PAGE = 1_000
BYTES_AT_ONCE = 8 * 1024 * 1024
_EVENT_PREFIX = b"interlock/event/1\n"
_COPIED = "copied"
_OWNER = "store-copy"

Progress = Callable[[str, int, int | None], None]


class Copied(Struct, frozen=True):
    """What was copied, counted while it was compared."""

    partitions: int
    streams: int
    events: int
    artifacts: int
    index_rows: int
    timers: int
    activations: int


class StoredActivations(Protocol):
    """The activations of a store as they are stored."""

    async def scan(self, after: str, limit: int) -> list[Activation]:
        """Activations of streams after `after`, in order."""
        ...


class CopiedStore(Store, Protocol):
    """A store that shows its activations."""

    @property
    def stored_activations(self) -> StoredActivations:
        """The activations as they are stored."""
        ...


async def copy(source: StoreName, target: StoreName, progress: Progress) -> Copied:
    """Copy a whole store into a new one.

    Raises: `copy_source_not_found`, `copy_target_exists`, `copy_source_busy`, `copy_differs`, what opening either
    raises, and damage of the source. The target is then no store: a file is taken away; a database stays marked, and
    the same call goes on.
    """
    async with _source(source) as origin, _target(target, origin.id) as copied:
        await _refuse_busy(source, origin)
        await _copy_artifacts(origin, copied, progress)
        for partition in await origin.events.partitions():
            await _copy_partition(origin, copied, partition, progress)
        found = await _compared(origin, copied, progress)
        await _refuse_busy(source, origin)
    return found


@asynccontextmanager
async def _source(name: StoreName) -> AsyncIterator[CopiedStore]:
    try:
        store = await _opened(name)
    except NotFound as fault:
        if fault.kind is not STORE_NOT_FOUND:
            raise
        raise COPY_SOURCE_NOT_FOUND.error(fault.message) from None
    try:
        yield store
    finally:
        await store.close()


async def _opened(name: StoreName) -> CopiedStore:
    if is_url(name):
        from interlock.stores.postgres import open_postgres

        return await open_postgres(str(name), read_only=True)
    from interlock.stores.sqlite import open_sqlite

    return await open_sqlite(Path(name), read_only=True)


@asynccontextmanager
async def _target(name: StoreName, source_id: str) -> AsyncIterator[CopiedStore]:
    """The new store; it becomes one that can be opened only when the block ends well."""
    if is_url(name):
        from interlock.stores.postgres import copy_target

        async with copy_target(str(name), source_id) as database:
            yield database
    else:
        from interlock.stores.sqlite.maintenance.new_file import new_file

        async with new_file(Path(name)) as file:
            yield file


async def _refuse_busy(name: StoreName, store: CopiedStore) -> None:
    """Refuse a source whose runs somebody drives: what they write would be lost. Raises: `copy_source_busy`."""
    now_ms = SystemClock().now_ms()
    async for activation in _activations(store):
        if activation.owner is not None and await store.activations.holder(activation.stream, now_ms) is not None:
            raise COPY_SOURCE_BUSY.error(
                f"{activation.stream} of {shown_store(name)} is held by {activation.owner}", stream=activation.stream
            )


async def _activations(store: CopiedStore) -> AsyncIterator[Activation]:
    after = ""
    while page := await store.stored_activations.scan(after, PAGE):
        for activation in page:
            yield activation
        after = page[-1].stream


async def _copy_artifacts(origin: Store, copied: Store, progress: Progress) -> None:
    after, done = "", 0
    while ids := await origin.artifacts.scan(after, PAGE):
        there = await copied.artifacts.exists(ids)
        blobs: list[Blob] = []
        for identity in (identity for identity, stored in zip(ids, there, strict=True) if not stored):
            [content] = await origin.artifacts.get([identity])
            blobs.append(Blob(identity, _COPIED, content))
            if sum(len(blob.content) for blob in blobs) > BYTES_AT_ONCE:
                await copied.artifacts.put(blobs)
                blobs = []
        await copied.artifacts.put(blobs)
        after, done = ids[-1], done + len(ids)
        progress("artifacts", done, None)


async def _copy_partition(origin: CopiedStore, copied: Store, partition: str, progress: Progress) -> None:
    """Copy the feed of a partition from where the target stands; its last event brings the rows."""
    total = await origin.events.position(partition)
    position = await copied.events.position(partition)
    while position < total:
        page = await origin.events.feed(partition, position, min(PAGE, total - position))
        last = position + len(page) == total
        rows = [row async for row in _rows(origin, partition)] if last else []
        await _append(copied, partition, page, rows)
        await _compare_page(copied, partition, position, page)
        position += len(page)
        progress(f"events of {partition}", position, total)
    await _give_back(origin, copied, partition)


async def _append(copied: Store, partition: str, page: list[StoredEvent], rows: list[Row]) -> None:
    """Append a page as it stands in the feed: one append for each run of events of one stream, all in one batch."""
    streams = list(dict.fromkeys(event.stream for event in page))
    heads = dict(zip(streams, await copied.events.heads(streams), strict=True))
    appends: list[Append] = []
    for stream, group in groupby(page, key=lambda event: event.stream):
        events = [_checked(event) for event in group]
        head = Head(events[-1].seq, events[-1].digest)
        appends.append(Append([StreamAppend(stream, partition, heads[stream], events, head)]))
        heads[stream] = head
    if rows:
        appends[-1] = Append(appends[-1].streams, rows)
    for outcome in await copied.events.append(appends):
        if isinstance(outcome, InterlockError):
            raise outcome


def _checked(event: StoredEvent) -> StoredEvent:
    """An event whose digest is that of its envelope. Raises: `event_corrupt`."""
    if hashlib.sha256(_EVENT_PREFIX + event.envelope).hexdigest() != event.digest:
        raise EVENT_CORRUPT.error(f"event {event.seq} of {event.stream} is damaged", stream=event.stream, seq=event.seq)
    return event


async def _compare_page(copied: Store, partition: str, position: int, page: list[StoredEvent]) -> None:
    """What can be read back of a page is what was read. Raises: `copy_differs`."""
    again = await copied.events.feed(partition, position, len(page))
    if again != page:
        raise COPY_DIFFERS.error(f"the feed of {partition} differs behind position {position}", position=position)


async def _rows(origin: CopiedStore, partition: str) -> AsyncIterator[Row]:
    """Everything derived that a partition has, as the rows of an append."""
    for index in await origin.index.names(partition):
        after = ""
        while page := await origin.index.scan(partition, index, "", after, PAGE):
            for key, value in page:
                yield IndexRow(index, key, value)
            after = page[-1][0]
    after = ""
    while timers := await origin.timers.scan(partition, after, PAGE):
        for timer in timers:
            yield SetTimer(timer.timer_id, timer.stream, timer.due_ms, timer.payload)
        after = timers[-1].timer_id
    async for activation in _activations(origin):
        if activation.partition == partition:
            if activation.epoch:
                yield Hold(_held(activation))
            due_ms = _due_ms(activation)
            if due_ms is not None:
                yield Wake(activation.stream, activation.kind, due_ms)


def _held(activation: Activation) -> Claim:
    """A claim that keeps the epoch and is given back at once: the fence of earlier owners must stand."""
    return Claim(activation.stream, activation.kind, _OWNER, activation.epoch, 0)


def _due_ms(activation: Activation) -> int | None:
    """Since when a stream wants an owner that nobody holds any more: what a dead owner left is due at once."""
    if activation.owner is not None:
        return min(each for each in (0, activation.due_ms) if each is not None)
    return activation.due_ms


async def _give_back(origin: CopiedStore, copied: Store, partition: str) -> None:
    held = [_held(each) async for each in _activations(origin) if each.partition == partition and each.epoch]
    for at in range(0, len(held), PAGE):
        await copied.activations.release(held[at : at + PAGE], None)


async def _compared(origin: CopiedStore, copied: CopiedStore, progress: Progress) -> Copied:
    """Both stores hold the same. Raises: `copy_differs`, with what is not; a source that moved is one of those."""
    partitions = await origin.events.partitions()
    _same("partitions", partitions, await copied.events.partitions())
    counts = dict.fromkeys(("streams", "events", "index_rows", "timers"), 0)
    for partition in partitions:
        total = await origin.events.position(partition)
        _same(f"position of {partition}", total, await copied.events.position(partition))
        counts["events"] += total
        for name, one, other in (
            ("streams", _streams(origin, partition), _streams(copied, partition)),
            ("index_rows", _index(origin, partition), _index(copied, partition)),
            ("timers", _timers(origin, partition), _timers(copied, partition)),
        ):
            counts[name] += await _same_listing(f"{name} of {partition}", one, other)
            progress(f"comparing {name}", counts[name], None)
    artifacts = await _same_listing("artifacts", _artifacts(origin), _artifacts(copied))
    activations = await _same_listing("activations", _wanted(origin), _wanted(copied))
    return Copied(len(partitions), artifacts=artifacts, activations=activations, **counts)


def _same(what: str, one: object, other: object) -> None:
    if one != other:
        raise COPY_DIFFERS.error(f"the {what} differ: the source was written to meanwhile, or the copy is wrong")


async def _same_listing(what: str, one: AsyncIterator[object], other: AsyncIterator[object]) -> int:
    """How many things two listings have that must be the same."""
    count, end = 0, object()
    while True:
        left, right = await anext(one, end), await anext(other, end)
        if left is end and right is end:
            return count
        _same(what, left, right)
        count += 1


async def _streams(store: Store, partition: str) -> AsyncIterator[object]:
    after = ""
    while page := await store.events.streams(partition, after, PAGE):
        for stream in page:
            yield stream
        after = page[-1][0]


async def _index(store: Store, partition: str) -> AsyncIterator[object]:
    for index in await store.index.names(partition):
        after = ""
        while page := await store.index.scan(partition, index, "", after, PAGE):
            for row in page:
                yield index, *row
            after = page[-1][0]


async def _timers(store: Store, partition: str) -> AsyncIterator[object]:
    after = ""
    while page := await store.timers.scan(partition, after, PAGE):
        for timer in page:
            yield timer
        after = page[-1].timer_id


async def _artifacts(store: Store) -> AsyncIterator[object]:
    after = ""
    while page := await store.artifacts.scan(after, PAGE):
        for identity in page:
            yield identity
        after = page[-1]


async def _wanted(store: CopiedStore) -> AsyncIterator[object]:
    async for each in _activations(store):
        yield each.stream, each.partition, each.kind, each.epoch, _due_ms(each)
