"""`Timers` on PostgreSQL: reading the timers that appends set.

What it does: finds what is due, in order. What it does not do: it sets and fires none, and reads no clock.
"""

from __future__ import annotations

from interlock.base.events import Timer
from interlock.stores.postgres.connections import Pool, Row
from interlock.stores.postgres.statements import statements

_SQL = statements("timers")


class PostgresTimers:
    """`Timers` over one opened store."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def due(self, partition: str, now_ms: int, limit: int) -> list[Timer]:
        """Timers that are due, in order."""
        return _timers(await self._pool.rows(_SQL["timers_due"], (partition, now_ms, max(limit, 0))))

    async def next_due(self, partition: str | None) -> int | None:
        """When the first timer is due."""
        if partition is None:
            anywhere: int | None = await self._pool.one(_SQL["timer_next_anywhere"])
            return anywhere
        first: int | None = await self._pool.one(_SQL["timer_next"], (partition,))
        return first

    async def ready(self, now_ms: int, after: str, limit: int) -> list[str]:
        """Partitions after `after` with a timer that is due, in order."""
        rows = await self._pool.rows(_SQL["timer_partitions"], (now_ms, after, max(limit, 0)))
        return [partition for (partition,) in rows]

    async def scan(self, partition: str, after: str, limit: int) -> list[Timer]:
        """Timers after the id `after`, in the order of ids."""
        return _timers(await self._pool.rows(_SQL["timers_after"], (partition, after.encode(), max(limit, 0))))


def _timers(rows: list[Row]) -> list[Timer]:
    return [Timer(timer_id.decode(), stream, due_ms, payload) for timer_id, stream, due_ms, payload in rows]
