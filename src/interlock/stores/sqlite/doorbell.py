"""`Doorbell` on SQLite: rung by this process at once, and by others when it looks.

What it does: wakes who waits when anything was committed to the file. What it does not do: it promises no
wake-up; a wait that ends at its timeout costs time and nothing else.

Rule: the file is looked at only while somebody waits, first often and then, with nothing new, ever more
seldom.
"""

from __future__ import annotations

import asyncio

from interlock.base.errors import InterlockError
from interlock.stores.sqlite.connection import Reader

_POLL_MS_MIN = 1.0
_BACK_OFF = 1.5


class SqliteDoorbell:
    """`Doorbell` over one opened store."""

    def __init__(self, reader: Reader, poll_ms_max: int) -> None:
        self._reader = reader
        self._poll_ms_max = poll_ms_max
        self._mark = 0
        self._changes_seen = reader.changes_seen()
        self._waiting: set[asyncio.Future[None]] = set()
        self._poll: asyncio.TimerHandle | None = None

    def seen(self) -> int:
        """A mark of what has been committed so far."""
        return self._mark

    def ring(self) -> None:
        """Something was committed: wake who waits."""
        self._mark += 1
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, seen: int, timeout_ms: int) -> int:
        """The mark once it is not `seen` any more, or after `timeout_ms`."""
        if self._mark == seen and not self._look():
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            if self._poll is None:
                self._poll_later(_POLL_MS_MIN)
            try:
                await asyncio.wait([waiter], timeout=timeout_ms / 1000)
            finally:
                self._waiting.discard(waiter)
        return self._mark

    def _look(self) -> bool:
        """Whether the file has changed since the last look; rings if so."""
        changes = self._reader.changes_seen()
        if changes == self._changes_seen:
            return False
        self._changes_seen = changes
        self.ring()
        return True

    def _poll_later(self, interval_ms: float) -> None:
        loop = asyncio.get_running_loop()
        self._poll = loop.call_later(interval_ms / 1000, self._poll_now, interval_ms)

    def _poll_now(self, interval_ms: float) -> None:
        self._poll = None
        if not self._waiting:
            return
        try:
            changed = self._look()
        except InterlockError:
            changed = False  # whoever waits will meet the trouble with the file in its own call
        self._poll_later(_POLL_MS_MIN if changed else min(interval_ms * _BACK_OFF, self._poll_ms_max))

    def close(self) -> None:
        """Wake everyone, once and for all."""
        if self._poll is not None:
            self._poll.cancel()
        self.ring()
