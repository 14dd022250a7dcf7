"""`Index` on PostgreSQL: reading the rows that appends wrote.

What it does: finds rows by key and walks them in key order. What it does not do: it writes none.

Rule: a key is stored as the bytes of its UTF-8, whose order is that of code points.
"""

from __future__ import annotations

from collections.abc import Sequence

from interlock.stores.postgres.connections import Pool
from interlock.stores.postgres.statements import statements

_SQL = statements("index")


class PostgresIndex:
    """`Index` over one opened store."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def get(self, partition: str, index: str, keys: Sequence[str]) -> list[bytes | None]:
        """The value at each key."""
        values = (partition, index, [key.encode() for key in keys])
        found: dict[bytes, bytes] = dict(await self._pool.rows(_SQL["index_get"], values))
        return [found.get(key.encode()) for key in keys]

    async def scan(self, partition: str, index: str, prefix: str, after: str, limit: int) -> list[tuple[str, bytes]]:
        """Rows under `prefix` after `after`, in key order."""
        under, end = prefix.encode(), behind(prefix.encode())
        values = (partition, index, under, after.encode(), end, end, max(limit, 0))
        return [(key.decode(), value) for key, value in await self._pool.rows(_SQL["index_scan"], values)]

    async def names(self, partition: str) -> list[str]:
        """Every index that has a row in the partition, in order."""
        names: list[str] = []
        while True:
            name = await self._pool.one(_SQL["index_name_after"], (partition, names[-1] if names else ""))
            if name is None:
                return names
            names.append(name)


def behind(prefix: bytes) -> bytes | None:
    """The least bytes that are greater than all that starts with `prefix`; None where nothing is."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None
