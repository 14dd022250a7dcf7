"""The bell on PostgreSQL: heard from other processes, missed without harm, and never a reason to keep a task."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock.stores.postgres import PostgresSettings, open_postgres
from interlock.stores.postgres.connections import Pool
from interlock.stores.postgres.doorbell import PostgresDoorbell
from interlock.testing.contracts.harness import grow, stream
from tests.postgres import fresh_schema

A = stream("a")
LONG_MS = 60_000


async def silent(bell: PostgresDoorbell) -> None:
    """Tell nobody."""
    bell._telling = False


def test_who_never_hears_a_bell_finds_the_commit_by_looking(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PostgresDoorbell, "_tell", silent)

    async def main() -> None:
        url = fresh_schema(postgres_url)
        settings = PostgresSettings(doorbell_poll_ms_max=20)
        store, other = await open_postgres(url, settings=settings), await open_postgres(url)
        for _ in range(3):
            seen = store.doorbell.seen()
            waiting = asyncio.create_task(store.doorbell.wait(seen, LONG_MS))
            await asyncio.sleep(0.03)
            await grow(other, A)
            assert await asyncio.wait_for(waiting, 20) != seen
        await store.close()
        await other.close()

    asyncio.run(main())


def test_a_claim_that_is_given_back_rings_elsewhere(postgres_url: str) -> None:
    async def main() -> None:
        url = fresh_schema(postgres_url)
        store, other = await open_postgres(url), await open_postgres(url)
        claim = await other.activations.take(A, "run", other.owner, 0, 1_000)
        seen = store.doorbell.seen()
        waiting = asyncio.create_task(store.doorbell.wait(seen, LONG_MS))
        while not store._bell._listens:
            await asyncio.sleep(0.01)
        await other.activations.release([claim], 5)  # type: ignore[list-item]
        assert await asyncio.wait_for(waiting, 20) != seen
        await store.close()
        await other.close()

    asyncio.run(main())


def test_a_store_that_closes_rings_for_its_last_append_and_the_claims_that_end(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else who waits for one of its runs looks only after a while."""

    async def main() -> None:
        url = fresh_schema(postgres_url)
        settings = PostgresSettings(doorbell_poll_ms_max=600_000)
        store, other = await open_postgres(url, settings=settings), await open_postgres(url)
        waiting = asyncio.create_task(store.doorbell.wait(store.doorbell.seen(), LONG_MS))
        while not store._bell._listens:
            await asyncio.sleep(0.01)
        await grow(store, A)
        await waiting
        await asyncio.sleep(0.1)  # looks that had begun before anybody listened
        monkeypatch.setattr(PostgresDoorbell, "_tell", silent)
        await other.activations.take(A, "run", other.owner, 0, 60_000)
        waiting = asyncio.create_task(store.doorbell.wait(store.doorbell.seen(), LONG_MS))

        await other.close()

        await asyncio.wait_for(waiting, 20)
        assert await store.activations.holder(A, 1) is None
        await store.close()

    asyncio.run(main())


def test_who_hears_a_bell_asks_the_server_nothing(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many partitions there are: only a look for what was not heard counts them, and that is seldom."""
    looks = list[bytes]()
    one_of = Pool.one

    async def one(self: Pool, sql: bytes, values: Any = None) -> Any:
        looks.append(sql)
        return await one_of(self, sql, values)

    async def main() -> None:
        url = fresh_schema(postgres_url)
        settings = PostgresSettings(doorbell_poll_ms_max=600_000)
        store, other = await open_postgres(url, settings=settings), await open_postgres(url, settings=settings)
        waiting = asyncio.create_task(store.doorbell.wait(store.doorbell.seen(), LONG_MS))
        while not store._bell._listens:
            await asyncio.sleep(0.01)
        await grow(other, A)
        await waiting
        await asyncio.sleep(0.1)  # looks that had begun before anybody listened
        monkeypatch.setattr(Pool, "one", one)
        for number in range(20):
            seen = store.doorbell.seen()
            waiting = asyncio.create_task(store.doorbell.wait(seen, LONG_MS))
            await grow(other, stream("s", f"tenant{number}"))
            assert await asyncio.wait_for(waiting, 20) != seen
        assert looks == []
        await store.close()
        await other.close()

    asyncio.run(main())


def test_closing_wakes_who_waits_and_leaves_no_task(postgres_url: str) -> None:
    async def main() -> None:
        store = await open_postgres(fresh_schema(postgres_url))
        waiting = asyncio.create_task(store.doorbell.wait(store.doorbell.seen(), LONG_MS))
        await asyncio.sleep(0.05)
        await store.close()
        await asyncio.wait_for(waiting, 20)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
