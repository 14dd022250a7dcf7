"""The table of how far a subscription is: written whole or not at all, examined, and copied with a store."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.journal.ports import ViewRow
from interlock.journal.subscriptions.progress import (
    CURSOR,
    Cursor,
    Lane,
    ProgressTable,
    copy_progress,
    read_progress,
    table_of,
)
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import run
from tests.unit.journal.subscriptions.outside import STREAM, Outside, Process

TABLE = table_of(STREAM, 1)
THING = "default/thing/a"
damaging = pytest.mark.unproved("the table is damaged, to see that it is named")


async def held_back() -> Process:
    """A process whose subscription holds `a` back at its second event, of two that failed."""
    one = Process(MemoryStore(), outside := Outside())
    await one.add()
    outside.refusing("a#2")
    await one.notes("aaab")
    await one.deliver()
    return one


async def put(one: Process, key: str, record: Any) -> None:
    """Write a row behind the back of who delivers."""
    document = record if isinstance(record, bytes) else msgspec.json.encode(record)
    revision = (await one.store.views.position("default", TABLE)) or 0
    assert await one.store.views.apply("default", TABLE, [ViewRow(key, document=document)], revision, revision + 1)


def test_a_table_gives_back_what_was_written_and_writes_only_what_has_changed() -> None:
    async def main() -> None:
        store = MemoryStore()
        table = ProgressTable(store, "default", TABLE)
        assert await table.open() == (None, {})
        lanes = {THING: Lane(THING, 1, 4, attempts=2, due_ms=9, code="toy_refused", message="no")}
        await table.save(Cursor(7, 99), lanes)
        await table.save(Cursor(7, 99), lanes)
        assert await read_progress(store, "default", TABLE) == (2, Cursor(7, 99), lanes)
        await table.save(Cursor(8), {})
        assert await read_progress(store, "default", TABLE) == (3, Cursor(8), {})
        assert await ProgressTable(store, "default", TABLE).open() == (Cursor(8), {})

    run(main())


def test_who_opens_a_table_shuts_out_who_had_it() -> None:
    async def main() -> None:
        store = MemoryStore()
        first, second = (ProgressTable(store, "default", TABLE) for _ in range(2))
        await first.open()
        await first.save(Cursor(3), {})
        assert await second.open() == (Cursor(3), {})
        with pytest.raises(InterlockError, match=r"\[claim_lost\]"):
            await first.save(Cursor(4), {})
        await second.save(Cursor(5), {})

    run(main())


@damaging
@pytest.mark.parametrize("document", [b"{", b"[]", b'{"position":"1"}', b"\xff"])
def test_a_row_that_cannot_be_read_is_damage_and_nothing_is_delivered(document: bytes) -> None:
    async def main() -> None:
        one = await held_back()
        await put(one, CURSOR, document)
        with pytest.raises(InterlockError) as caught:
            await one.subscriptions.deliver_once()
        assert caught.value.code == "store_corrupt"
        assert await one.findings() == [
            f"store_corrupt default/{TABLE}: a row of {TABLE} cannot be read",
        ]

    run(main())


@damaging
@pytest.mark.parametrize(
    ("key", "record", "message"),
    [
        (CURSOR, Cursor(99), "it stands at 99, and the feed ends at 5"),
        (CURSOR, Cursor(2), "the feed was not read up to what it is held back for"),
        (THING, Lane(THING, 1, 9), "it is held back up to event 9, and the stream ends at 3"),
        (THING, Lane("default/thing/z", 1, 3), "the row contradicts itself"),
        (THING, Lane(THING, 3, 3), "the row contradicts itself"),
        (THING, Lane(THING, -1, 3), "the row contradicts itself"),
        ("default/thing/z", Lane("default/thing/z", 0, 1), "it is held back up to event 1, and the stream ends at 0"),
    ],
)
def test_an_examination_names_progress_that_cannot_be(key: str, record: Any, message: str) -> None:
    async def main() -> None:
        one = await held_back()
        assert await one.findings() == []
        await put(one, key, record)
        where = THING if "not read up" in message else key
        assert await one.findings() == [f"subscription_row_wrong default/{TABLE}/{where}: {message}"]

    run(main())


@damaging
def test_an_examination_names_streams_that_are_held_back_without_a_cursor() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), Outside())
        await one.add()
        await put(one, THING, Lane(THING, 0, 1))
        assert await one.findings() == [
            f"subscription_row_wrong default/{TABLE}/{THING}: it is held back, and there is no cursor"
        ]

    run(main())


@damaging
def test_an_examination_leaves_a_damaged_row_of_the_index_to_its_own_check() -> None:
    async def main() -> None:
        one = await held_back()
        one.store._handle.data.index["default", "subscription"].put("audit", b"{")  # type: ignore[attr-defined]
        assert [each.partition(" ")[0] for each in await one.findings()] == ["index_row_wrong"]

    run(main())


def test_a_copy_goes_on_where_the_source_stood() -> None:
    async def main() -> None:
        one = await held_back()
        other = MemoryStore()
        found = await read_progress(one.store, "default", TABLE)
        await one.add("new")
        copied = Copied(one.store, other)
        for _ in range(2):  # a copy that was interrupted is made again
            await copy_progress(one.store, copied, "default")  # type: ignore[arg-type]
        assert await read_progress(other, "default", TABLE) == found
        assert await other.views.position("default", table_of("default/subscription/new", 1)) == 0

    run(main())


def test_a_copy_that_differs_is_refused() -> None:
    async def main() -> None:
        one = await held_back()
        other = MemoryStore()

        async def forget(*_arguments: Any) -> bool:
            return True

        other.views.apply = forget  # type: ignore[method-assign,assignment]
        with pytest.raises(InterlockError, match=r"\[copy_differs\]"):
            await copy_progress(one.store, other, "default")

    run(main())


class Copied:
    """A store whose views are those of another."""

    def __init__(self, store: Any, other: Any) -> None:
        self.index = store.index
        self.views = other.views
