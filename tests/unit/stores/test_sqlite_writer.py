"""The writer of a store in an SQLite file: who commits when, and what happens when it cannot."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.base.events import IndexRow
from interlock.journal.ports import EMPTY, Append, Appended, Head
from interlock.stores.sqlite import SqliteSettings, SqliteStore, open_sqlite
from interlock.testing.contracts.harness import append, appended, blob, code_of, content, grow, onto, stream

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


async def crowd(store: SqliteStore, size: int) -> list[Appended | InterlockError]:
    """As many appends at once, each to a stream of its own."""
    batches = await asyncio.gather(
        *(store.events.append([Append([onto(EMPTY, stream(f"s{n}"))])]) for n in range(size))
    )
    return [outcome for batch in batches for outcome in batch]


def threads_of(name: str) -> int:
    return sum(thread.name.startswith(name) for thread in threading.enumerate())


def test_a_lone_append_is_committed_without_a_thread(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        for _ in range(5):
            await grow(store, A)

        assert store.statistics().commits == 5
        assert threads_of("interlock-writer") == 0

    on_store(tmp_path, test)


def test_a_crowd_shares_commits(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        outcomes = await crowd(store, 500)

        assert sorted(appended(each).position for each in outcomes) == list(range(1, 501))
        assert store.statistics().appends == 500
        assert store.statistics().commits <= 10

    on_store(tmp_path, test)


def test_a_batch_is_bounded_by_its_appends(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        await crowd(store, 100)

        assert store.statistics().commits >= 10

    on_store(tmp_path, test, batch_max_ops=10)


def test_a_batch_is_bounded_by_its_bytes(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        large = [Append([onto(EMPTY, stream(f"s{n}"), b"x" * 1000)]) for n in range(40)]
        await asyncio.gather(*(store.events.append([each]) for each in large))

        assert store.statistics().commits >= 10

    on_store(tmp_path, test, batch_max_bytes=4096, inline_max_ops=1)


def test_an_append_waits_for_company_as_long_as_it_is_told(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        async def later(turns: int, name: str) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            await grow(store, stream(name))

        await asyncio.gather(*(later(turns, f"s{turns}") for turns in range(20)))

        assert store.statistics().commits == 1

    on_store(tmp_path, test, batch_max_wait_ms=200)


def test_a_full_queue_refuses_at_once_and_says_when_to_ask_again(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        outcomes = await crowd(store, 30)

        refused = [each for each in outcomes if isinstance(each, InterlockError)]
        assert {each.code for each in refused} == {"queue_full"}
        assert len(refused) == 10
        assert all(isinstance(each.details["retry_after_ms"], int) for each in refused)
        assert store.statistics().refused == 10
        assert store.statistics().queued == 0
        await grow(store, A)

    on_store(tmp_path, test, writer_queue_capacity=20)


def test_later_appends_of_a_batch_are_judged_by_the_heads_that_earlier_ones_leave(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        first = onto(EMPTY, A, b"1")
        second = onto(first.head, A, b"2")
        rival = onto(EMPTY, A, b"rival")

        outcomes = await asyncio.gather(
            *(store.events.append([Append([each])]) for each in (first, second, rival)),
            *(store.events.append([Append([onto(EMPTY, stream(f"s{n}"))])]) for n in range(30)),
        )

        assert [isinstance(each, Appended) for [each] in outcomes] == [True, True, False, *[True] * 30]
        assert code_of(outcomes[2][0]) == "head_moved"
        assert await content(store, A) == [b"1", b"2"]
        assert store.statistics().commits <= 2

    on_store(tmp_path, test)


def test_a_fresh_key_is_taken_by_the_first_of_a_batch(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        appends = [
            Append([onto(EMPTY, stream(f"s{n}"))], [IndexRow("command", "id", b"%d" % n, fresh=True)])
            for n in range(50)
        ]

        outcomes = await store.events.append(appends)

        assert isinstance(outcomes[0], Appended)
        assert {code_of(each) for each in outcomes[1:]} == {"index_key_taken"}
        assert await store.index.get("default", "command", ["id"]) == [b"0"]
        assert await store.events.position("default") == 1

    on_store(tmp_path, test)


def test_an_append_whose_caller_gave_up_is_written_all_the_same(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        impatient = asyncio.create_task(store.events.append([Append([onto(EMPTY, A)])]))
        await asyncio.sleep(0)
        impatient.cancel()

        await grow(store, stream("b"))

        assert (await store.events.heads([A]))[0].seq == 1

    on_store(tmp_path, test)


def test_closing_finishes_what_is_queued_and_refuses_what_comes(tmp_path: Path) -> None:
    async def main() -> None:
        store = await open_sqlite(tmp_path / "store")
        queued = asyncio.create_task(crowd(store, 200))
        while store.statistics().queued < 200:
            await asyncio.sleep(0)

        await store.close()

        assert all(isinstance(each, Appended) for each in await queued)
        [late] = await store.events.append([Append([onto(EMPTY, A)])])
        assert code_of(late) == "store_closed"
        assert threads_of("interlock-") == 0
        again = await open_sqlite(tmp_path / "store")
        assert await again.events.position("default") == 200
        await again.close()

    asyncio.run(main())


def test_heads_that_are_no_longer_remembered_are_read_again(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        for _ in range(3):
            for n in range(12):
                await grow(store, stream(f"s{n}"))

        heads = await store.events.heads([stream(f"s{n}") for n in range(12)])
        assert [head.seq for head in heads] == [3] * 12
        assert await store.events.position("default") == 36

    on_store(tmp_path, test, heads_cached_max=4)


def test_a_full_disk_refuses_the_batch_and_leaves_the_store_open(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        await grow(store, A, b"before")
        pages = int(store._writing.pragma("page_count"))
        store._writing.pragma("max_page_count", pages + 2)

        [refused] = await store.events.append([Append([onto(EMPTY, stream("large"), b"x" * 100_000)])])
        with pytest.raises(InterlockError) as caught:
            await store.artifacts.put([blob(b"y" * 50_000)])

        assert code_of(refused) == "disk_full"
        assert refused.retryable if isinstance(refused, InterlockError) else False
        assert caught.value.code == "disk_full"
        assert await store.events.position("default") == 1
        store._writing.pragma("max_page_count", pages + 1000)
        await grow(store, stream("large"), b"x" * 100_000)
        assert await content(store, A) == [b"before"]

    on_store(tmp_path, test)


def test_after_a_failed_commit_nothing_is_claimed_and_the_store_is_closed_for_writing(tmp_path: Path) -> None:
    def fail(point: str) -> None:
        if point == "append:before_commit" and failing:
            raise apsw.IOError("the disk did not sync")

    failing: list[bool] = []

    async def main() -> None:
        store = await open_sqlite(tmp_path / "store", faults=fail)
        await grow(store, A, b"before")
        failing.append(True)
        under_way = asyncio.create_task(crowd(store, 100))
        while store.statistics().queued < 100:
            await asyncio.sleep(0)
        waiting = asyncio.create_task(crowd(store, 3))

        codes = {code_of(each) for each in await under_way} | {code_of(each) for each in await waiting}
        [later] = await store.events.append([Append([onto(EMPTY, stream("later"))])])
        with pytest.raises(InterlockError) as caught:
            await store.activations.take(A, "run", store.owner, 0, 1000)

        assert codes == {"outcome_unknown", "store_closed"}
        assert code_of(later) == "store_closed"
        assert caught.value.code == "store_closed"
        assert await content(store, A) == [b"before"]
        failing.clear()
        await store.close()
        again = await open_sqlite(tmp_path / "store")
        await grow(again, A, b"after")
        assert await content(again, A) == [b"before", b"after"]
        await again.close()

    asyncio.run(main())


def test_a_fault_in_a_program_reaches_its_callers_and_stops_no_later_append(tmp_path: Path) -> None:
    broken: list[bool] = [True]

    def fail(point: str) -> None:
        if point == "append:before_commit" and broken:
            raise ZeroDivisionError

    async def main() -> None:
        store = await open_sqlite(tmp_path / "store", faults=fail)
        with pytest.raises(ZeroDivisionError):
            await store.events.append([Append([onto(EMPTY, A)])])
        broken.clear()

        assert await grow(store, A, b"1") == Head(1, onto(EMPTY, A, b"1").head.digest)
        await store.close()

    asyncio.run(main())


def test_two_openings_on_one_loop_take_turns(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        other = await open_sqlite(tmp_path / "store")
        for n in range(20):
            await grow((store, other)[n % 2], A, b"%d" % n)
        await asyncio.gather(*(grow((store, other)[n % 2], stream(f"s{n}")) for n in range(100)))

        assert await content(other, A) == [b"%d" % n for n in range(20)]
        assert await store.events.position("default") == 120
        await other.close()

    on_store(tmp_path, test)


def test_a_write_that_another_holds_up_too_long_is_refused_and_can_be_tried_again(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        await grow(store, A)
        other = apsw.Connection(str(tmp_path / "store"))
        other.execute("BEGIN IMMEDIATE")

        [outcome] = await store.events.append([Append([onto(EMPTY, stream("b"))])])

        assert code_of(outcome) == "store_busy"
        other.execute("ROLLBACK")
        other.close()
        await append(store, onto(EMPTY, stream("b")))

    on_store(tmp_path, test, busy_timeout_ms=30)
