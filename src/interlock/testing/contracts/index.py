"""The contract of `Index`: rows that an append writes with its events, or not at all.

What it does: proves keys, order and the refusal of taken keys. What it does not do: it knows no part's index.

Rules: the rows of an append apply in their order; keys are in the order of their code points.
"""

# ruff: noqa: S101, D102 - an assertion is what a test is for, and its name is its sentence

from __future__ import annotations

import asyncio

from interlock.base.errors import Conflict, InterlockError
from interlock.base.events import IndexRow
from interlock.journal.ports import EMPTY, Append, Store
from interlock.testing.contracts.harness import Contract, code_of, grow, is_empty, on_store, onto, stream

A, ELSEWHERE = stream("a"), stream("a", "elsewhere")
VALUES = (b"", b"\0", b"text", b"\xff\xfe", bytes(range(256)))


async def write(store: Store, *rows: IndexRow, to: str = A) -> None:
    """Write rows with an event."""
    await grow(store, to, rows=rows)


async def get(store: Store, *keys: str, index: str = "open") -> list[bytes | None]:
    """The values at these keys."""
    return await store.index.get("default", index, keys)


async def keys(store: Store, prefix: str = "", after: str = "", limit: int = 100) -> list[str]:
    """The keys that a scan finds."""
    return [key for key, _ in await store.index.scan("default", "open", prefix, after, limit)]


class IndexContract(Contract):
    """Proves an `Index`."""

    @on_store
    async def test_a_row_is_there_with_the_append_that_wrote_it(self, store: Store) -> None:
        await write(store, *(IndexRow("open", f"k{n}", value) for n, value in enumerate(VALUES)))

        for opened in (store, await self.again(store)):
            assert await get(opened, "k2", "missing", "k0", "k2") == [b"text", None, b"", b"text"]
            assert await get(opened, *(f"k{n}" for n in range(len(VALUES)))) == list(VALUES)
            assert await get(opened) == []

    @on_store
    async def test_a_row_is_replaced_and_deleted(self, store: Store) -> None:
        await write(store, IndexRow("open", "a", b"1"), IndexRow("open", "b", b"1"))

        await write(store, IndexRow("open", "a", b"2"), IndexRow("open", "b", None))

        assert await get(store, "a", "b") == [b"2", None]
        assert await keys(store) == ["a"]

    @on_store
    async def test_deleting_what_is_not_there_is_nothing(self, store: Store) -> None:
        await write(store, IndexRow("open", "a", None))

        assert await get(store, "a") == [None]

    @on_store
    async def test_rows_of_one_append_apply_in_their_order(self, store: Store) -> None:
        await write(
            store,
            IndexRow("open", "twice", b"1"),
            IndexRow("open", "twice", b"2"),
            IndexRow("open", "gone", b"1", fresh=True),
            IndexRow("open", "gone", None),
            IndexRow("open", "back", b"1"),
            IndexRow("open", "back", None),
            IndexRow("open", "back", b"2", fresh=True),
        )

        assert await get(store, "twice", "gone", "back") == [b"2", None, b"2"]

    @on_store
    async def test_a_fresh_row_refuses_a_taken_key_and_all_that_comes_with_it(self, store: Store) -> None:
        await write(store, IndexRow("open", "taken", b"first"))
        b = stream("b")
        rows = [IndexRow("open", "new", b"2"), IndexRow("open", "taken", b"second", fresh=True)]

        [outcome] = await store.events.append([Append([onto(EMPTY, b)], rows)])

        assert isinstance(outcome, Conflict)
        assert outcome.code == "index_key_taken"
        assert await is_empty(store, b)
        assert await get(store, "taken", "new") == [b"first", None]

    @on_store
    async def test_a_fresh_row_takes_a_key_that_is_free_again(self, store: Store) -> None:
        await write(store, IndexRow("open", "key", b"1", fresh=True))
        await write(store, IndexRow("open", "key", None))

        await write(store, IndexRow("open", "key", b"2", fresh=True))

        assert await get(store, "key") == [b"2"]

    @on_store
    async def test_two_fresh_rows_of_one_append_cannot_share_a_key(self, store: Store) -> None:
        rows = [IndexRow("open", "key", b"1", fresh=True), IndexRow("open", "key", b"2", fresh=True)]

        [outcome] = await store.events.append([Append([onto(EMPTY, A)], rows)])

        assert code_of(outcome) == "index_key_taken"
        assert await is_empty(store, A)

    @on_store
    async def test_of_several_that_want_a_fresh_key_one_gets_it(self, store: Store) -> None:
        other = await self.again(store)
        appends = [
            Append([onto(EMPTY, stream(f"s{n}"))], [IndexRow("open", "key", b"%d" % n, fresh=True)]) for n in range(8)
        ]

        halves = await asyncio.gather(
            store.events.append(appends[:3]),
            other.events.append(appends[3:6]),
            store.events.append(appends[6:]),
        )

        outcomes = [outcome for half in halves for outcome in half]
        won = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, InterlockError)]
        lost = {outcome.code for outcome in outcomes if isinstance(outcome, InterlockError)}
        assert (len(won), lost) == (1, {"index_key_taken"})
        assert await get(store, "key") == [b"%d" % won[0]]

    @on_store
    async def test_a_stale_append_writes_no_row(self, store: Store) -> None:
        await write(store, IndexRow("open", "a", b"1"))

        [outcome] = await store.events.append([Append([onto(EMPTY, A)], [IndexRow("open", "a", b"2")])])

        assert code_of(outcome) == "head_moved"
        assert await get(store, "a") == [b"1"]

    @on_store
    async def test_a_scan_gives_what_is_under_a_prefix_in_order_page_by_page(self, store: Store) -> None:
        under = [f"run:{n:02d}" for n in range(10)]
        around = ["run", "run9", "run;", "ru", "s", "a"]
        await write(store, *(IndexRow("open", key, key.encode()) for key in around + under[::-1]))

        pages, after = [], ""
        while page := await store.index.scan("default", "open", "run:", after, 4):
            pages.append(page)
            after = page[-1][0]

        assert [len(page) for page in pages] == [4, 4, 2]
        assert [row for page in pages for row in page] == [(key, key.encode()) for key in under]
        assert await keys(store) == sorted(around + under)
        assert await keys(store, "run:", "zzz") == []
        assert await keys(store, "run:", "a", 1) == ["run:00"]

    @on_store
    async def test_a_prefix_is_no_pattern(self, store: Store) -> None:
        await write(store, *(IndexRow("open", key, b"") for key in ("%a", "_a", "*a", "[a]", "aa", "\\a", "%")))

        assert await keys(store, "%") == ["%", "%a"]
        assert await keys(store, "_") == ["_a"]
        assert await keys(store, "*") == ["*a"]
        assert await keys(store, "[") == ["[a]"]
        assert await keys(store, "\\") == ["\\a"]

    @on_store
    async def test_keys_are_in_the_order_of_their_code_points(self, store: Store) -> None:
        odd = ["a", "B", "b", "ä", "a\u0308", "\uffff", "\U0001f512", "\U0010ffff", "\U0010ffffz", "~", " "]
        await write(store, *(IndexRow("open", key, b"") for key in odd))

        assert await keys(store) == sorted(odd)
        assert await keys(store, "\U0010ffff") == ["\U0010ffff", "\U0010ffffz"]
        assert await keys(store, "", "\uffff") == ["\U0001f512", "\U0010ffff", "\U0010ffffz"]

    @on_store
    async def test_indexes_and_partitions_do_not_share_keys(self, store: Store) -> None:
        await write(store, IndexRow("open", "key", b"1"), IndexRow("closed", "key", b"2", fresh=True))
        await write(store, IndexRow("open", "key", b"3", fresh=True), to=ELSEWHERE)

        assert await get(store, "key") == [b"1"]
        assert await get(store, "key", index="closed") == [b"2"]
        assert await get(store, "key", index="none") == [None]
        assert await store.index.get("elsewhere", "open", ["key"]) == [b"3"]
        assert await store.index.scan("nowhere", "open", "", "", 10) == []

    @on_store
    async def test_the_indexes_that_have_rows_are_listed(self, store: Store) -> None:
        await write(store, IndexRow("open", "a", b"1"), IndexRow("closed", "a", b"1"), IndexRow("closed", "b", b""))
        await write(store, IndexRow("other", "a", b"1"), to=ELSEWHERE)
        await write(store, IndexRow("open", "a", None), IndexRow("timers", "a", b"1"))

        assert await store.index.names("default") == ["closed", "timers"]
        assert await store.index.names("elsewhere") == ["other"]
        assert await store.index.names("nowhere") == []
