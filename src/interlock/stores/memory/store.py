"""An opened store in memory.

What it does: puts the ports together, and plays what happens to processes: another one opens the same
content (`reopen`), this one dies (`die`). What it does not do: it writes no file; the content lives as long
as a store on it.

Rules: no threads and no clock, so it runs on virtual time; it belongs to one event loop at a time.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from interlock.base.clock import Entropy, SystemEntropy
from interlock.journal.ports import (
    Activations,
    Artifacts,
    Doorbell,
    EventLog,
    Index,
    StoreStatistics,
    Timers,
    ViewStore,
)
from interlock.stores.memory.activations import MemoryActivations
from interlock.stores.memory.data import MemoryData
from interlock.stores.memory.events import MemoryEventLog
from interlock.stores.memory.handle import Faults, Handle
from interlock.stores.memory.tables import MemoryArtifacts, MemoryIndex, MemoryTimers, MemoryViewStore

QUEUE_CAPACITY_APPENDS = 1_024
_NAME_BYTES = 16


class MemoryDoorbell:
    """`Doorbell` in memory: rung by every append, release and death."""

    def __init__(self, data: MemoryData) -> None:
        self._data = data

    def seen(self) -> int:
        """A mark of what has changed so far."""
        return self._data.changes

    async def wait(self, seen: int, timeout_ms: int) -> int:
        """Return the mark once it is not `seen` any more, or after `timeout_ms`."""
        if self._data.changes == seen:
            waiter = asyncio.get_running_loop().create_future()
            self._data.wait(waiter)
            with suppress(TimeoutError):
                await asyncio.wait_for(waiter, timeout_ms / 1000)
        return self._data.changes


class MemoryStore:
    """Every port of the journal over content in memory.

    `entropy` gives the store its id and its owner a name, unless `owner` is given. `content` is that of
    another store. `queue_capacity_appends` bounds the appends that wait. With `pauses`, an append lets other
    tasks run before and after it commits. `faults` is called at the points `append:before` and
    `append:after_commit`: an `InterlockError` raised there is the outcome of the append (`outcome_unknown`
    also closes the store), anything else goes to the caller, as a crash would.
    """

    def __init__(
        self,
        entropy: Entropy | None = None,
        *,
        owner: str | None = None,
        content: MemoryData | None = None,
        queue_capacity_appends: int = QUEUE_CAPACITY_APPENDS,
        pauses: bool = True,
        faults: Faults | None = None,
    ) -> None:
        self._entropy = entropy or SystemEntropy()
        data = content or MemoryData(self._drawn_name())
        handle = Handle(
            data,
            owner or self._drawn_name(),
            queue_capacity=queue_capacity_appends,
            pauses=pauses,
            faults=faults,
        )
        self._handle = handle
        self._log = MemoryEventLog(handle)
        self.id = data.id
        self.owner = handle.owner
        self.events: EventLog = self._log
        self.artifacts: Artifacts = MemoryArtifacts(handle)
        self.index: Index = MemoryIndex(handle)
        self.views: ViewStore = MemoryViewStore(handle)
        self.activations: Activations = MemoryActivations(handle)
        self.timers: Timers = MemoryTimers(handle)
        self.doorbell: Doorbell = MemoryDoorbell(data)

    def _drawn_name(self) -> str:
        return self._entropy.random_bytes(_NAME_BYTES).hex()

    def reopen(self, owner: str | None = None, *, faults: Faults | None = None) -> MemoryStore:
        """The same content opened by another process, even after this one has closed or died."""
        return MemoryStore(
            self._entropy,
            owner=owner,
            content=self._handle.data,
            queue_capacity_appends=self._handle.queue_capacity,
            pauses=self._handle.pauses,
            faults=faults,
        )

    def die(self) -> None:
        """End as a killed process does: what has not committed never will, and its claims have ended."""
        self._handle.close()

    def statistics(self) -> StoreStatistics:
        """Figures since the store was opened."""
        return self._log.statistics()

    async def close(self) -> None:
        """Finish what is queued, then end."""
        await self._log.drain()
        self._handle.close()
