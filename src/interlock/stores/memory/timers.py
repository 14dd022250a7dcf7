"""Timers of a store in memory.

What it does: `TimerTable` holds the timers of a partition by id and in the order in which they fire. What it does not
do: it fires nothing and reads no clock.
"""

from __future__ import annotations

from interlock.base.events import ClearTimer, SetTimer, Timer
from interlock.stores.memory.rows import SortedRows


class TimerTable:
    """The timers of one partition."""

    def __init__(self) -> None:
        self.by_id: SortedRows[str, Timer] = SortedRows()
        self.by_time: SortedRows[tuple[int, str], Timer] = SortedRows()

    def apply(self, row: SetTimer | ClearTimer) -> None:
        """Set, move or take away a timer."""
        old = self.by_id.get(row.timer_id)
        if old is not None:
            self.by_id.drop(old.timer_id)
            self.by_time.drop((old.due_ms, old.timer_id))
        if isinstance(row, SetTimer):
            timer = Timer(row.timer_id, row.stream, row.due_ms, row.payload)
            self.by_id.put(timer.timer_id, timer)
            self.by_time.put((timer.due_ms, timer.timer_id), timer)
