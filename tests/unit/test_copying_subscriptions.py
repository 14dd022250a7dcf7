"""A copy of a store goes on with its subscriptions where the source stood."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from interlock.base.clock import SystemClock
from interlock.base.errors import InterlockError
from interlock.copying import copy
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.subscriptions import events as e
from interlock.stores.sqlite import open_sqlite
from tests.unit.journal.subscriptions.outside import EVENTS, STREAM, Outside, Process


def told(_what: str, _done: int, _total: int | None) -> None:
    pass


async def filled(source: Path) -> None:
    """A store whose subscription holds one stream back and has one dead letter."""
    store = await open_sqlite(source)
    one = Process(store, outside := Outside(), SystemClock(), attempts_max=1)
    await one.add()
    outside.refusing("a#1")
    await one.notes("aab")
    assert await one.deliver() == (2, 1, 1)
    two = Process(store, outside, SystemClock())
    outside.refusing("b#2")
    await two.notes("bb")
    assert await two.deliver() == (0, 1, 0)
    await store.close()


def test_a_copy_delivers_what_the_source_held_back_and_nothing_twice(tmp_path: Path) -> None:
    async def main() -> None:
        await filled(tmp_path / "source.db")
        await copy(tmp_path / "source.db", tmp_path / "copy.db", told, EventCatalogue(EVENTS))
        store = await open_sqlite(tmp_path / "copy.db")
        one = Process(store, outside := Outside(), SystemClock())
        assert await one.findings() == []
        assert [letter.key for letter in await one.letters()] == ["default/thing/a#1"]
        await asyncio.sleep(1)
        assert await one.deliver() == (2, 0, 0)
        assert outside.keys == ["b#2", "b#3"]
        await store.close()

    asyncio.run(main())


def test_a_store_whose_subscriptions_somebody_delivers_is_not_copied(tmp_path: Path) -> None:
    async def main() -> None:
        await filled(tmp_path / "source.db")
        store = await open_sqlite(tmp_path / "source.db")
        now_ms = SystemClock().now_ms()
        claim = await store.activations.take(STREAM, e.SUBSCRIPTION, store.owner, now_ms, 60_000)
        with pytest.raises(InterlockError, match=r"\[copy_source_busy\]"):
            await copy(tmp_path / "source.db", tmp_path / "copy.db", told, EventCatalogue(EVENTS))
        await store.activations.release([claim], None)  # type: ignore[list-item]
        await store.close()

    asyncio.run(main())
