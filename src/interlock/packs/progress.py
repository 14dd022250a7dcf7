"""How far a long work is, told to whoever waits at a terminal.

What it does: writes one line over and over, and empties it in the end. What it does not do: it writes nothing where no
terminal is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]


class ProgressLine:
    """How far a long work is, on one line of a terminal, which is empty again in the end; nothing elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Progress | None:
        return self._tell if self._shown else None

    def __exit__(self, *_fault: object) -> None:
        if self._shown:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)  # noqa: T201

    def _tell(self, what: str, done: int, total: int | None) -> None:
        amount = f"{done}" if total is None else f"{done} of {total}"
        print(f"\r\x1b[2K{what}: {amount}", end="\r", file=sys.stderr, flush=True)  # noqa: T201
