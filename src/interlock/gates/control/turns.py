"""Turns of scenario runs: one call at a time for each run, in order of arrival, and figures of the waiting.

What it does: holds a run for one call, from its evidence to its append, and counts. What it does not do: it gives no
exclusion across processes; expected heads do.

Rules (seed 000): different runs wait for nothing of one another; a full queue is refused at once, retryable; the
figures have the names and buckets of the reference, and a percentile is the upper bound of its bucket, by nearest rank.
They are counted for each tenant, too, so that a tenant can be told its own and nothing of others.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from msgspec import Struct

from interlock.journal.queues import StreamQueues
from interlock.journal.streams import tenant_of

WAIT_BUCKETS_US = (100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000)
DEPTH_BUCKETS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)
TENANTS_MAX = 1_000


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


class _Figures:
    """What is counted of calls: of all, or of those of one tenant."""

    def __init__(self) -> None:
        self.waits = _Histogram(WAIT_BUCKETS_US)
        self.depths = _Histogram(DEPTH_BUCKETS)
        self.holding = 0
        self.waiting = 0

    def told(self) -> MutationStats:
        return MutationStats(
            lock_acquisitions=sum(self.waits.counts),
            active_holders=self.holding,
            pending_waiters=self.waiting,
            lock_wait_p50_us=self.waits.percentile(50),
            lock_wait_p95_us=self.waits.percentile(95),
            queue_depth_p50=self.depths.percentile(50),
            queue_depth_p95=self.depths.percentile(95),
            lock_wait_buckets_us=list(WAIT_BUCKETS_US),
            lock_wait_histogram=list(self.waits.counts),
            queue_depth_buckets=list(DEPTH_BUCKETS),
            queue_depth_histogram=list(self.depths.counts),
        )


class Turns:
    """The queues of all scenario runs that somebody works on now."""

    def __init__(self, queues: StreamQueues) -> None:
        self._queues = queues
        self._whole = _Figures()
        self._of_tenant: dict[str, _Figures] = {}
        self._calls: dict[str, int] = {}

    @asynccontextmanager
    async def hold(self, stream: str) -> AsyncIterator[None]:
        """Work on a run alone. Raises: `queue_full` with `retry_after_ms`."""
        before = self._calls.get(stream, 0)
        self._calls[stream] = before + 1
        counted = (self._whole, self._figures(tenant_of(stream)))
        try:
            with _counted(counted, before) as admitted:
                async with self._queues.hold([stream]):
                    admitted()
                    yield
        finally:
            self._calls[stream] -= 1
            if not self._calls[stream]:
                del self._calls[stream]

    def statistics(self, tenant: str | None = None) -> MutationStats:
        """The figures of the reference's `mutation_stats`: of a tenant, or (None) of the whole process."""
        return (self._whole if tenant is None else self._of_tenant.get(tenant, _Figures())).told()

    def _figures(self, tenant: str) -> _Figures:
        """Those of a tenant; of more than `TENANTS_MAX`, the one that began first begins anew."""
        if tenant not in self._of_tenant and len(self._of_tenant) >= TENANTS_MAX:
            del self._of_tenant[next(iter(self._of_tenant))]
        return self._of_tenant.setdefault(tenant, _Figures())


@contextmanager
def _counted(figures: Sequence[_Figures], depth: int) -> Iterator[Callable[[], None]]:
    """Count a call from its arrival to its end; what is given says that its turn has come."""
    begun, is_admitted = time.perf_counter_ns(), False

    def admitted() -> None:
        nonlocal is_admitted
        is_admitted, waited_us = True, (time.perf_counter_ns() - begun) // 1000
        for each in figures:
            each.waits.add(waited_us)
            each.depths.add(depth)
            each.waiting -= 1
            each.holding += 1

    for each in figures:
        each.waiting += 1
    try:
        yield admitted
    finally:
        for each in figures:
            each.holding -= is_admitted
            each.waiting -= not is_admitted
