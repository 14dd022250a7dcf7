"""How a verb that goes on until it is told to stop hears of it.

What it does: listens for SIGTERM and SIGINT, and tells who wants to know. What it does not do: it ends nothing itself.

Rule: it listens from before anything is begun, so that a stop at any moment is an end in good order; who asks late is
told at once.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stopping:
    """Whether the process was told to stop: `told` is the name of the first signal, or None."""

    def __init__(self) -> None:
        self.told: str | None = None
        self._hearers: list[Callable[[], object]] = []

    def stop(self, name: str) -> None:
        """Tell everybody to stop; only the first time does anything."""
        if self.told is not None:
            return
        self.told = name
        for hearer in self._hearers:
            hearer()

    def hear(self, hearer: Callable[[], object]) -> None:
        """Call `hearer` once when the process is told to stop; at once if it was told already."""
        if self.told is not None:
            hearer()
            return
        self._hearers.append(hearer)


@contextmanager
def told_to_stop(*, once: bool = False) -> Iterator[Stopping]:
    """Hear the signals of this process for as long as the context lasts.

    With `once` only the first is heard, and the next one ends the process as if there were nothing to put in order.
    Side effect: replaces the handlers of these signals, and leaves the usual ones.
    """
    loop, stopping = asyncio.get_running_loop(), Stopping()

    def let_go() -> None:
        for number in SIGNALS:
            loop.remove_signal_handler(number)

    def heard(number: signal.Signals) -> None:
        if once:
            let_go()
        stopping.stop(number.name)

    for number in SIGNALS:
        loop.add_signal_handler(number, heard, number)
    try:
        yield stopping
    finally:
        let_go()
