"""Subscriptions on every store: what is delivered, held back, taken over and fenced is the same on each."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from interlock.base.clock import SystemClock
from interlock.base.errors import InterlockError
from interlock.journal.ports import Store
from interlock.journal.subscriptions import Delivery
from interlock.journal.subscriptions import events as e
from interlock.journal.subscriptions.decide import DECIDER, GiveUp
from interlock.journal.subscriptions.progress import Cursor, ProgressTable, table_of
from interlock.stores.memory import MemoryStore
from interlock.stores.postgres import PostgresStore, open_postgres
from interlock.stores.sqlite import SqliteStore, open_sqlite
from interlock.testing.contracts.harness import Contract, on_store
from tests.postgres import fresh_schema
from tests.unit.journal.subscriptions.outside import ADA, STREAM, Outside, Process, in_order, until

LEASE_MS = 300


def process(store: Store, outside: Outside, **settings: Any) -> Process:
    quick = {"backoff_base_ms": 1, "backoff_max_ms": 2, "claim_lease_ms": LEASE_MS, "look_interval_ms": 10}
    return Process(store, outside, SystemClock(), **{**quick, **settings})


class SubscriptionsContract(Contract):
    """What every store does for subscriptions."""

    @on_store
    async def test_events_arrive_in_order_and_what_fails_holds_back_its_stream_alone(self, store: Store) -> None:
        one = process(store, outside := Outside(), attempts_max=3, backoff_base_ms=60_000, backoff_max_ms=60_000)
        await one.add()
        outside.refusing("b#2")
        await one.notes("abcabcabc")
        assert await one.deliver() == (7, 1, 0)
        assert sorted(outside.keys) == ["a#1", "a#2", "a#3", "b#1", "c#1", "c#2", "c#3"]
        assert in_order(outside.keys)

        outside.refusing()
        again = process(await self.again(store), outside)
        [lane] = (await again.progress()).lanes.values()
        assert (lane.stream, lane.after, lane.goal, lane.attempts) == ("default/thing/b", 1, 3, 1)
        assert lane.due_ms > again.clock.now_ms()
        assert await again.deliver() == (0, 0, 0)
        assert await again.findings() == []

    @on_store
    async def test_dead_letters_are_recorded_and_redriven(self, store: Store) -> None:
        one = process(store, outside := Outside(), attempts_max=1)
        await one.add()
        outside.refusing("a#1", "a#2")
        await one.notes("aaa")
        assert await one.deliver() == (1, 2, 2)
        outside.refusing()
        assert await one.subscriptions.redrive("audit", principal=ADA) == 2
        again = process(await self.again(store), outside)
        assert await again.deliver() == (2, 0, 0)
        assert outside.keys == ["a#3", "a#1", "a#2"]
        assert await again.letters() == []
        assert await again.findings() == []

    @on_store
    async def test_one_process_delivers_at_a_time_and_another_takes_over(self, store: Store) -> None:
        first, outside = await self.again(store), Outside()
        one, two = process(first, outside), process(store, outside)
        hanging = asyncio.Event()

        async def hang(_delivery: Delivery) -> None:
            hanging.set()
            await asyncio.sleep(60)

        outside.behaviour = hang
        await one.add()
        await one.notes("ab")
        turn = asyncio.create_task(one.subscriptions.deliver_once())
        await hanging.wait()
        await asyncio.sleep(LEASE_MS * 2 / 1_000)
        assert await two.subscriptions.deliver_once() == {}

        await self.die(first)
        turn.cancel()
        await asyncio.wait([turn])
        outside.refusing()
        serving = asyncio.create_task(two.subscriptions.serve())
        await asyncio.wait_for(until(lambda: sorted(outside.keys) == ["a#1", "b#1"]), 20)
        await two.note("a")
        await asyncio.wait_for(until(lambda: "a#2" in outside.keys), 20)
        serving.cancel()
        await asyncio.wait([serving])
        assert await two.findings() == []

    @on_store
    async def test_who_was_overtaken_writes_neither_progress_nor_events(self, store: Store) -> None:
        late = process(await self.again(store), Outside())
        one = process(store, Outside())
        await one.add()
        await one.notes("a")
        table = ProgressTable(late.store, "default", table_of(STREAM, 1))
        now_ms = late.clock.now_ms()
        claim = await late.store.activations.take(STREAM, e.SUBSCRIPTION, late.store.owner, now_ms - 10_000, 1)
        await table.open()
        assert await one.deliver() == (1, 0, 0)

        for work in (
            table.save(Cursor(1), {}),
            late.runner.execute(DECIDER, GiveUp(claim, 1, "default/thing/a", 1, 9, "no", "no"), ADA),  # type: ignore[arg-type]
        ):
            with pytest.raises(InterlockError, match=r"\[claim_lost\]"):
                await work
        assert await one.letters() == []

    @on_store
    async def test_a_removed_subscription_leaves_no_row(self, store: Store) -> None:
        one = process(store, outside := Outside(), backoff_base_ms=60_000, backoff_max_ms=60_000)
        await one.add()
        outside.refusing("a#1")
        await one.notes("ab")
        await one.deliver()
        await one.subscriptions.remove("audit", principal=ADA)

        assert await one.progress() == (0, None, {})
        assert await store.index.names("default") in (["command"], [])
        assert await one.findings() == []


class TestInMemory(SubscriptionsContract):
    async def make_store(self) -> Store:
        return MemoryStore()

    async def reopen(self, store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        return store.reopen()

    async def die(self, store: Store) -> None:
        assert isinstance(store, MemoryStore)
        store.die()


class TestOnSqlite(SubscriptionsContract):
    @pytest.fixture(autouse=True)
    def _in_a_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    async def make_store(self) -> Store:
        return await open_sqlite(self.folder / "a.store")

    async def reopen(self, store: Store) -> Store:
        assert isinstance(store, SqliteStore)
        return await open_sqlite(store.path)


class TestOnPostgres(SubscriptionsContract):
    @pytest.fixture(autouse=True)
    def _on_a_server(self, postgres_url: str) -> None:
        self.url = fresh_schema(postgres_url)

    async def make_store(self) -> Store:
        return await open_postgres(self.url)

    async def reopen(self, store: Store) -> Store:
        assert isinstance(store, PostgresStore)
        return await open_postgres(self.url)
