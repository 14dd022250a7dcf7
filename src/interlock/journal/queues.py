"""First come, first served per stream: bounded queues for commands inside one process.

What it does: lets one command at a time work on a stream, in order of arrival, and refuses at once when a
queue is full or waiting lasts too long. What it does not do: it gives no exclusion across processes;
expected heads do.

Rules: a command takes the queues of all its streams in sorted order, so two commands never wait for each
other; it waits only in the queues of streams that it names; every queue and every wait has a bound.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.journal.errors import QUEUE_FULL


class QueueStatistics(Struct, frozen=True):
    """Figures since the process began; `waiting` and `active` are of this moment."""

    active: int
    waiting: int
    admitted: int
    refused: int
    waited_ms_max: int


class StreamQueues:
    """The queues of all streams that somebody works on now."""

    def __init__(self, *, per_stream_max: int, total_max: int, wait_ms_max: int) -> None:
        self._per_stream_max = per_stream_max
        self._total_max = total_max
        self._wait_ms_max = wait_ms_max
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        self._waiting = 0
        self._admitted = 0
        self._refused = 0
        self._waited_ms_max = 0

    def statistics(self) -> QueueStatistics:
        """Figures for `doctor` and the mutation statistics."""
        return QueueStatistics(len(self._queues), self._waiting, self._admitted, self._refused, self._waited_ms_max)

    @asynccontextmanager
    async def hold(self, streams: Sequence[str]) -> AsyncIterator[None]:
        """Work on `streams` alone. Raises: `queue_full` (RateLimited) with `retry_after_ms`."""
        held: list[str] = []
        try:
            for stream in sorted(set(streams)):
                await self._enter(stream)
                held.append(stream)
            self._admitted += 1
            yield
        finally:
            for stream in held:
                self._leave(stream)

    async def _enter(self, stream: str) -> None:
        queue = self._queues.get(stream)
        if queue is None:
            self._queues[stream] = deque()
            return
        if len(queue) >= self._per_stream_max or self._waiting >= self._total_max:
            raise self._refuse(stream, "is full")
        await self._wait(stream, queue)

    async def _wait(self, stream: str, queue: deque[asyncio.Future[None]]) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        queue.append(turn)
        self._waiting += 1
        began = loop.time()
        try:
            async with asyncio.timeout(self._wait_ms_max / 1000):
                await turn
        except BaseException as fault:
            if turn.done() and not turn.cancelled():
                self._leave(stream)  # the turn came in the same instant: pass it on
            elif turn in queue:  # whoever left meanwhile has passed over it
                queue.remove(turn)
            if isinstance(fault, TimeoutError):
                raise self._refuse(stream, "did not move in time") from None
            raise
        finally:
            self._waiting -= 1
            self._waited_ms_max = max(self._waited_ms_max, int((loop.time() - began) * 1000))

    def _leave(self, stream: str) -> None:
        queue = self._queues[stream]
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._queues[stream]

    def _refuse(self, stream: str, why: str) -> InterlockError:
        self._refused += 1
        depth = len(self._queues.get(stream, ()))
        return QUEUE_FULL.error(
            f"the queue of this stream {why}", stream=stream, retry_after_ms=min(10 + 5 * depth, 5000)
        )
