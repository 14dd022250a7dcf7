"""The write-ahead log of a store in an SQLite file: laid out, begun anew, moved into the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from interlock.journal.ports import EMPTY
from interlock.stores.sqlite import SqliteSettings, SqliteStore, open_sqlite
from interlock.testing.contracts.harness import append, content, grow, onto, stream

A = stream("a")
Test = Callable[[SqliteStore], Coroutine[Any, Any, None]]


def on_store(folder: Path, test: Test, **settings: int) -> None:
    async def main() -> None:
        store = await open_sqlite(folder / "store", settings=msgspec.convert(settings, SqliteSettings))
        try:
            await test(store)
        finally:
            await store.close()

    asyncio.run(main())


def test_the_log_of_a_busy_writer_is_laid_out_in_advance_and_holds_what_was_written(tmp_path: Path) -> None:
    async def main() -> None:
        store = await open_sqlite(tmp_path / "store")
        before = store.statistics().wal_bytes
        for n in range(40):
            await grow(store, A, b"%d" % n)

        assert before < 1_000_000 < store.statistics().wal_bytes
        other = await open_sqlite(tmp_path / "store")
        assert await content(other, A) == [b"%d" % n for n in range(40)]
        await other.close()
        await store.close()
        again = await open_sqlite(tmp_path / "store")
        assert await content(again, A) == [b"%d" % n for n in range(40)]
        await again.close()

    asyncio.run(main())


def test_the_log_is_begun_anew_while_a_writer_never_rests(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        head = EMPTY
        sizes = []
        for _ in range(250):
            addition = onto(head, A, b"x" * 8000)
            await append(store, addition)
            head = addition.head
            sizes.append(store.statistics().wal_bytes)

        written = 250 * 8000
        assert max(sizes) < written / 2
        assert await store.events.heads([A]) == [head]

    on_store(tmp_path, test, checkpoint_wal_bytes=256 * 1024)


def test_a_store_that_rests_moves_its_log_into_the_database(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        before = (tmp_path / "store").stat().st_size
        await grow(store, A, b"x" * 100_000)

        async with asyncio.timeout(10):
            while (tmp_path / "store").stat().st_size < before + 100_000:
                await asyncio.sleep(0.01)

    on_store(tmp_path, test, checkpoint_idle_ms=10)
