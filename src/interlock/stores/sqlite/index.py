"""`Index` on SQLite: reading the rows that appends wrote.

What it does: finds rows by key and walks them in key order. What it does not do: it writes none.
"""

from __future__ import annotations

from collections.abc import Sequence

from interlock.stores.sqlite.connection import Reader
from interlock.stores.sqlite.rows import Missing, RowShape, check_ascending
from interlock.stores.sqlite.statements import ManyRows, statements

_SQL = statements("index")
_GET = ManyRows(_SQL["index_get"])
_ROW, _NAME = RowShape("index_row", str, bytes), RowShape("index_row", (str, Missing))
_ABOVE_ALL_TEXT = b""
"""SQLite orders every BLOB behind every TEXT."""


class SqliteIndex:
    """`Index` over one opened store."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def get(self, partition: str, index: str, keys: Sequence[str]) -> list[bytes | None]:
        """The value at each key."""
        found: dict[str, bytes] = dict(self._reader.many(_GET, _ROW, keys, first=(partition, index)))
        return [found.get(key) for key in keys]

    async def scan(self, partition: str, index: str, prefix: str, after: str, limit: int) -> list[tuple[str, bytes]]:
        """Rows under `prefix` after `after`, in key order."""
        values = (partition, index, prefix, after, _behind(prefix), max(limit, 0))
        rows: list[tuple[str, bytes]] = [
            (key, value) for key, value in self._reader.rows(_SQL["index_scan"], _ROW, values)
        ]
        check_ascending("index_row", [after, *(key for key, _ in rows)])
        return rows

    async def names(self, partition: str) -> list[str]:
        """Every index that has a row in the partition, in order."""
        names: list[str] = []
        while True:
            name = self._reader.one(_SQL["index_name_after"], _NAME, (partition, names[-1] if names else ""))
            if name is None:
                return names
            names.append(name)
            check_ascending("index_row", names[-2:])


def _behind(prefix: str) -> str | bytes:
    """The least value that is greater than every text that starts with `prefix`."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return _ABOVE_ALL_TEXT
    last = ord(kept[-1])
    # Surrogates are no characters of a text: what follows U+D7FF is U+E000.
    return kept[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
