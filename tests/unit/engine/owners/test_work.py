"""A worker for every tenant: it serves them in turn, and looks at none that wants nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from interlock.app import App
from interlock.base.events import SetTimer
from interlock.base.principal import local_principal
from interlock.engine.authoring import Plan
from interlock.stores.memory import MemoryStore
from interlock.testing.app import memory_app
from interlock.testing.contracts.harness import grow
from interlock.testing.loop import run


def brief(order: list[str]) -> Plan:
    """A plan that says for whom it ran, and takes a second."""
    plan = Plan("brief")

    @plan.state
    async def only(tenant: str) -> None:
        order.append(tenant)
        await asyncio.sleep(1)

    return plan


class Counting:
    """A port that counts the calls of its methods."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self._port, name)


async def start(app: App, plan: Plan, tenant: str, count: int = 1) -> None:
    for _ in range(count):
        await app.runs.start(plan, {"tenant": tenant}, principal=local_principal("ada", tenant), detach=True)


@pytest.mark.parametrize("busy", ["a", "m", "z"])
def test_a_busy_tenant_starves_no_other(busy: str) -> None:
    """Whatever its name: who has little to do waits for one turn, and not for the end of all that came before."""

    async def main() -> None:
        order: list[str] = []
        app, plan = memory_app(), brief(order)
        await start(app, plan, busy, 30)
        for tenant in sorted({"a", "m", "z"} - {busy}):
            await start(app, plan, tenant, 2)

        await app.runs.worker.work(partition=None, concurrency=2, until_idle=True)

        assert Counter(order) == Counter({"a": 2, "m": 2, "z": 2, busy: 30})
        assert max(place for place, tenant in enumerate(order) if tenant != busy) < 8

    run(main())


def test_tenants_that_are_all_busy_get_equal_shares() -> None:
    async def main() -> None:
        order: list[str] = []
        app, plan = memory_app(), brief(order)
        for tenant in ("a", "b", "c"):
            await start(app, plan, tenant, 20)

        await app.runs.worker.work(partition=None, concurrency=6, until_idle=True)

        assert Counter(order[:30]) == {"a": 10, "b": 10, "c": 10}

    run(main())


def test_one_that_comes_while_another_fills_the_worker_has_the_next_turn() -> None:
    async def main() -> None:
        order: list[str] = []
        app, plan = memory_app(), brief(order)
        await start(app, plan, "a", 20)
        working = asyncio.create_task(app.runs.worker.work(partition=None, concurrency=2))
        await asyncio.sleep(3.5)
        before = len(order)
        await start(app, plan, "later")
        await asyncio.sleep(2)

        assert order.index("later") < before + 2
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    run(main())


def test_what_a_worker_asks_of_the_store_does_not_grow_with_the_tenants() -> None:
    async def asked(tenants: int) -> Counter[str]:
        app, plan = memory_app(), brief([])
        for number in range(tenants):
            await start(app, plan, f"tenant-{number}")
        await app.runs.worker.work(partition=None, concurrency=100, until_idle=True)
        await start(app, plan, "one", 3)
        store, calls = app.store, Counter[str]()
        for name in ("events", "activations", "timers"):
            setattr(store, name, Counting(getattr(store, name)))
        await app.runs.worker.work(partition=None, until_idle=True)
        for name in ("events", "activations", "timers"):
            calls.update({f"{name}.{each}": count for each, count in getattr(store, name).calls.items()})
        return calls

    few, many = run(asked(0)), run(asked(60))

    assert many == few
    assert few["activations.ready"] > 0
    assert few["events.partitions"] == 0


@pytest.mark.unproved("its event is none of the product's")
def test_a_timer_that_cannot_be_fired_keeps_no_worker_busy() -> None:
    async def main() -> None:
        store = MemoryStore()
        app = memory_app(store)
        await grow(store, "default/unknown/a", rows=[SetTimer("t", "default/unknown/a", 0)])
        timers = Counting(store.timers)
        store.timers = timers
        working = asyncio.create_task(app.runs.worker.work(partition=None))
        await asyncio.sleep(10)

        assert not working.done()
        assert 10 <= timers.calls["ready"] <= 50
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    run(main())


@pytest.mark.parametrize("first", [True, False], ids=["which began first", "which began last"])
def test_a_call_that_ends_leaves_the_runs_of_one_that_still_works_alone(first: bool) -> None:
    async def main() -> None:
        order: list[str] = []
        app = memory_app()
        working = [asyncio.create_task(app.runs.worker.work()) for _ in range(2)]
        await asyncio.sleep(0.1)
        await start(app, brief(order), "default")
        while not order:
            await asyncio.sleep(0.1)
        ending, going = working if first else reversed(working)
        ending.cancel()
        await asyncio.sleep(30)

        assert app.runs.worker.worked.driven == 1
        assert order == ["default"], "it was driven once"
        going.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    run(main())
