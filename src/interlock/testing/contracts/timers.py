"""The contract of `Timers`: rows that an append writes, given out in the order in which they fire.

What it does: proves setting, moving, clearing, order and paging. What it does not do: it fires nothing.

Rules: the rows of an append apply in their order; times before ids, ids in the order of their code points.
"""

# ruff: noqa: S101, D102 - an assertion is what a test is for, and its name is its sentence

from __future__ import annotations

from interlock.base.bounds import INTEGER_MAX
from interlock.base.events import ClearTimer, IndexRow, Row, SetTimer, Timer
from interlock.journal.ports import EMPTY, Append, Store
from interlock.testing.contracts.harness import Contract, code_of, grow, is_empty, on_store, onto, stream

A, B, ELSEWHERE = stream("a"), stream("b"), stream("a", "elsewhere")
NOW = 1_000_000


async def set_timers(store: Store, *rows: SetTimer | ClearTimer, to: str = A) -> None:
    """Write timer rows with an event."""
    await grow(store, to, rows=rows)


async def due(store: Store, now_ms: int = NOW, limit: int = 100) -> list[str]:
    """The ids of the timers that are due."""
    return [timer.timer_id for timer in await store.timers.due("default", now_ms, limit)]


async def ids(store: Store, after: str = "", limit: int = 100) -> list[str]:
    """The ids that a scan finds."""
    return [timer.timer_id for timer in await store.timers.scan("default", after, limit)]


class TimersContract(Contract):
    """Proves `Timers`."""

    @on_store
    async def test_a_timer_is_there_with_the_append_that_set_it(self, store: Store) -> None:
        await set_timers(store, SetTimer("one", B, NOW, b"\0\xff"), SetTimer("two", A, INTEGER_MAX))

        for opened in (store, await self.again(store)):
            assert await opened.timers.due("default", INTEGER_MAX, 10) == [
                Timer("one", B, NOW, b"\0\xff"),
                Timer("two", A, INTEGER_MAX, b""),
            ]
            assert await opened.timers.next_due("default") == NOW

    @on_store
    async def test_a_store_without_timers_has_nothing_due(self, store: Store) -> None:
        await grow(store, A)

        assert (await due(store, INTEGER_MAX), await ids(store)) == ([], [])
        assert await store.timers.next_due("default") is None
        assert await store.timers.next_due("unheard_of") is None

    @on_store
    async def test_a_timer_is_due_at_its_time_and_not_before(self, store: Store) -> None:
        await set_timers(store, SetTimer("t", A, NOW))

        assert (await due(store, NOW - 1), await due(store, NOW), await due(store, NOW + 1)) == ([], ["t"], ["t"])

    @on_store
    async def test_timers_are_due_in_the_order_of_time_and_then_of_id(self, store: Store) -> None:
        rows = [
            SetTimer(name, A, NOW + at) for name, at in (("c", 1), ("a", 2), ("é", 1), ("d", 0), ("b", 1), ("z", 1))
        ]
        await set_timers(store, *rows[:3])
        await set_timers(store, *rows[3:], to=B)

        assert await due(store, NOW + 9) == ["d", "b", "c", "z", "é", "a"]
        assert await due(store, NOW + 9, limit=2) == ["d", "b"]
        assert (await due(store, NOW + 9, limit=0), await due(store, NOW + 1, limit=9)) == (
            [],
            ["d", "b", "c", "z", "é"],
        )

    @on_store
    async def test_a_timer_that_is_set_again_moves_with_all_that_it_has(self, store: Store) -> None:
        await set_timers(store, SetTimer("t", A, NOW, b"1"), SetTimer("other", A, NOW + 1))

        await set_timers(store, SetTimer("t", B, NOW + 2, b"2"))

        assert await store.timers.scan("default", "other", 10) == [Timer("t", B, NOW + 2, b"2")]
        assert (await due(store, NOW + 9), await store.timers.next_due("default")) == (["other", "t"], NOW + 1)
        await set_timers(store, SetTimer("t", A, NOW - 5))
        assert (await due(store, NOW), await store.timers.next_due("default")) == (["t"], NOW - 5)

    @on_store
    async def test_a_cleared_timer_is_gone_and_may_be_set_again(self, store: Store) -> None:
        await set_timers(store, SetTimer("t", A, NOW), SetTimer("kept", A, NOW))
        await set_timers(store, ClearTimer("t"), ClearTimer("unheard_of"))

        assert (await due(store), await ids(store)) == (["kept"], ["kept"])

        await set_timers(store, SetTimer("t", A, NOW))
        assert await due(store) == ["kept", "t"]

    @on_store
    async def test_timer_rows_of_one_append_apply_in_their_order(self, store: Store) -> None:
        await set_timers(
            store,
            SetTimer("moved", A, NOW),
            SetTimer("moved", A, NOW + 1),
            SetTimer("gone", A, NOW),
            ClearTimer("gone"),
            ClearTimer("back"),
            SetTimer("back", A, NOW),
        )

        assert (await due(store), await ids(store)) == (["back"], ["back", "moved"])

    @on_store
    async def test_appends_of_one_batch_set_timers_one_after_the_other(self, store: Store) -> None:
        appends = [
            Append([onto(EMPTY, A)], [SetTimer("t", A, NOW), SetTimer("gone", A, NOW)]),
            Append([onto(EMPTY, B)], [SetTimer("t", B, NOW + 1), ClearTimer("gone")]),
        ]

        await store.events.append(appends)

        assert await store.timers.scan("default", "", 10) == [Timer("t", B, NOW + 1, b"")]

    @on_store
    async def test_an_append_that_is_refused_sets_and_clears_no_timer(self, store: Store) -> None:
        await set_timers(store, SetTimer("kept", A, NOW))
        await grow(store, A, rows=[IndexRow("open", "taken", b"")])
        rows: list[Row] = [SetTimer("new", A, NOW), ClearTimer("kept")]

        outcomes = await store.events.append(
            [
                Append([onto(EMPTY, A)], rows),
                Append([onto(EMPTY, B)], [*rows, IndexRow("open", "taken", b"", fresh=True)]),
            ]
        )

        assert [code_of(outcome) for outcome in outcomes] == ["head_moved", "index_key_taken"]
        assert await is_empty(store, B)
        assert await ids(store) == ["kept"]

    @on_store
    async def test_partitions_have_their_own_timers(self, store: Store) -> None:
        await set_timers(store, SetTimer("t", A, NOW))
        await set_timers(store, SetTimer("t", ELSEWHERE, NOW - 1), to=ELSEWHERE)
        await set_timers(store, ClearTimer("unheard_of"), to=ELSEWHERE)

        assert await store.timers.due("elsewhere", NOW, 10) == [Timer("t", ELSEWHERE, NOW - 1, b"")]
        assert await store.timers.due("default", NOW, 10) == [Timer("t", A, NOW, b"")]
        assert await store.timers.next_due("default") == NOW

    @on_store
    async def test_of_all_partitions_those_are_ready_that_have_a_timer_due(self, store: Store) -> None:
        assert await store.timers.next_due(None) is None
        for name, due_ms in (("b", NOW), ("d", NOW - 9), ("a", NOW + 1), ("e", NOW - 1)):
            await set_timers(store, SetTimer("t", stream("s", name), due_ms), to=stream("s", name))
        await set_timers(store, SetTimer("later", stream("s", "b"), NOW - 2), to=stream("s", "b"))
        await grow(store, stream("idle", "f"))

        assert await store.timers.ready(NOW, "", 10) == ["b", "d", "e"]
        assert await store.timers.ready(NOW, "", 2) == ["b", "d"]
        assert await store.timers.ready(NOW, "d", 2) == ["e"]
        assert await store.timers.ready(NOW, "e", 2) == await store.timers.ready(NOW, "", 0) == []
        assert await store.timers.ready(NOW - 2, "", 10) == ["b", "d"]
        assert await store.timers.next_due(None) == NOW - 9

    @on_store
    async def test_a_partition_is_ready_until_its_due_timers_are_moved_or_cleared(self, store: Store) -> None:
        await set_timers(store, SetTimer("t", A, NOW))
        await set_timers(store, SetTimer("t", ELSEWHERE, NOW - 1), to=ELSEWHERE)

        await set_timers(store, SetTimer("t", ELSEWHERE, NOW + 5), to=ELSEWHERE)
        assert await store.timers.ready(NOW, "", 10) == ["default"]
        await set_timers(store, ClearTimer("t"))
        assert await store.timers.ready(NOW, "", 10) == []
        assert await store.timers.next_due(None) == NOW + 5

    @on_store
    async def test_a_scan_gives_every_timer_once_in_the_order_of_ids(self, store: Store) -> None:
        await set_timers(store, *(SetTimer(f"t{n:04d}", A, NOW - n) for n in range(1_200)))

        pages, after = [], ""
        while page := await ids(store, after, 500):
            pages.append(page)
            after = page[-1]

        assert [len(page) for page in pages] == [500, 500, 200]
        assert [each for page in pages for each in page] == [f"t{n:04d}" for n in range(1_200)]
        assert await due(store, limit=2) == ["t1199", "t1198"]
