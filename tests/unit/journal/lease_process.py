"""A process that works with leases, for tests: one store, one clock, leases and their timers. It asserts nothing."""

from __future__ import annotations

from typing import Any

from interlock.base.clock import Clock, SeededEntropy
from interlock.base.principal import Principal
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.journal.leases import Granted, Leases, Queued
from interlock.journal.leases import events as e
from interlock.journal.leases.decide import EXPIRY
from interlock.journal.leases.fold import LEASE_FOLD
from interlock.journal.leases.views import LEASES
from interlock.journal.ports import Store
from interlock.journal.runner import Runner, RunnerSettings
from interlock.journal.timers import TimerService
from interlock.journal.verify import verify
from interlock.journal.views import Views
from interlock.testing.clock import VirtualClock

ADA = Principal(id="local:ada")
KEY = e.lease_stream("default", "key")


class Process:
    """One process: leases on a store, and what fires their timers."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self.store = store
        self.clock = clock or VirtualClock()
        self.journal = Journal(store, EventCatalogue(e.EVENTS), self.clock, SeededEntropy(7))
        self.runner = Runner(self.journal, RunnerSettings(), "0" * 64)
        self.leases = Leases(self.runner)
        self.timers = TimerService(self.journal, self.runner, [EXPIRY])
        self.views = Views(self.journal, [LEASES])

    async def ask(self, request_id: str, **given: Any) -> Granted | Queued:
        usual = {"holder": f"h-{request_id}", "lease_ms": 1_000, "capacity": 1, "principal": ADA}
        return await self.leases.acquire("key", request_id=request_id, **{**usual, **given})

    async def standing(self, request_id: str) -> Granted | Queued | None:
        return await self.leases.standing("key", request_id, principal=ADA)

    async def release(self, token: int) -> bool:
        return await self.leases.release("key", token, principal=ADA)

    async def fire(self) -> int:
        return await self.timers.fire_due("default", self.clock.now_ms())

    async def records(self, kind: type[Any]) -> list[Any]:
        pages = [page async for page in self.journal.read(KEY)]
        return [event.record for page in pages for event in page if isinstance(event.record, kind)]

    async def sound(self) -> bool:
        return (await verify(self.journal, [LEASE_FOLD], [LEASES])).findings == []
