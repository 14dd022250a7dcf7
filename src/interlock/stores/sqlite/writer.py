"""The adaptive writer: a lone append is committed at once, a crowd shares commits on a thread.

What it does: queues appends and small write tasks, commits a lone one on the loop's thread at the end of the
turn, and hands a crowd over in batches to one writer thread, so that Python on the loop and SQLite on the
thread overlap. What it does not do: it knows no table; `transaction` writes.

Rules: nothing is acknowledged before its commit; the queue is bounded and a full one refuses at once; only
one batch is under way; after a failed commit nobody knows what is durable, so the writer ends and says so to
all.

apsw gives up the interpreter's lock around each step of a statement, and a busy loop gives it back only after
the switch interval; so a batch is made of few statements, and batches grow with the crowd.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import apsw

from interlock.base.errors import Conflict, InterlockError
from interlock.journal.errors import DISK_FULL, OUTCOME_UNKNOWN, STORE_CLOSED, STORE_CORRUPT, STORE_MOVED
from interlock.journal.ports import Append, Appended
from interlock.stores.appending import Outcome, WriterFigures, queue_full
from interlock.stores.sqlite.connection import translated
from interlock.stores.sqlite.jobs import Batch, Job
from interlock.stores.sqlite.settings import SqliteSettings
from interlock.stores.sqlite.transaction import Task, Transactions

_INLINE_BYTES_MAX = 256 * 1024


class Writer:
    """The one writer of an opened store. Belongs to the event loop on which it was made."""

    def __init__(
        self, transactions: Transactions, settings: SqliteSettings, path: Path, committed: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transactions = transactions
        self._settings = settings
        self._path = path
        self._committed = committed
        self._queue: deque[Job] = deque()
        self.queued = 0
        self.figures = WriterFigures()
        self._scheduled = False
        self._busy = False
        self._patient = True
        self._closed: InterlockError | None = None
        self._interlude: Callable[[], None] | None = None
        self._idle: asyncio.Future[None] | None = None
        self._handed: SimpleQueue[Batch | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

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
        outcomes: list[Outcome] = await self._queued(Job(appends, None, size, self._loop.create_future()))
        return outcomes

    async def write(self, task: Task) -> Any:
        """The result of `task`, called in a transaction, once durable. Raises what either raises."""
        refusal = self.refusal(1)
        if refusal is not None:
            raise refusal
        return await self._queued(Job((), task, 0, self._loop.create_future()))

    def _queued(self, job: Job) -> asyncio.Future[Any]:
        self._queue.append(job)
        self.queued += job.ops
        if not self._busy and self.queued >= self._settings.batch_start_ops:
            self._hand_over()
        elif not self._scheduled:
            self._schedule()
        return job.future

    def _schedule(self) -> None:
        self._scheduled = True
        if self._settings.batch_max_wait_ms:
            self._loop.call_later(self._settings.batch_max_wait_ms / 1000, self._flush)
        else:
            self._loop.call_soon(self._flush)

    def interlude(self, work: Callable[[], None]) -> None:
        """Let `work` run on the writer's thread, between two transactions. It must not raise."""
        if self._closed is None:
            self._interlude = work
            if not self._busy and not self._scheduled:
                self._schedule()

    def _flush(self) -> None:
        self._scheduled = False
        if self._busy or not (self._queue or self._interlude):
            return
        if self._interlude or not self._is_small() or not self._commit_inline():
            self._hand_over()
        elif not self._queue:
            self._became_idle()

    def _is_small(self) -> bool:
        """Whether committing what is queued holds the loop up no longer than handing it over would."""
        if self.queued > self._settings.inline_max_ops:
            return False
        return sum(job.bytes for job in self._queue) <= _INLINE_BYTES_MAX

    def _commit_inline(self) -> bool:
        """Commit what is queued on this thread; False if another process writes, for which no loop waits."""
        if self._patient:
            self._transactions.connection.set_busy_timeout(0)
            self._patient = False
        batch = Batch(list(self._queue))
        self._run(batch)
        if isinstance(batch.fault, apsw.BusyError):
            return False
        self._queue.clear()
        self._settle(batch)
        return True

    def _hand_over(self) -> None:
        """Give the thread as much as one transaction may hold."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="interlock-writer", daemon=True)
            self._thread.start()
        if not self._patient:
            self._transactions.connection.set_busy_timeout(self._settings.busy_timeout_ms)
            self._patient = True
        self._busy = True
        self._handed.put(self._next_batch())

    def _next_batch(self) -> Batch:
        if self._interlude is not None:
            interlude, self._interlude = self._interlude, None
            return Batch([], interlude=interlude)
        jobs = [self._queue.popleft()]
        ops, size = jobs[0].ops, jobs[0].bytes
        while self._queue:
            job = self._queue[0]
            ops, size = ops + job.ops, size + job.bytes
            if ops > self._settings.batch_max_ops or size > self._settings.batch_max_bytes:
                break
            jobs.append(self._queue.popleft())
        return Batch(jobs)

    def _work(self) -> None:
        while (batch := self._handed.get()) is not None:
            self._run(batch)
            try:
                self._loop.call_soon_threadsafe(self._done, batch)
            except RuntimeError:
                return  # the loop has been closed: nobody waits any more

    def _run(self, batch: Batch) -> None:
        """Commit a batch, on whichever thread."""
        if batch.interlude is not None:
            batch.interlude()
            return
        jobs = batch.jobs
        lone = len(jobs) == 1
        batch.appends = jobs[0].appends if lone else [append for job in jobs for append in job.appends]
        tasks = [job.task for job in jobs if job.task is not None]
        try:
            before = self._transactions.connection.total_changes()
            batch.outcomes, batch.results = self._transactions.run(batch.appends, tasks)
            batch.wrote = self._transactions.connection.total_changes() != before
        except Exception as fault:  # noqa: BLE001 — whatever it is, those who wait must hear of it
            batch.fault = fault

    def _done(self, batch: Batch) -> None:
        self._busy = False
        if batch.jobs:
            self._settle(batch)
        if self._interlude or self.queued >= self._settings.batch_start_ops:
            self._hand_over()
        elif not self._queue:
            self._became_idle()
        elif not self._scheduled:
            self._schedule()

    def _became_idle(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _settle(self, batch: Batch) -> None:
        """Tell everyone in a batch what became of it."""
        if batch.fault is not None:
            self._settle_fault(batch, self._meaning(batch.fault))
            return
        self._count(batch)
        outcome = result = 0
        for job in batch.jobs:
            self.queued -= job.ops
            if job.task is None:
                value: object = batch.outcomes[outcome : outcome + len(job.appends)]
                outcome += len(job.appends)
            else:
                value = batch.results[result]
                result += 1
            if not job.future.done():
                job.future.set_result(value)
        if batch.wrote:
            self._committed()

    def _count(self, batch: Batch) -> None:
        figures = self.figures
        figures.commits += 1
        for append, outcome in zip(batch.appends, batch.outcomes, strict=True):
            if isinstance(outcome, Appended):
                figures.appends += bool(append.streams)
                for each in append.streams:
                    figures.events += len(each.events)
            elif isinstance(outcome, Conflict):
                figures.conflicts += 1

    def _meaning(self, fault: Exception) -> Exception:
        """What a failed transaction means for those who wait; ends the writer where nobody can know."""
        sound = not self._transactions.connection.in_transaction
        if isinstance(fault, apsw.BusyError) or (isinstance(fault, apsw.ReadOnlyError) and sound):
            return translated(fault, self._path)
        if isinstance(fault, apsw.FullError) and sound:
            return DISK_FULL.error(f"the disk of {self._path.name} is full")
        if isinstance(fault, apsw.CorruptError | apsw.ConstraintError | UnicodeDecodeError) and sound:
            self.end(STORE_CLOSED.error(f"{self._path.name} has closed because it is damaged"))
            return STORE_CORRUPT.error(f"{self._path.name} is damaged: nothing was written")
        if isinstance(fault, apsw.Error) or not sound:
            self.end(STORE_CLOSED.error(f"{self._path.name} has closed because a commit failed"))
            return OUTCOME_UNKNOWN.error(f"a commit to {self._path.name} failed: {type(fault).__name__}")
        if isinstance(fault, InterlockError) and fault.kind is STORE_MOVED:
            self.end(fault)
        elif isinstance(fault, InterlockError) and fault.kind is OUTCOME_UNKNOWN:
            self.end(STORE_CLOSED.error(f"{self._path.name} has closed because a commit failed"))
        return fault

    def _settle_fault(self, batch: Batch, meaning: Exception) -> None:
        for job in batch.jobs:
            self.queued -= job.ops
            self._fail(job, meaning)

    @staticmethod
    def _fail(job: Job, meaning: Exception) -> None:
        if job.future.done():
            return
        if job.task is None and isinstance(meaning, InterlockError):
            job.future.set_result([meaning for _ in job.appends])
        else:
            job.future.set_exception(meaning)

    def end(self, why: InterlockError) -> None:
        """Refuse everything from now on, also what is queued and not yet begun."""
        if self._closed is None:
            self._closed = why
        while self._queue:
            job = self._queue.popleft()
            self.queued -= job.ops
            self._fail(job, self._closed)

    async def close(self) -> None:
        """Finish what is queued, refuse what comes, and stop the thread."""
        if self._closed is None:
            self._closed = STORE_CLOSED.error(f"{self._path.name} has been closed")
        self._interlude = None
        while self._queue or self._busy:
            if not self._busy:
                self._hand_over()
            self._idle = self._loop.create_future()
            await self._idle
        if self._thread is not None:
            self._handed.put(None)
            self._thread.join()
            self._thread = None
