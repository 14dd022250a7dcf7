"""Artifacts, index, timers and views of a store in memory.

What it does: the ports `Artifacts`, `Index`, `Timers` and `ViewStore` over the store's content. What it does not do:
it writes no index row and no timer; an append does.

Rule: bytes are verified when they are put and when they are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import islice, takewhile

from interlock.base.events import Timer
from interlock.journal.errors import ARTIFACT_CORRUPT
from interlock.journal.ports import Blob, ViewRow
from interlock.stores.files import missing
from interlock.stores.memory.data import check_blobs
from interlock.stores.memory.handle import Handle
from interlock.stores.memory.rows import next_text


class MemoryArtifacts:
    """`Artifacts` in memory."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._blobs = handle.data.blobs

    async def put(self, blobs: Sequence[Blob]) -> list[str]:
        """Store each; raises `artifact_id_mismatch` and has then stored none."""
        self._handle.check_open()
        check_blobs(blobs)
        for blob in blobs:
            self._blobs.put(blob.id, blob.content)
        return [blob.id for blob in blobs]

    async def get(self, ids: Sequence[str]) -> list[bytes]:
        """The bytes of each; raises `artifact_not_found`, `artifact_corrupt`."""
        self._handle.check_open()
        return [self._verified(artifact) for artifact in ids]

    def _verified(self, artifact: str) -> bytes:
        content = self._blobs.get(artifact)
        if content is None:
            raise missing(artifact)
        if hashlib.sha256(content).hexdigest() != artifact:
            raise ARTIFACT_CORRUPT.error("the bytes of an artifact differ from its id", artifact=artifact)
        return content

    async def exists(self, ids: Sequence[str]) -> list[bool]:
        """Whether each is there."""
        self._handle.check_open()
        return [artifact in self._blobs for artifact in ids]

    async def scan(self, after: str, limit: int) -> list[str]:
        """Ids after `after`, in order."""
        self._handle.check_open()
        return [artifact for artifact, _ in islice(self._blobs.since(next_text(after)), max(limit, 0))]


class MemoryIndex:
    """`Index` in memory."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._index = handle.data.index

    async def get(self, partition: str, index: str, keys: Sequence[str]) -> list[bytes | None]:
        """The value at each key."""
        self._handle.check_open()
        table = self._index[partition, index]
        return [table.get(key) for key in keys]

    async def scan(self, partition: str, index: str, prefix: str, after: str, limit: int) -> list[tuple[str, bytes]]:
        """Rows under `prefix` after `after`, in key order."""
        self._handle.check_open()
        rows = self._index[partition, index].since(max(prefix, next_text(after)))
        found = takewhile(lambda row: row[0].startswith(prefix), rows)
        return list(islice(found, max(limit, 0)))

    async def names(self, partition: str) -> list[str]:
        """Every index that has a row in the partition, in order."""
        self._handle.check_open()
        return sorted(name for (where, name), rows in self._index.items() if where == partition and len(rows))


class MemoryViewStore:
    """`ViewStore` in memory."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._views = handle.data.views

    async def apply(self, partition: str, view: str, rows: Sequence[ViewRow], before: int, position: int) -> bool:
        """Write rows and move the position, if the view stands at `before`."""
        self._handle.check_open()
        table = self._views[partition, view]
        if table.position != before:
            return False
        for row in rows:
            table.put(row)
        table.position = position
        return True

    async def position(self, partition: str, view: str) -> int:
        """The position that the view has seen."""
        self._handle.check_open()
        return self._views[partition, view].position

    async def rows(self, partition: str, view: str, keys: Sequence[str]) -> list[bytes | None]:
        """The document at each key."""
        self._handle.check_open()
        found = (self._views[partition, view].rows.get(key) for key in keys)
        return [None if row is None else row.document for row in found]

    async def query(
        self, partition: str, view: str, terms: Mapping[str, str], before: tuple[int, str] | None, limit: int
    ) -> list[tuple[int, str, bytes]]:
        """Rows with all `terms`, newest first, below `before`."""
        self._handle.check_open()
        listed = self._views[partition, view].listing.below(before)
        found = (
            (row.order, row.key, row.document)
            for _, row in listed
            if row.document is not None and terms.items() <= row.terms.items()
        )
        return list(islice(found, max(limit, 0)))

    async def drop(self, partition: str, view: str) -> None:
        """Forget the view and its position."""
        self._handle.check_open()
        self._views.pop((partition, view), None)


class MemoryTimers:
    """`Timers` in memory."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._timers = handle.data.timers

    async def due(self, partition: str, now_ms: int, limit: int) -> list[Timer]:
        """Timers that are due, in order."""
        self._handle.check_open()
        timers = (timer for _, timer in self._timers.of(partition).by_time.since((0, "")))
        return list(islice(takewhile(lambda timer: timer.due_ms <= now_ms, timers), max(limit, 0)))

    async def next_due(self, partition: str | None) -> int | None:
        """When the first timer is due."""
        self._handle.check_open()
        if partition is None:
            return self._timers.next_due()
        first = self._timers.of(partition).by_time.first()
        return None if first is None else first[0]

    async def ready(self, now_ms: int, after: str, limit: int) -> list[str]:
        """Partitions after `after` with a timer that is due, in order."""
        self._handle.check_open()
        later = (partition for partition in self._timers.ready(now_ms) if partition > after)
        return list(islice(later, max(limit, 0)))

    async def scan(self, partition: str, after: str, limit: int) -> list[Timer]:
        """Timers after the id `after`, in the order of ids."""
        self._handle.check_open()
        rows = self._timers.of(partition).by_id.since(next_text(after))
        return [timer for _, timer in islice(rows, max(limit, 0))]
