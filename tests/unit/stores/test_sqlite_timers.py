"""Timers in an SQLite file: what finding them costs, and stores that an older version made."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import pytest

from interlock.base.events import SetTimer, Timer
from interlock.stores.sqlite import check_integrity, open_sqlite, schema
from interlock.stores.sqlite.statements import statements
from interlock.testing.contracts.harness import content, grow, stream

A = stream("a")
NOW = 1_000_000


@pytest.mark.parametrize("name", ["timers_due", "timer_next", "timers_after"])
def test_finding_timers_walks_an_index_and_sorts_nothing(name: str, tmp_path: Path) -> None:
    async def main() -> None:
        store = await open_sqlite(tmp_path / "store")
        await store.close()

    asyncio.run(main())
    connection = apsw.Connection(str(tmp_path / "store"))
    sql = statements("timers")[name]
    values = ("default", NOW, 10)[: sql.count("?")]

    plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values))

    assert "SEARCH timer USING" in plan
    assert "B-TREE" not in plan
    assert "SCAN timer" not in plan
    connection.close()


def test_a_store_from_before_there_were_timers_gets_them_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store"

    async def make() -> None:
        store = await open_sqlite(path)
        await grow(store, A, b"old")
        await store.close()

    async def use() -> None:
        store = await open_sqlite(path)
        assert await store.timers.next_due("default") is None
        await grow(store, A, b"new", rows=[SetTimer("t", A, NOW)])
        assert await store.timers.due("default", NOW, 10) == [Timer("t", A, NOW, b"")]
        assert await content(store, A) == [b"old", b"new"]
        await store.close()

    first = schema.migrations()[:1]
    with monkeypatch.context() as before:
        before.setattr(schema, "migrations", lambda: first)
        asyncio.run(make())
    asyncio.run(use())

    assert asyncio.run(check_integrity(path)) == []
