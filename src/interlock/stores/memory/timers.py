"""Timers of a store in memory.

What it does: `TimerTable` holds the timers of a partition by id and in the order in which they fire, `TimerTables`
those of all partitions, and which is due first anywhere. What it does not do: it fires nothing and reads no clock.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import takewhile

from interlock.base.events import ClearTimer, SetTimer, Timer
from interlock.stores.memory.rows import SortedRows


class TimerTable:
    """The timers of one partition."""

    def __init__(self) -> None:
        self.by_id: SortedRows[str, Timer] = SortedRows()
        self.by_time: SortedRows[tuple[int, str], Timer] = SortedRows()

    def apply(self, row: SetTimer | ClearTimer) -> Timer | None:
        """Set, move or take away a timer; return the one that was there."""
        old = self.by_id.get(row.timer_id)
        if old is not None:
            self.by_id.drop(old.timer_id)
            self.by_time.drop((old.due_ms, old.timer_id))
        if isinstance(row, SetTimer):
            timer = Timer(row.timer_id, row.stream, row.due_ms, row.payload)
            self.by_id.put(timer.timer_id, timer)
            self.by_time.put((timer.due_ms, timer.timer_id), timer)
        return old


class TimerTables:
    """The timers of a store: a table for each partition, and one over all of them in the order of time."""

    def __init__(self) -> None:
        self._of: dict[str, TimerTable] = defaultdict(TimerTable)
        self._anywhere: SortedRows[tuple[int, str], str] = SortedRows()

    def of(self, partition: str) -> TimerTable:
        """The timers of one partition."""
        return self._of[partition]

    def apply(self, partition: str, row: SetTimer | ClearTimer) -> None:
        """Set, move or take away a timer."""
        # With the length no two timers share a place, whatever their partitions and ids are made of.
        name = f"{len(partition)}/{partition}/{row.timer_id}"
        old = self._of[partition].apply(row)
        if old is not None:
            self._anywhere.drop((old.due_ms, name))
        if isinstance(row, SetTimer):
            self._anywhere.put((row.due_ms, name), partition)

    def next_due(self) -> int | None:
        """When the first timer of any partition is due."""
        first = self._anywhere.first()
        return None if first is None else first[0]

    def ready(self, now_ms: int) -> list[str]:
        """Partitions with a timer that is due, in order."""
        due = takewhile(lambda row: row[0][0] <= now_ms, self._anywhere.since((0, "")))
        return sorted({partition for _, partition in due})
