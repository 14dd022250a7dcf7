"""A worker: drives whatever runs want an owner, and fires timers.

What it does: claims runs that are due, drives each in a task of its own up to a limit, and fires what is due. What it
does not do: it starts no run, and knows no run by name.

Rules: a run whose plan this process cannot find is left alone until its activation is due again; nothing is claimed
that cannot be driven at once; a worker that is stopped leaves its runs to the next owner; a worker for every tenant
looks at none in which nothing is due, and serves those that have something due in turn, so that none starves another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

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

PAGE_PARTITIONS = 256
"""Tenants with timers due that one look at the store names."""

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
        self._at_work = 0
        self._driven = 0
        self._fired = 0
        self._last = ""
        self._stuck = False
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

        Without a partition it works for every tenant, also for those that come meanwhile, in turn. What is called
        while another call works shares its runs: the last one that leaves lets go of them.
        """
        store = self._journal.store
        self._at_work += 1
        self._observer = observer or self._observer
        seen = store.doorbell.seen()
        try:
            while True:
                now_ms = self._journal.now_ms()
                await self._fire(partition, now_ms)
                claimed = await self._claim(partition, concurrency, now_ms)
                busy = claimed or self._tasks or self._driver.beside
                if until_idle and not busy and not await self._is_due(partition):
                    return self.worked
                seen = await self._rest(partition, seen, full=len(self._tasks) >= concurrency)
        finally:
            self._at_work -= 1
            if not self._at_work:
                await self._let_go()

    async def _let_go(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _fire(self, partition: str | None, now_ms: int) -> None:
        """Fire what is due. One timer that cannot be fired is tried again at the next look, and ends no worker."""
        self._stuck = False
        if partition is not None:
            await self._fire_in(partition, now_ms)
            return
        page = [""]
        while page := await self._journal.store.timers.ready(now_ms, page[-1], PAGE_PARTITIONS):
            for each in page:
                await self._fire_in(each, now_ms)

    async def _fire_in(self, partition: str, now_ms: int) -> None:
        try:
            self._fired += await self._timers.fire_due(partition, now_ms)
        except StorageFailure:
            raise
        except InterlockError as fault:
            self._stuck = True
            _LOG.warning("a timer is left for now (%s)", fault.code)

    async def _claim(self, partition: str | None, concurrency: int, now_ms: int) -> bool:
        """Claim as many runs as there is room for; each tenant that has any due gets its share of the room."""
        room = concurrency - len(self._tasks)
        if room <= 0:
            return False
        partitions = [partition] if partition is not None else await self._turns(room, now_ms)
        claimed = 0
        for left, each in zip(range(len(partitions), 0, -1), partitions, strict=True):
            share = -(-(room - claimed) // left)
            claimed += len(await self._claim_in(each, share, now_ms))
            self._last = each
        return claimed > 0

    async def _turns(self, room: int, now_ms: int) -> list[str]:
        """Tenants with runs that are due, at most `room`: the one that was served last comes last."""
        ready = self._journal.store.activations.ready
        later = await ready([e.RUN], now_ms, self._last, room)
        if len(later) == room:
            return later
        earlier = await ready([e.RUN], now_ms, "", room - len(later))
        return later + [each for each in earlier if each <= self._last]

    async def _claim_in(self, partition: str, room: int, now_ms: int) -> list[Claim]:
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

    async def _is_due(self, partition: str | None) -> bool:
        due_ms = await self._journal.store.activations.due(partition, [e.RUN], self._journal.now_ms())
        return due_ms is not None and due_ms <= self._journal.now_ms()

    async def _rest(self, partition: str | None, seen: int, *, full: bool) -> int:
        """Wait until something may be due, a run has been driven, or somebody has committed."""
        store, now_ms = self._journal.store, self._journal.now_ms()
        # A timer that cannot be fired stays due: it must not have the worker look again and again without a rest.
        dues = [None if self._stuck else await store.timers.next_due(partition)]
        if not full:
            dues.append(await store.activations.due(partition, [e.RUN], now_ms))
        wait_ms = min([self._settings.watch_interval_ms, *(max(due - now_ms, 0) for due in dues if due is not None)])
        ring = asyncio.ensure_future(store.doorbell.wait(seen, wait_ms))
        try:
            await asyncio.wait([ring, *self._tasks, *self._driver.beside], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not ring.done():
                ring.cancel()
        return ring.result() if ring.done() and not ring.cancelled() else seen
