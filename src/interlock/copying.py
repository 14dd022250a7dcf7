"""`interlock store copy`: a store made anew elsewhere, event for event, and compared with where it came from.

What it does: copies artifacts, the feed and the rows of index, timers and activations; believes what it reads as every
reader does, compares each page that was written, now or by an earlier try, and at the end reads the whole target back.
It also copies how far subscriptions are. What it does not do: it stops nobody, and copies no view: those are rebuilt
from the feed by who asks for them first.

Rules: nothing is written over: the target must not be there, or be what an earlier try of the same copy left; until the
copy is finished no one can open it as a store; a source whose runs somebody drives is refused, and one that moved
meanwhile is no copy; damage of either is refused. What is held in memory at once is bounded. Positions, heads, bytes
and epochs are those of the source; the identity of the store is new, and an artifact's kind, which is only a hint, is
not kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from interlock.base.clock import SystemClock
from interlock.base.errors import Corruption, InterlockError, NotFound
from interlock.base.events import IndexRow, Timer
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import ChainReader
from interlock.journal.errors import COPY_DIFFERS, COPY_SOURCE_BUSY, COPY_SOURCE_NOT_FOUND, STORE_NOT_FOUND
from interlock.journal.ports import Append, Blob, Head, Store, StoredEvent, StreamAppend
from interlock.journal.store_name import StoreName, is_url, shown_store
from interlock.journal.subscriptions.progress import copy_progress
from interlock.journal.verify import verify_events
from interlock.stores.activation import Activation
from interlock.stores.appending import Outcome, groups

PAGE = 1_000
"""Events or rows that are read and written at once."""

BYTES_AT_ONCE = 8 * 1024 * 1024
"""Bytes of artifacts, events or rows that are written at once; one that is larger goes alone."""

_COPIED = "copied"

Item = TypeVar("Item")
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


class StoredArtifacts(Protocol):
    """What a store says of its artifacts."""

    async def sizes(self, ids: Sequence[str]) -> list[int]:
        """How many bytes each is said to have; 0 for what is not there."""
        ...


class Restoring(Protocol):
    """Writing into a store what another one holds."""

    async def events(self, appends: Sequence[Append]) -> list[Outcome]:
        """As `append`; data may have been erased."""
        ...

    async def index(self, partition: str, rows: Sequence[IndexRow]) -> None:
        """Put rows of the index."""
        ...

    async def timers(self, partition: str, timers: Sequence[Timer]) -> None:
        """Set timers."""
        ...

    async def activations(self, activations: Sequence[Activation]) -> None:
        """Put activations as they are."""
        ...


class CopiedStore(Store, Protocol):
    """A store that shows what it holds, and takes what another one held."""

    @property
    def stored_activations(self) -> StoredActivations:
        """The activations as they are stored."""
        ...

    @property
    def stored_artifacts(self) -> StoredArtifacts:
        """What is said of the artifacts."""
        ...

    @property
    def restoring(self) -> Restoring:
        """Writing what another store holds."""
        ...


async def copy(
    source: StoreName, target: StoreName, progress: Progress, catalogue: EventCatalogue | None = None
) -> Copied:
    """Copy a whole store into a new one; `catalogue` says whose data may be erased (default: of the installed parts).

    Raises: `copy_source_not_found`, `copy_target_exists`, `copy_running`, `copy_source_busy`, `copy_differs`, what
    opening either raises, and damage of the source. The target is then no store: a file is taken away; a database
    stays marked, and the same call goes on with it, unless it is damaged itself.
    """
    catalogue = catalogue or _installed()
    async with _source(source) as origin, _target(target, origin.id) as copied:
        await _refuse_busy(source, origin)
        await _copy_artifacts(origin, copied, progress)
        for partition in await origin.events.partitions():
            await _copy_partition(catalogue, origin, copied, partition, progress)
            await _copy_rows(origin, copied, partition, progress)
            await copy_progress(origin, copied, partition)
        await _copy_activations(origin, copied)
        found = await _compared(origin, copied, progress)
        await _read_back(catalogue, copied, progress)
        await _refuse_busy(source, origin)
    return found


def _installed() -> EventCatalogue:
    from interlock.parts import installed_parts

    return EventCatalogue(kind for part in installed_parts() for kind in part.events)


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


async def _copy_artifacts(origin: CopiedStore, copied: Store, progress: Progress) -> None:
    after, done = "", 0
    while ids := await origin.artifacts.scan(after, PAGE):
        there = await copied.artifacts.exists(ids)
        for group in await _groups(origin, [each for each, stored in zip(ids, there, strict=True) if not stored]):
            contents = await origin.artifacts.get(group)
            blobs = [Blob(identity, _COPIED, content) for identity, content in zip(group, contents, strict=True)]
            await copied.artifacts.put(blobs)
        after, done = ids[-1], done + len(ids)
        progress("artifacts", done, None)


async def _groups(store: CopiedStore, ids: Sequence[str]) -> list[list[str]]:
    """A page of artifacts in groups that can be held at once, by what the store says of their sizes."""
    sizes = dict(zip(ids, await store.stored_artifacts.sizes(ids), strict=True))
    return list(groups(ids, sizes.__getitem__, BYTES_AT_ONCE))


async def _copy_partition(
    catalogue: EventCatalogue, origin: CopiedStore, copied: CopiedStore, partition: str, progress: Progress
) -> None:
    """Compare what the target has of the feed of a partition, and copy the rest."""
    total = await origin.events.position(partition)
    there = await copied.events.position(partition)
    position = 0
    while position < total:
        before = position < there
        page = await origin.events.feed(partition, position, min(PAGE, (there if before else total) - position))
        if not before:
            for group in groups(page, _bytes_of, BYTES_AT_ONCE):
                await _append(catalogue, copied, partition, group)
        await _compare_page(copied, partition, position, page)
        position += len(page)
        progress(f"events of {partition}", position, total)


def _bytes_of(event: StoredEvent) -> int:
    return len(event.envelope) + len(event.data or b"")


async def _append(catalogue: EventCatalogue, copied: CopiedStore, partition: str, page: Sequence[StoredEvent]) -> None:
    """Append events as they stand in the feed: one append for each run of events of one stream, all in one batch.

    Raises: `event_corrupt` for an event that does not follow the ones that are copied, or is not what was written.
    """
    streams = list(dict.fromkeys(event.stream for event in page))
    heads = await copied.events.heads(streams)
    readers = {
        stream: ChainReader(catalogue, stream, head, decodes=False) for stream, head in zip(streams, heads, strict=True)
    }
    appends: list[Append] = []
    for stream, group in groupby(page, key=lambda event: event.stream):
        events, expected = list(group), readers[stream].head
        readers[stream].take(events)
        head = Head(events[-1].seq, events[-1].digest)
        appends.append(Append([StreamAppend(stream, partition, expected, events, head)]))
    for outcome in await copied.restoring.events(appends):
        if isinstance(outcome, InterlockError):
            raise outcome


async def _compare_page(copied: Store, partition: str, position: int, page: Sequence[StoredEvent]) -> None:
    """What can be read back of a page is what was read. Raises: `copy_differs`."""
    again = await copied.events.feed(partition, position, len(page))
    for one, other in zip(page, again, strict=False):
        if one != other:
            message = f"event {one.stream}#{one.seq} of the feed of {partition} differs in the copy"
            raise COPY_DIFFERS.error(message, position=one.position, stream=one.stream, seq=one.seq)
    if len(again) != len(page):
        message = f"the feed of {partition} ends early in the copy, or was cut behind position {position}"
        raise COPY_DIFFERS.error(message, position=position)


async def _copy_rows(origin: CopiedStore, copied: CopiedStore, partition: str, progress: Progress) -> None:
    """Copy what is derived of a partition, group by group."""
    done = 0
    async for index in _paged(_index_rows(origin, partition), lambda row: len(row.key) + len(row.value or b"")):
        await copied.restoring.index(partition, index)
        done += len(index)
        progress(f"rows of {partition}", done, None)
    async for timers in _paged(_timers(origin, partition), lambda timer: len(timer.payload)):
        await copied.restoring.timers(partition, timers)
        done += len(timers)
        progress(f"rows of {partition}", done, None)


async def _copy_activations(origin: CopiedStore, copied: CopiedStore) -> None:
    """Copy the activations as nobody's; epochs stay, because the fence of earlier owners must stand."""
    async for group in _paged(_activations(origin), lambda activation: len(activation.stream)):
        free = [replace(each, due_ms=_due_ms(each), owner=None, expires_ms=None) for each in group]
        await copied.restoring.activations(free)


async def _paged(items: AsyncIterator[Item], size: Callable[[Item], int]) -> AsyncIterator[list[Item]]:
    """The items in their order, in groups that are written at once."""
    group: list[Item] = []
    total = 0
    async for item in items:
        group.append(item)
        total += size(item)
        if len(group) >= PAGE or total >= BYTES_AT_ONCE:
            yield group
            group, total = [], 0
    if group:
        yield group


def _due_ms(activation: Activation) -> int | None:
    """Since when a stream wants an owner that nobody holds any more: what a dead owner left is due at once."""
    if activation.owner is not None:
        return min(each for each in (0, activation.due_ms) if each is not None)
    return activation.due_ms


class _Target(NamedTuple):
    """What is read back."""

    store: Store
    catalogue: EventCatalogue


async def _read_back(catalogue: EventCatalogue, copied: CopiedStore, progress: Progress) -> None:
    """Read all streams, the feed and all artifacts of the target. Raises: `copy_differs`, naming what is damaged."""
    report = await verify_events(
        _Target(copied, catalogue), lambda what, done, total: progress(f"reading back {what}", done, total)
    )
    for finding in report.findings:
        raise _damaged(finding.place, finding.message)
    after, done = "", 0
    while ids := await copied.artifacts.scan(after, PAGE):
        for group in await _groups(copied, ids):
            await _read_artifacts(copied, group)
        after, done = ids[-1], done + len(ids)
        progress("reading back artifacts", done, None)


async def _read_artifacts(copied: Store, ids: Sequence[str]) -> None:
    """Read artifacts; where one of them is damaged, it is named."""
    try:
        await copied.artifacts.get(ids)
    except (Corruption, NotFound) as fault:
        place = str(fault.details.get("artifact", "an artifact"))
        raise _damaged(place, fault.message) from fault


def _damaged(place: str, why: str) -> InterlockError:
    return COPY_DIFFERS.error(f"the copy is damaged at {place}: {why}", place=place)


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
            ("index_rows", _index_rows(origin, partition), _index_rows(copied, partition)),
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


async def _index_rows(store: Store, partition: str) -> AsyncIterator[IndexRow]:
    for index in await store.index.names(partition):
        after = ""
        while page := await store.index.scan(partition, index, "", after, PAGE):
            for key, value in page:
                yield IndexRow(index, key, value)
            after = page[-1][0]


async def _timers(store: Store, partition: str) -> AsyncIterator[Timer]:
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
