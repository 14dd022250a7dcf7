"""The wall clock of a run on virtual time.

What it does: `VirtualClock` follows the time of a `VirtualLoop`, and can be set back or forward.
What it does not do: setting it wakes no timer, just as on a computer.

Rule: milliseconds are rounded to the nearest, so that who sleeps until a time wakes at it and not before it.
"""

from __future__ import annotations

import asyncio

from interlock.testing.loop import VirtualLoop


class VirtualClock:
    """Wall time of a virtual loop, by default of the one that runs. Raises RuntimeError on any other loop."""

    def __init__(self, loop: VirtualLoop | None = None) -> None:
        running = loop or asyncio.get_running_loop()
        if not isinstance(running, VirtualLoop):
            raise RuntimeError("a virtual clock needs a virtual loop: use interlock.testing.loop.run")  # noqa: TRY004
        self._loop = running
        self._set_off_ms = 0

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        return self._loop.start_ms + round(self._loop.time() * 1000) + self._set_off_ms

    def jump(self, by_ms: int) -> None:
        """Set the clock forward, or back by a negative amount."""
        self._set_off_ms += by_ms
