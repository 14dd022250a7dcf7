"""Runs that need units: processes on one content, plans, and handlers that count themselves beside the product."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

from interlock.app import App
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy
from interlock.engine.errors import StateFailure
from interlock.engine.flow.limits import Flow, Rate
from interlock.engine.io.live import LiveIo
from interlock.journal.leases.views import LeaseRow
from interlock.stores.memory import MemoryStore
from interlock.testing.app import memory_app
from tests.simulation.crashes import PointedActivations, Points


class Counting:
    """How many handlers are under way, the most that ever were, and in which order runs came to theirs."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.order: list[str] = []
        self.begun_ms: list[int] = []

    async def work(self, seconds: float, name: str = "") -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        self.order.append(name)
        self.begun_ms.append(round(asyncio.get_running_loop().time() * 1000))
        try:
            await asyncio.sleep(seconds)
        finally:
            self.now -= 1


class Installation:
    """Processes on one content."""

    def __init__(self, settings: Mapping[str, Mapping[str, object]] = MappingProxyType({})) -> None:
        self._content = MemoryStore(owner="content")
        self._settings = settings
        self._opened = 0

    def process(self, points: Points | None = None) -> App:
        self._opened += 1
        store = self._content.reopen(f"process {self._opened}", faults=None if points is None else points.reach)
        if points is not None:
            points.store = store
            store.activations = PointedActivations(store.activations, points)
        return memory_app(store, seed=self._opened, settings=self._settings)


def run_id(number: int) -> str:
    return str(UUID(int=0x0190 << 112 | 7 << 76 | 8 << 60 | number))


def named(counting: Counting, seconds: float = 1) -> Plan:
    """A plan of one state, which says whose turn it is."""
    plan = Plan("named")

    @plan.state
    async def only(name: str) -> None:
        await counting.work(seconds, name)

    return plan


def working(counting: Counting, seed: int = 0) -> Plan:
    """Two states that take some time, a wait between them, and a failure that is tried again."""
    plan, draw, failed = Plan("working"), random.Random(seed), set[str]()  # noqa: S311 - it draws a plan

    @plan.state
    async def first(name: str) -> int:
        await counting.work(draw.uniform(0.1, 3), name)
        return 1

    @plan.state
    async def pause(first: int, io: LiveIo) -> int:
        await io.sleep("rest", draw.randrange(100, 2_000))
        return first

    @plan.state(retry=RetryPolicy.fixed(3, 500))
    async def second(pause: int, name: str) -> int:
        await counting.work(draw.uniform(0.1, 3), name)
        if name not in failed and draw.random() < 0.3:
            failed.add(name)
            raise StateFailure("unlucky", "once more", retryable=True)
        return pause

    return plan


async def leases(app: App) -> dict[str, LeaseRow]:
    page = await app.views.query("default", "leases", {}, None, 50)
    return {row.name: row for row in page.items}


async def nothing_is_held(app: App) -> None:
    for name, row in (await leases(app)).items():
        if name.startswith("flow/"):
            assert (row.units_held, row.queued) == (0, 0), row


def scarce(counting: Counting) -> Plan:
    """Two states, of which the second needs a unit of its own."""
    plan = Plan("scarce")

    @plan.state
    async def first(name: str) -> int:
        await counting.work(1, name)
        return 1

    @plan.state(flow=Flow(key="device", limit=1), rate=Rate(key="calls", limit=5, per_ms=1_000))
    async def second(first: int) -> int:
        await counting.work(1)
        return first

    return plan
