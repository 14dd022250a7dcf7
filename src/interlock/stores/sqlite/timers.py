"""`Timers` on SQLite: reading the timers that appends set.

What it does: finds what is due, in order. What it does not do: it sets and fires none, and reads no clock.
"""

from __future__ import annotations

from interlock.base.events import Timer
from interlock.journal.errors import STORE_CORRUPT
from interlock.stores.sqlite.connection import Reader
from interlock.stores.sqlite.statements import Row, statements

_SQL = statements("timers")


class SqliteTimers:
    """`Timers` over one opened store."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def due(self, partition: str, now_ms: int, limit: int) -> list[Timer]:
        """Timers that are due, in order."""
        return [_timer(row) for row in self._reader.rows(_SQL["timers_due"], (partition, now_ms, max(limit, 0)))]

    async def next_due(self, partition: str) -> int | None:
        """When the first timer is due."""
        first: int | None = self._reader.one(_SQL["timer_next"], (partition,))
        return first

    async def scan(self, partition: str, after: str, limit: int) -> list[Timer]:
        """Timers after the id `after`, in the order of ids."""
        return [_timer(row) for row in self._reader.rows(_SQL["timers_after"], (partition, after, max(limit, 0)))]


def _timer(row: Row) -> Timer:
    """A row as a timer; a damaged row can hold values of other types than were written."""
    if tuple(map(type, row)) != (str, str, int, bytes):
        raise STORE_CORRUPT.error("a row of a timer is damaged")
    return Timer(*row)
