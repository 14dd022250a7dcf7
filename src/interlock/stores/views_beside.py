"""`ViewStore` for a store that can only be read: a view that is behind is built anew, in memory.

What it does: reads the rows that are stored as long as they are up to date, and else keeps the rows of that view
beside the store, until it is closed. What it does not do: it writes nothing, and keeps nothing for the next opening.

Rule: a view is one or the other, never a mixture: once it has moved, it begins at the start of the feed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from interlock.journal.ports import ViewRow, ViewStore
from interlock.stores.memory.store import MemoryStore


class ViewsBeside:
    """`ViewStore` over stored views that cannot be moved."""

    def __init__(self, stored: ViewStore) -> None:
        self._stored = stored
        self._beside = MemoryStore().views
        self._moved: set[tuple[str, str]] = set()

    def _of(self, partition: str, view: str) -> ViewStore:
        return self._beside if (partition, view) in self._moved else self._stored

    async def apply(self, partition: str, view: str, rows: Sequence[ViewRow], before: int, position: int) -> bool:
        """Write rows beside the store; the first time the view stands elsewhere, at its beginning."""
        if (partition, view) not in self._moved:
            self._moved.add((partition, view))
            return False
        return await self._beside.apply(partition, view, rows, before, position)

    async def position(self, partition: str, view: str) -> int:
        """The position that the view has seen."""
        return await self._of(partition, view).position(partition, view)

    async def rows(self, partition: str, view: str, keys: Sequence[str]) -> list[bytes | None]:
        """The document at each key."""
        return await self._of(partition, view).rows(partition, view, keys)

    async def query(
        self, partition: str, view: str, terms: Mapping[str, str], before: tuple[int, str] | None, limit: int
    ) -> list[tuple[int, str, bytes]]:
        """Rows with all `terms`, newest first, below `before`."""
        return await self._of(partition, view).query(partition, view, terms, before, limit)

    async def drop(self, partition: str, view: str) -> None:
        """Refused, as every write to the store is."""
        await self._stored.drop(partition, view)
