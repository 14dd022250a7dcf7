"""How slow the other side of a transfer may be: a least rate, and a time for which it may stay below it.

What it does: waits for one step of a transfer after another, and gives up when they come too slowly. What it does not
do: it moves nothing itself.

Rules: what moves wins the time that it may take at the least rate; more than the whole window is never won, so that who
was fast may not stand still for it later; only waiting for the other side counts, never our own work in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Pace:
    """The pace of one transfer; where there is no least rate, the window is all the time that there is."""

    def __init__(self, window_ms: int, bytes_per_second_min: int = 0) -> None:
        self._window_ms = window_ms
        self._rate = bytes_per_second_min
        self._left_s = window_ms / 1000

    def asked(self) -> str:
        """What whoever was too slow did not do, to stand after "did not"."""
        if not self._rate:
            return f"come within {self._window_ms} ms"
        return f"move at {self._rate} bytes a second, nor catch up with that within {self._window_ms} ms"

    async def of(self, step: Awaitable[T]) -> T:
        """Wait for a step of the other side. Raises: `TimeoutError`, and what the step raises."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        async with asyncio.timeout(self._left_s):
            result = await step
        self._left_s = max(0.0, self._left_s - (loop.time() - began_s))
        return result

    def moved(self, count: int) -> None:
        """So many bytes were sent or received."""
        if self._rate:
            self._left_s = min(self._window_ms / 1000, self._left_s + count / self._rate)
