"""A worker: drives whatever runs want an owner, and fires timers.

What it does: claims runs that are due, drives each in a task of its own up to a limit, and fires what is due. What it
does not do: it starts no run, and knows no run by name.

Rules: a run whose plan this process cannot find is left alone until its activation is due again; nothing is claimed
that cannot be driven at once; a worker that is stopped leaves its runs to the next owner.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from msgspec import Struct

from interlock.base.errors import InterlockError, StorageFailure
from interlock.base.events import Claim
from interlock.base.principal import ENGINE
from interlock.engine import events as e
from interlock.engine.decide import EngineSettings
from interlock.engine.fold import RUN_FOLD
from interlock.engine.owners.driving import Driver
from interlock.journal.journal import Journal
from interlock.journal.streams import parse_stream
from interlock.journal.timers import TimerService

_LOG = logging.getLogger("interlock.engine")


class Worked(Struct, frozen=True):
    """What a worker did: runs that it drove to an end or to a wait, and timers that it fired."""

    driven: int
    fired: int


class Driven(Struct, frozen=True):
    """A run that a worker let go of: how it stands, or the code with which it could not be driven."""

    run_id: str
    phase: str | None
    waiting: str | None
    code: str | None
    under_way: int


Observer = Callable[[Driven], None]
"""Is told of each run that a worker lets go of."""


class Worker:
    """Drives the runs of one journal."""

    def __init__(self, journal: Journal, driver: Driver, timers: TimerService, settings: EngineSettings) -> None:
        self._journal = journal
        self._driver = driver
        self._timers = timers
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()
        self._driven = 0
        self._fired = 0
        self._observer: Observer = lambda _driven: None

    @property
    def worked(self) -> Worked:
        """What it has done so far."""
        return Worked(self._driven, self._fired)

    async def work(
        self,
        *,
        partition: str | None = "default",
        concurrency: int = 64,
        until_idle: bool = False,
        observer: Observer | None = None,
    ) -> Worked:
        """Work until cancelled; with `until_idle`, until nothing is due and nothing is being driven.

        Without a partition, that of every tenant is looked at in turn, also of those that come meanwhile.
        """
        store = self._journal.store
        self._observer = observer or self._observer
        seen = store.doorbell.seen()
        try:
            while True:
                now_ms = self._journal.now_ms()
                partitions = [partition] if partition is not None else await store.events.partitions()
                claimed = False
                for each in partitions:
                    await self._fire(each, now_ms)
                    claimed = bool(await self._claim(each, concurrency, now_ms)) or claimed
                busy = claimed or self._tasks or self._driver.beside
                if until_idle and not busy and not await self._is_due(partitions):
                    return self.worked
                seen = await self._rest(partitions, seen, full=len(self._tasks) >= concurrency)
        finally:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    async def _fire(self, partition: str, now_ms: int) -> None:
        """Fire what is due. One timer that cannot be fired is tried again at the next look, and ends no worker."""
        try:
            self._fired += await self._timers.fire_due(partition, now_ms)
        except StorageFailure:
            raise
        except InterlockError as fault:
            _LOG.warning("a timer is left for now (%s)", fault.code)

    async def _claim(self, partition: str, concurrency: int, now_ms: int) -> list[Claim]:
        room = concurrency - len(self._tasks)
        if room <= 0:
            return []
        store = self._journal.store
        claims = await store.activations.claim(
            partition, [e.RUN], store.owner, room, now_ms, self._settings.claim_lease_ms
        )
        for claim in claims:
            task = asyncio.get_running_loop().create_task(self._drive(claim), name=claim.stream)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return claims

    async def _drive(self, claim: Claim) -> None:
        run_id = parse_stream(claim.stream).id
        try:
            loaded = await self._journal.load(RUN_FOLD, claim.stream)
            result = await self._driver.taken(claim, loaded, run_id, ENGINE)
            self._driven += 1
        except InterlockError as fault:
            _LOG.warning("run %s is left alone for now (%s)", run_id, fault.code)
            self._observer(Driven(run_id, None, None, fault.code, len(self._tasks) - 1))
            return
        if result is not None:
            waiting = None if result.waiting is None else result.waiting.kind
            self._observer(Driven(run_id, result.phase, waiting, None, len(self._tasks) - 1))

    async def _is_due(self, partitions: Sequence[str]) -> bool:
        for each in partitions:
            due_ms = await self._journal.store.activations.due(each, [e.RUN], self._journal.now_ms())
            if due_ms is not None and due_ms <= self._journal.now_ms():
                return True
        return False

    async def _rest(self, partitions: Sequence[str], seen: int, *, full: bool) -> int:
        """Wait until something may be due, a run has been driven, or somebody has committed."""
        store, now_ms = self._journal.store, self._journal.now_ms()
        dues: list[int | None] = []
        for each in partitions:
            dues.append(await store.timers.next_due(each))
            if not full:
                dues.append(await store.activations.due(each, [e.RUN], now_ms))
        wait_ms = min([self._settings.watch_interval_ms, *(max(due - now_ms, 0) for due in dues if due is not None)])
        ring = asyncio.ensure_future(store.doorbell.wait(seen, wait_ms))
        try:
            await asyncio.wait([ring, *self._tasks, *self._driver.beside], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not ring.done():
                ring.cancel()
        return ring.result() if ring.done() and not ring.cancelled() else seen
