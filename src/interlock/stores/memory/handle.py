"""What the ports of one opened store in memory share.

What it does: knows whether the store is open, whose claims it holds, and where tests stop it.
What it does not do: it holds no content; `data` does, and outlives it.

Rule: closing or dying ends the claims of its owner at once, as the lock of a process ends with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from interlock.journal.errors import STORE_CLOSED
from interlock.stores.memory.data import MemoryData

Faults = Callable[[str], None]
"""Called with the name of each point that an operation reaches; what it raises happens there."""


class Handle:
    """One opening of a store by one owner."""

    def __init__(
        self, data: MemoryData, owner: str, *, queue_capacity: int, pauses: bool, faults: Faults | None
    ) -> None:
        self.data = data
        self.owner = owner
        self.queue_capacity = queue_capacity
        self.pauses = pauses
        self.faults = faults
        self._is_open = True

    def check_open(self) -> None:
        """Raises `store_closed` once it is closed."""
        if not self._is_open:
            raise STORE_CLOSED.error("the store has closed")

    def close(self) -> None:
        """End it, and the claims of its owner."""
        if self._is_open:
            self._is_open = False
            self.data.agenda.end_claims(self.owner)
            self.data.changed()

    def reach(self, point: str) -> None:
        """Let a test act at a named point."""
        if self.faults is not None:
            self.faults(point)

    async def pause(self) -> None:
        """Let others run here, where a real store would wait for its disk."""
        if self.pauses:
            await asyncio.sleep(0)
