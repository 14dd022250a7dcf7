"""Turns of scenario runs: one call at a time for each run, in order of arrival, and figures of the waiting.

What it does: holds a run for one call, from its evidence to its append, and counts. What it does not do: it gives no
exclusion across processes; expected heads do.

Rules (seed 000): different runs wait for nothing of one another; a full queue is refused at once, retryable; the
figures have the names and buckets of the reference, and a percentile is the upper bound of its bucket, by nearest rank.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec import Struct

from interlock.journal.queues import StreamQueues

WAIT_BUCKETS_US = (100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000)
DEPTH_BUCKETS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)


class MutationStats(Struct, frozen=True):
    """Figures since the process began; `active_holders` and `pending_waiters` are of this moment."""

    lock_acquisitions: int
    active_holders: int
    pending_waiters: int
    lock_wait_p50_us: int
    lock_wait_p95_us: int
    queue_depth_p50: int
    queue_depth_p95: int
    lock_wait_buckets_us: list[int]
    lock_wait_histogram: list[int]
    queue_depth_buckets: list[int]
    queue_depth_histogram: list[int]


class _Histogram:
    """Counts by bucket; the last one is for what is beyond."""

    def __init__(self, bounds: Sequence[int]) -> None:
        self.bounds = list(bounds)
        self.counts = [0] * (len(bounds) + 1)

    def add(self, value: int) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1

    def percentile(self, percent: int) -> int:
        """The bound of the bucket in which the value of that rank is; 0 where nothing was counted."""
        rank, seen = -(-sum(self.counts) * percent // 100), 0
        for bound, count in zip([*self.bounds, self.bounds[-1]], self.counts, strict=True):
            seen += count
            if count and seen >= rank:
                return bound
        return 0


class Turns:
    """The queues of all scenario runs that somebody works on now."""

    def __init__(self, queues: StreamQueues) -> None:
        self._queues = queues
        self._waits = _Histogram(WAIT_BUCKETS_US)
        self._depths = _Histogram(DEPTH_BUCKETS)
        self._calls: dict[str, int] = {}

    @asynccontextmanager
    async def hold(self, stream: str) -> AsyncIterator[None]:
        """Work on a run alone. Raises: `queue_full` with `retry_after_ms`."""
        before = self._calls.get(stream, 0)
        self._calls[stream] = before + 1
        begun = time.perf_counter_ns()
        try:
            async with self._queues.hold([stream]):
                self._waits.add((time.perf_counter_ns() - begun) // 1000)
                self._depths.add(before)
                yield
        finally:
            self._calls[stream] -= 1
            if not self._calls[stream]:
                del self._calls[stream]

    def statistics(self) -> MutationStats:
        """The figures of the reference's `mutation_stats`."""
        queues = self._queues.statistics()
        return MutationStats(
            lock_acquisitions=queues.admitted,
            active_holders=queues.active,
            pending_waiters=queues.waiting,
            lock_wait_p50_us=self._waits.percentile(50),
            lock_wait_p95_us=self._waits.percentile(95),
            queue_depth_p50=self._depths.percentile(50),
            queue_depth_p95=self._depths.percentile(95),
            lock_wait_buckets_us=list(WAIT_BUCKETS_US),
            lock_wait_histogram=list(self._waits.counts),
            queue_depth_buckets=list(DEPTH_BUCKETS),
            queue_depth_histogram=list(self._depths.counts),
        )
