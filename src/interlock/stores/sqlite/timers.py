"""`Timers` on SQLite: reading the timers that appends set.

What it does: finds what is due, in order. What it does not do: it sets and fires none, and reads no clock.
"""

from __future__ import annotations

from interlock.base.events import Timer
from interlock.stores.sqlite.connection import Reader
from interlock.stores.sqlite.rows import Missing, RowShape, check_ascending
from interlock.stores.sqlite.statements import statements

_SQL = statements("timers")
_TIMER = RowShape("timer", str, str, int, bytes)
_NEXT = RowShape("timer", (int, Missing))
_PARTITION = RowShape("partition", str)


class SqliteTimers:
    """`Timers` over one opened store."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def due(self, partition: str, now_ms: int, limit: int) -> list[Timer]:
        """Timers that are due, in order."""
        rows = self._reader.rows(_SQL["timers_due"], _TIMER, (partition, now_ms, max(limit, 0)))
        check_ascending("timer", [(row[2], row[0]) for row in rows])
        return [Timer(*row) for row in rows]

    async def next_due(self, partition: str | None) -> int | None:
        """When the first timer is due."""
        if partition is None:
            anywhere: int | None = self._reader.one(_SQL["timer_next_anywhere"], _NEXT)
            return anywhere
        first: int | None = self._reader.one(_SQL["timer_next"], _NEXT, (partition,))
        return first

    async def ready(self, now_ms: int, after: str, limit: int) -> list[str]:
        """Partitions after `after` with a timer that is due, in order."""
        rows = self._reader.rows(_SQL["timer_partitions"], _PARTITION, (now_ms, after, max(limit, 0)))
        check_ascending("partition", [after, *(row[0] for row in rows)])
        return [partition for (partition,) in rows]

    async def scan(self, partition: str, after: str, limit: int) -> list[Timer]:
        """Timers after the id `after`, in the order of ids."""
        rows = self._reader.rows(_SQL["timers_after"], _TIMER, (partition, after, max(limit, 0)))
        check_ascending("timer", [row[0] for row in rows])
        return [Timer(*row) for row in rows]
