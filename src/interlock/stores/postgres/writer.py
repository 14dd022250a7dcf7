"""The writer: appends of concurrent tasks share a transaction, and a lone one is sent at once.

What it does: queues appends, stages them in batches, sends each batch as one call, and tells everyone what became of
it. What it does not do: it knows no table; `staging` and `batch` do.

Rules: nothing is acknowledged before the server has committed it; the queue is bounded and a full one refuses at once;
one batch is under way; a refusal is only told of what was read, never of what was remembered; a batch whose answer was
lost is read back, once the server has given up the connection on which it was sent; where it cannot be read back
nobody knows, and the writer ends and says so to all.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING

import psycopg

from interlock.base.errors import Conflict, InterlockError
from interlock.journal.errors import CONTENTION, OUTCOME_UNKNOWN, STORE_CLOSED
from interlock.journal.ports import Append, Appended
from interlock.stores.appending import RETRY_AFTER_MS, Outcome, WriterFigures, queue_full
from interlock.stores.postgres.batch import PREPARE_ALL, PREPARE_EVENTS, call_of
from interlock.stores.postgres.connections import Pool, Server, patiently, rows_of
from interlock.stores.postgres.errors import AGAIN, is_lost
from interlock.stores.postgres.heads import Heads, Missing
from interlock.stores.postgres.staging import PARTITION_SHIFT, Changes, Known, stage
from interlock.stores.postgres.statements import statements
from interlock.stores.postgres.wire import Answer, Wire

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

_SESSION, _EVENTS = statements("session"), statements("events")
_PLACE = Struct(">iq")
_POSITION_MASK = (1 << PARTITION_SHIFT) - 1

Faults = Callable[[str], None]


@dataclass(slots=True, eq=False)
class Job:
    """What one caller waits for."""

    appends: Sequence[Append]
    bytes: int
    future: asyncio.Future[list[Outcome]]


@dataclass(slots=True, eq=False)
class Batch:
    """Jobs that share a transaction."""

    jobs: list[Job]
    appends: list[Append] = field(default_factory=list)


class Writer:
    """The one writer of an opened store. Belongs to the event loop on which it was made."""

    def __init__(
        self, server: Server, pool: Pool, owner: str, committed: Callable[[int], None], faults: Faults | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = server
        self._settings = server.settings
        self._pool = pool
        self._committed = committed
        self._faults = faults
        self._fence = int.from_bytes(hashlib.sha256(owner.encode()).digest()[:8], "big", signed=True)
        self._heads = Heads(pool, server.settings.heads_cached_max)
        self._wire: Wire | None = None
        self._queue: deque[Job] = deque()
        self.queued = 0
        self.figures = WriterFigures()
        self._busy = False
        self._scheduled = False
        self._closed: InterlockError | None = None
        self._idle: asyncio.Future[None] | None = None
        self._slow: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether anything can have been written: who only reads never connects to write."""
        return self._wire is not None

    async def begin(self) -> None:
        """Connect and draw numbers, where something will be written; else the first append does.

        Raises: as connecting does.
        """
        self._wire = await self._connected()
        await self._heads.draw()

    async def _connected(self) -> Wire:
        """A connection that no earlier one of this writer can still write beside."""
        connection = await self._server.connect()
        try:
            await rows_of(connection, _SESSION["end_earlier"], (self._fence, self._fence))
            await rows_of(connection, _SESSION["fence"], (self._fence,))
            await connection.execute(PREPARE_EVENTS, prepare=False)
            await connection.execute(PREPARE_ALL, prepare=False)
        except psycopg.Error as fault:
            await connection.close()
            raise self._server.error(fault) from None
        return Wire(connection)

    def refusal(self, ops: int) -> InterlockError | None:
        """Why `ops` more cannot be queued now."""
        if self._closed is not None:
            return self._closed
        if self.queued + ops > self._settings.writer_queue_capacity:
            return queue_full(self.figures, ops)
        return None

    async def append(self, appends: Sequence[Append], size: int) -> list[Outcome]:
        """The outcome of each well-formed append, once durable; `size` is about their bytes."""
        if not appends:
            return []
        refusal = self.refusal(len(appends))
        if refusal is not None:
            return [refusal for _ in appends]
        job = Job(appends, size, self._loop.create_future())
        self._queue.append(job)
        self.queued += len(appends)
        if not self._busy:
            if self.queued >= self._settings.batch_start_ops:
                self._next()
            elif not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._flush)
        return await job.future

    def _flush(self) -> None:
        self._scheduled = False
        if not self._busy and self._queue:
            self._next()

    def _next(self) -> None:
        """Begin a batch with as much as one transaction may hold."""
        jobs = [self._queue.popleft()]
        ops, size = len(jobs[0].appends), jobs[0].bytes
        while self._queue:
            job = self._queue[0]
            ops, size = ops + len(job.appends), size + job.bytes
            if ops > self._settings.batch_max_ops or size > self._settings.batch_max_bytes:
                break
            jobs.append(self._queue.popleft())
        self._busy = True
        batch = Batch(jobs, [append for job in jobs for append in job.appends])
        try:
            if self._faults is not None:
                self._faults("append:before")
            self._begin(batch)
        except Exception as fault:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._fail(batch, fault)

    def _begin(self, batch: Batch) -> None:
        known, missing = self._heads.remembered(batch.appends)
        if missing:
            self._slow = self._loop.create_task(self._slowly(batch, partly=(known, missing)))
            return
        if self._wire is not None and not self._wire.lost:
            outcomes, changes = stage(batch.appends, known)
            if not _refuses(outcomes):
                self._send(changes, known, partial(self._answered, batch, outcomes, changes))
                return
        self._slow = self._loop.create_task(self._slowly(batch))

    def _send(self, changes: Changes, known: Known, answered: Callable[[Answer, list[str]], None]) -> None:
        statement, values, partitions = call_of(changes, known, self._settings.artifact_inline_bytes_max)
        assert self._wire is not None  # noqa: S101 - a writer that has begun
        self._wire.send(statement, values, lambda answer: answered(answer, partitions))
        if self._faults is not None:
            self._faults("append:sent")

    def _answered(
        self, batch: Batch, outcomes: list[Outcome], changes: Changes, answer: Answer, partitions: list[str]
    ) -> None:
        """What the server made of a batch that was sent without reading first."""
        if isinstance(answer, psycopg.Error):
            self._heads.forget(batch.appends)
            self._slow = self._loop.create_task(self._slowly(batch, answer))
            return
        self._succeed(batch, outcomes, changes, _positions(answer, partitions))

    async def _slowly(
        self, batch: Batch, fault: psycopg.Error | None = None, partly: tuple[Known, Missing] | None = None
    ) -> None:
        """Bring a batch to its end that must be read for, or that failed; `partly` is what is remembered for it."""
        try:
            for attempt in range(self._settings.batch_retries_max):
                if fault is not None and await self._settled_by(fault, batch):
                    return
                known, outcomes, changes = await self._staged(batch, partly)
                partly = None
                if changes.is_empty:
                    self._succeed(batch, outcomes, changes, {})
                    return
                answer, partitions = await self._asked(changes, known)
                if not isinstance(answer, psycopg.Error):
                    self._succeed(batch, outcomes, changes, _positions(answer, partitions))
                    return
                fault = answer
                self._heads.forget(batch.appends)
                await asyncio.sleep(random.uniform(0, 0.001 * attempt))  # noqa: S311 - a pause is no secret
            raise CONTENTION.error("others kept moving the same streams", retry_after_ms=RETRY_AFTER_MS)  # noqa: TRY301
        except Exception as why:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._fail(batch, why)

    async def _staged(self, batch: Batch, partly: tuple[Known, Missing] | None) -> tuple[Known, list[Outcome], Changes]:
        """Stage a batch on what is remembered and what is read beside it; where that refuses anything, on reading."""
        if partly is not None:
            known, missing = partly
            await self._heads.fill(known, missing)
            outcomes, changes = stage(batch.appends, known)
            if not _refuses(outcomes):
                return known, outcomes, changes
        known = await self._heads.load(batch.appends)
        return known, *stage(batch.appends, known)

    async def _asked(self, changes: Changes, known: Known) -> tuple[Answer, list[str]]:
        future: asyncio.Future[tuple[Answer, list[str]]] = self._loop.create_future()

        def answered(answer: Answer, partitions: list[str]) -> None:
            if not future.done():
                future.set_result((answer, partitions))

        if self._wire is None or self._wire.lost:
            await self._mend()
        self._send(changes, known, answered)
        return await future

    async def _settled_by(self, fault: psycopg.Error, batch: Batch) -> bool:
        """Whether a batch that failed has come to its end; raises what it failed with, unless it may be tried anew."""
        if not is_lost(fault):
            if fault.sqlstate in AGAIN:
                return False
            raise self._server.error(fault)
        try:
            await self._mend()
            return await self._read_back(batch)
        except InterlockError as why:
            self.end(STORE_CLOSED.error(f"{self._server.name} has closed because the answer to a commit was lost"))
            raise OUTCOME_UNKNOWN.error(f"the answer to a commit to {self._server.name} was lost: {why.code}") from None

    async def _mend(self) -> None:
        """Connect anew; the earlier connection can then write no more."""
        if self._wire is not None:
            await self._wire.close()
        self._wire = await patiently(self._connected, self._settings.reconnect_timeout_ms)

    async def _read_back(self, batch: Batch) -> bool:
        """Whether a batch was committed though its answer was lost: its events are there, or none is."""
        lasts = [(each.stream, each.head) for append in batch.appends for each in append.streams]
        values = ([stream for stream, _ in lasts], [head.seq for _, head in lasts])
        found = {
            (stream, seq, digest.hex()): place & _POSITION_MASK
            for stream, seq, digest, place in await self._pool.rows(_EVENTS["events_written"], values)
        }
        if not any((stream, head.seq, head.digest) in found for stream, head in lasts):
            return False
        known = await self._heads.load(batch.appends)
        outcomes, _ = stage(batch.appends, known)  # what was refused then is refused now, for a head that moved
        for at, append in enumerate(batch.appends):
            places = [found.get((each.stream, each.head.seq, each.head.digest)) for each in append.streams]
            if places and all(place is not None for place in places):
                outcomes[at] = Appended(append.streams[0].partition, max(place or 0 for place in places))
        self._succeed(batch, outcomes, Changes(), {})
        return True

    def _succeed(self, batch: Batch, outcomes: list[Outcome], changes: Changes, bases: dict[str, int]) -> None:
        """Tell everyone of a batch what became of it."""
        if self._faults is not None and not changes.is_empty:
            self._faults("append:after_commit")
        self._heads.wrote(changes)
        self.figures.commits += not changes.is_empty
        events = 0
        for at, outcome in enumerate(outcomes):
            if isinstance(outcome, Appended):
                streams = batch.appends[at].streams
                self.figures.appends += bool(streams)
                for each in streams:
                    events += len(each.events)
                if outcome.partition in bases:
                    outcomes[at] = Appended(outcome.partition, outcome.position + bases[outcome.partition])
            elif isinstance(outcome, Conflict):
                self.figures.conflicts += 1
        self.figures.events += events
        done = 0
        for job in batch.jobs:
            self.queued -= len(job.appends)
            if not job.future.done():
                job.future.set_result(outcomes[done : done + len(job.appends)])
            done += len(job.appends)
        if events:
            self._committed(events)
        self._go_on()

    def _fail(self, batch: Batch, fault: Exception) -> None:
        self._heads.forget(batch.appends)
        for job in batch.jobs:
            self.queued -= len(job.appends)
            self._refuse(job, fault)
        self._go_on()

    @staticmethod
    def _refuse(job: Job, fault: Exception) -> None:
        if job.future.done():
            return
        if isinstance(fault, InterlockError):
            job.future.set_result([fault for _ in job.appends])
        else:
            job.future.set_exception(fault)

    def _go_on(self) -> None:
        self._busy = False
        if self._queue:
            if self.queued >= self._settings.batch_start_ops:
                self._next()
            elif not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._flush)
        elif self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def end(self, why: InterlockError) -> None:
        """Refuse everything from now on, also what is queued and not yet begun."""
        self._closed = self._closed or why
        self._pool.end(self._closed)
        while self._queue:
            job = self._queue.popleft()
            self.queued -= len(job.appends)
            self._refuse(job, self._closed)

    def refuse(self, why: InterlockError) -> None:
        """Take no append; reading goes on."""
        self._closed = why

    async def close(self) -> None:
        """Finish what is queued, refuse what comes, and disconnect."""
        if self._closed is None:
            self._closed = STORE_CLOSED.error(f"{self._server.name} has been closed")
        while self._queue or self._busy:
            self._idle = self._loop.create_future()
            self._flush()
            await self._idle
        if self._wire is not None:
            await self._wire.close()


def _refuses(outcomes: Sequence[Outcome]) -> bool:
    """Whether any append is refused."""
    return any(isinstance(outcome, InterlockError) for outcome in outcomes)


def _positions(answer: PGresult, partitions: list[str]) -> dict[str, int]:
    """The position of each partition before the batch: the `bigint[]` that the call gives."""
    content = answer.get_value(0, 0) or b""
    return {partition: _PLACE.unpack_from(content, 20 + 12 * at)[1] for at, partition in enumerate(partitions)}
