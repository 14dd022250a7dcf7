"""The contract of `ViewStore`: rows for people, and how far in the feed they reflect.

What it does: proves that rows and position move together or not at all, and what queries find. What it does
not do: it derives no view from events.

Rules: a view moves only from where its writer believes it stands; a query sees whole applications.
"""

# ruff: noqa: S101, D102 - an assertion is what a test is for, and its name is its sentence

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from interlock.journal.ports import Store, ViewRow
from interlock.testing.contracts.harness import Contract, on_store

RUNS = "runs@1"
Found = list[tuple[int, str, bytes]]


async def apply(store: Store, *rows: ViewRow, view: str = RUNS, partition: str = "default") -> bool:
    """Write rows at whatever position the view has, and move it by one."""
    before = await store.views.position(partition, view)
    return await store.views.apply(partition, view, rows, before, before + 1)


async def query(
    store: Store,
    terms: Mapping[str, str] | None = None,
    before: tuple[int, str] | None = None,
    limit: int = 100,
    *,
    view: str = RUNS,
) -> Found:
    """What a query finds."""
    return await store.views.query("default", view, terms or {}, before, limit)


async def keys(store: Store, **terms: str) -> list[str]:
    """The keys of what a query finds."""
    return [key for _, key, _ in await query(store, terms)]


def row(key: str, order: int = 0, /, **terms: str) -> ViewRow:
    """A row whose document says its key."""
    return ViewRow(key, order, terms, key.encode())


class ViewStoreContract(Contract):
    """Proves a `ViewStore`."""

    @on_store
    async def test_a_new_view_is_empty_and_has_seen_nothing(self, store: Store) -> None:
        assert await store.views.position("default", RUNS) == 0
        assert await store.views.rows("default", RUNS, ["a", "b"]) == [None, None]
        assert await query(store) == []

    @on_store
    async def test_rows_and_position_are_written_together(self, store: Store) -> None:
        assert await store.views.apply("default", RUNS, [row("a"), row("b")], 0, 7)

        for opened in (store, await self.again(store)):
            assert await opened.views.position("default", RUNS) == 7
            assert await opened.views.rows("default", RUNS, ["b", "none", "a", "b"]) == [
                b"b",
                None,
                b"a",
                b"b",
            ]

    @on_store
    async def test_a_writer_who_believes_another_position_writes_nothing(self, store: Store) -> None:
        await store.views.apply("default", RUNS, [row("a")], 0, 5)

        for before in (0, 4, 6):
            assert not await store.views.apply("default", RUNS, [row("b"), ViewRow("a")], before, 9)

        assert await store.views.position("default", RUNS) == 5
        assert await store.views.rows("default", RUNS, ["a", "b"]) == [b"a", None]

    @on_store
    async def test_a_new_view_is_written_from_the_start_only(self, store: Store) -> None:
        assert not await store.views.apply("default", RUNS, [row("a")], 3, 4)

        assert await store.views.position("default", RUNS) == 0
        assert await query(store) == []

    @on_store
    async def test_a_position_moves_without_rows(self, store: Store) -> None:
        assert await store.views.apply("default", RUNS, [], 0, 1_000)

        assert await store.views.position("default", RUNS) == 1_000

    @on_store
    async def test_of_two_writers_at_one_position_one_wins(self, store: Store) -> None:
        other = await self.again(store)
        for turn in range(4):
            applied = await asyncio.gather(
                *(
                    (store, other)[n % 2].views.apply("default", RUNS, [row(f"{turn}.{n}")], turn, turn + 1)
                    for n in range(4)
                )
            )
            assert sorted(applied) == [False, False, False, True]
            assert len(await query(store)) == turn + 1

    @on_store
    async def test_a_row_is_replaced_with_its_terms_and_its_order(self, store: Store) -> None:
        await apply(store, ViewRow("a", 1, {"phase": "running", "plan": "p"}, b"1"), row("b", 2))

        await apply(store, ViewRow("a", 3, {"phase": "done"}, b"2"))

        assert await query(store) == [(3, "a", b"2"), (2, "b", b"b")]
        assert await keys(store, phase="running") == []
        assert await keys(store, plan="p") == []
        assert await keys(store, phase="done") == ["a"]

    @on_store
    async def test_a_row_without_a_document_is_deleted(self, store: Store) -> None:
        await apply(store, row("a", 1, phase="running"), row("b", 2, phase="running"))

        await apply(store, ViewRow("a"), ViewRow("never there"))

        assert await keys(store, phase="running") == ["b"]
        assert await store.views.rows("default", RUNS, ["a", "b"]) == [None, b"b"]

    @on_store
    async def test_of_a_row_that_is_written_twice_at_once_the_last_stands(self, store: Store) -> None:
        await apply(store, row("a", 1, phase="new"), row("b"), ViewRow("b"), row("a", 2, phase="done"))

        assert await query(store) == [(2, "a", b"a")]
        assert await keys(store, phase="new") == []

    @on_store
    async def test_documents_are_kept_byte_for_byte(self, store: Store) -> None:
        documents = {
            "empty": b"",
            "zero": b"\0",
            "binary": bytes(range(256)),
            "ä\U0001f512": b'{"u":"\\u0000"}',
        }

        await apply(store, *(ViewRow(key, 0, {}, document) for key, document in documents.items()))

        assert await store.views.rows("default", RUNS, list(documents)) == list(documents.values())
        assert {key: document for _, key, document in await query(store)} == documents

    @on_store
    async def test_listings_are_newest_first(self, store: Store) -> None:
        latest = 2**53 - 1
        orders = [("b", 5), ("a", 5), ("z", 1), ("m", latest), ("ä", 5), ("\U0001f512", 5), ("past", -3)]
        await apply(store, *(row(key, order) for key, order in orders))

        found = [(order, key) for order, key, _ in await query(store)]

        assert found == sorted(((order, key) for key, order in orders), reverse=True)

    @on_store
    async def test_pages_make_up_the_whole(self, store: Store) -> None:
        await apply(store, *(row(f"k{n}", n // 3, phase="done") for n in range(10)), row("other", 1))
        whole = await query(store, {"phase": "done"})

        pages: list[Found] = []
        before = None
        while page := await query(store, {"phase": "done"}, before, 4):
            pages.append(page)
            before = page[-1][:2]

        assert [len(page) for page in pages] == [4, 4, 2]
        assert [found for page in pages for found in page] == whole
        assert len(whole) == 10

    @on_store
    async def test_a_query_finds_what_has_all_its_terms(self, store: Store) -> None:
        await apply(
            store,
            row("a", 1, phase="done", plan="p"),
            row("b", 2, phase="done", plan="q"),
            row("c", 3, phase="failed", plan="p", note="ä\U0001f512'\"%"),
        )

        assert await keys(store) == ["c", "b", "a"]
        assert await keys(store, phase="done") == ["b", "a"]
        assert await keys(store, phase="done", plan="p") == ["a"]
        assert await keys(store, note="ä\U0001f512'\"%") == ["c"]
        assert await keys(store, phase="done", plan="r") == []
        assert await keys(store, unknown="done") == []

    @on_store
    async def test_versions_and_partitions_of_a_view_are_apart(self, store: Store) -> None:
        await apply(store, row("a"))
        await apply(store, row("b"), view="runs@2")
        await apply(store, row("c"), partition="elsewhere")

        assert await keys(store) == ["a"]
        assert [key for _, key, _ in await query(store, view="runs@2")] == ["b"]
        assert await store.views.query("elsewhere", RUNS, {}, None, 10) == [(0, "c", b"c")]
        assert await store.views.rows("elsewhere", RUNS, ["a", "c"]) == [None, b"c"]

    @on_store
    async def test_a_dropped_view_begins_anew_and_no_other_does(self, store: Store) -> None:
        await apply(store, row("a", 1, phase="done"))
        await apply(store, row("b", 1, phase="done"), view="runs@2")

        await store.views.drop("default", RUNS)
        await store.views.drop("default", "never@1")

        assert await store.views.position("default", RUNS) == 0
        assert await store.views.rows("default", RUNS, ["a"]) == [None]
        assert await keys(store, phase="done") == []
        assert await store.views.position("default", "runs@2") == 1
        await apply(store, row("c", 1, phase="done"))
        assert await keys(store, phase="done") == ["c"]
