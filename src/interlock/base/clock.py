"""Clocks and entropy as ports, with the system's own and settable ones.

What it does: defines `Clock` (wall time in milliseconds) and `Entropy` (random bytes), the only ways by which time and
randomness enter the product. What it does not do: it never sleeps; waiting belongs to the event loop.

Rules: pure code takes `now_ms` and bytes as arguments; only edges hold a `Clock` or an `Entropy`.
"""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        ...


class Entropy(Protocol):
    """Randomness."""

    def random_bytes(self, count: int) -> bytes:
        """`count` unpredictable bytes."""
        ...


class SystemClock:
    """The computer's wall clock."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC, as the operating system says."""
        return time.time_ns() // 1_000_000


class SystemEntropy:
    """The operating system's random source."""

    def random_bytes(self, count: int) -> bytes:
        """`count` bytes fit for keys."""
        return os.urandom(count)


class SeededEntropy:
    """Reproducible bytes from a seed, for simulation: SHA-256 in counter mode. Never for keys."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._drawn = 0

    def random_bytes(self, count: int) -> bytes:
        """The next `count` bytes of the sequence that the seed names."""
        blocks = []
        for _ in range(-(-count // 32)):
            blocks.append(hashlib.sha256(b"%d/%d" % (self._seed, self._drawn)).digest())
            self._drawn += 1
        return b"".join(blocks)[:count]


RFC_3339_LAST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, where the format ends."""


def rfc3339(at_ms: int) -> str:
    """`at_ms` as people read it: `2026-11-22T02:33:25.123Z`; past the year 9999 the bare number, with its unit."""
    if at_ms > RFC_3339_LAST_MS:
        return f"{at_ms} ms"
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"
