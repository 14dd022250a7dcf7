"""Views: bounded, shared between processes, rebuilt beside the old one, and paged."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import msgspec
import pytest
from msgspec import Raw, Struct

from interlock.base.errors import Corruption, InterlockError, Invalid, Unavailable
from interlock.base.events import Place
from interlock.base.part import View
from interlock.journal import views as views_module
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.journal.ports import ViewRow
from interlock.journal.views import Views
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import over_seeds, run
from tests.unit.journal.bank import (
    BALANCES,
    EVENTS,
    NOW_MS,
    Balance,
    Closed,
    Deposited,
    Noted,
    Withdrawn,
    account,
    damage,
    open_journal,
    write,
)

A, B = account("a"), account("b")
NAMES = [account(f"n{number}") for number in range(7)]
PARTITION = "default"


async def listed(views: Views, limit: int = 100, **terms: str) -> list[str]:
    """The streams of every row that has the terms, page by page, newest first."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await views.query(PARTITION, "balances", terms, cursor, limit)
        assert len(page.items) <= limit
        found += [row.stream for row in page.items]
        cursor = page.next
        if cursor is None:
            return found


async def with_rows(journal: Journal) -> None:
    """One account each for `NAMES`, each newer than the one before; every other one has money."""
    for number, name in enumerate(NAMES):
        await write(journal, name, Deposited(number % 2), at_ms=NOW_MS + number)


# Catching up


def test_a_row_reflects_everything_that_was_committed_before_it_was_asked_for() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        views = Views(journal, [BALANCES])
        assert await views.row(PARTITION, "balances", A) is None
        await write(journal, A, Deposited(5), Noted("x"), Withdrawn(2))
        assert await views.row(PARTITION, "balances", A) == Balance(A, 3, NOW_MS)
        await write(journal, A, Deposited(4))
        await write(journal, B, Deposited(1))
        assert await views.row(PARTITION, "balances", A) == Balance(A, 7, NOW_MS)
        assert await views.catch_up(PARTITION, "balances") == 5

    run(main())


def test_a_row_that_is_folded_away_is_gone() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        views = Views(journal, [BALANCES])
        await write(journal, A, Deposited(5))
        await write(journal, B, Deposited(5))
        assert await listed(views) == [B, A]
        await write(journal, A, Closed(Raw(b"null")))
        assert await views.row(PARTITION, "balances", A) is None
        assert await listed(views) == [B]

    run(main())


@pytest.mark.parametrize("page", [1, 2, 3, 7, 8])
def test_the_size_of_a_page_of_the_feed_changes_no_row(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views_module, "FEED_PAGE", page)

    async def main() -> None:
        journal = open_journal(MemoryStore())
        views = Views(journal, [BALANCES])
        for amount in range(7):
            await write(journal, A if amount % 3 else B, Deposited(amount))
        assert (await views.row(PARTITION, "balances", A)).amount == 1 + 2 + 4 + 5
        assert (await views.row(PARTITION, "balances", B)).amount == 3 + 6

    run(main())


def test_each_event_is_decoded_once_and_only_if_the_view_takes_its_type() -> None:
    decoded: list[str] = []

    class Counting(EventCatalogue):
        def decode(self, name: str, version: int, data: bytes) -> Struct:
            decoded.append(name)
            return super().decode(name, version, data)

    async def main() -> None:
        journal = open_journal(MemoryStore())
        await write(journal, A, Deposited(5), Noted("x"), Withdrawn(2))
        journal.catalogue = Counting(EVENTS)
        await Views(journal, [BALANCES]).row(PARTITION, "balances", A)

    run(main())
    assert decoded == ["bank.deposited", "bank.withdrawn"]


def test_one_call_reads_a_bounded_part_of_the_feed_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views_module, "FEED_PAGE", 2)
    monkeypatch.setattr(views_module, "PAGES_MAX", 2)

    async def main() -> None:
        journal = open_journal(MemoryStore())
        views = Views(journal, [BALANCES])
        await write(journal, A, *(Deposited(1) for _ in range(8)))
        with pytest.raises(Unavailable) as caught:
            await views.catch_up(PARTITION, "balances")
        assert (caught.value.code, caught.value.retryable) == ("view_behind", True)
        assert await views.catch_up(PARTITION, "balances") == 8
        assert (await views.row(PARTITION, "balances", A)).amount == 8

    run(main())


def test_a_caller_that_needs_less_gets_at_least_that() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        views = Views(journal, [BALANCES])
        await write(journal, A, *(Deposited(1) for _ in range(3)))
        assert await views.catch_up(PARTITION, "balances", until=0) == 0
        assert await views.catch_up(PARTITION, "balances", until=2) >= 2
        assert await views.catch_up(PARTITION, "balances", until=99) == 3

    run(main())


@over_seeds(40)
async def test_two_processes_that_catch_up_at_once_count_each_event_once() -> None:
    store = MemoryStore()
    journals = [open_journal(store), open_journal(store.reopen())]
    both = [Views(journal, [BALANCES]) for journal in journals]
    await write(journals[0], A, *(Deposited(1) for _ in range(5)))

    async def look(views: Views) -> int:
        await asyncio.sleep(0)
        return int((await views.row(PARTITION, "balances", A)).amount)

    looks = await asyncio.gather(*(look(views) for views in both * 3), write(journals[1], A, Deposited(1)))

    assert {amount for amount in looks if isinstance(amount, int)} <= {5, 6}
    assert [await look(views) for views in both] == [6, 6]


def test_a_page_that_another_process_was_faster_with_is_not_counted_as_seen() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        await write(journal, A, *(Deposited(1) for _ in range(5)))
        views = store.views
        document = msgspec.json.encode(Balance(A, 2, NOW_MS))

        class Faster:
            """Others have folded two events just before the first page is written."""

            def __getattr__(self, name: str) -> Any:
                return getattr(views, name)

            async def apply(self, *arguments: Any) -> bool:
                store.views = views
                row = ViewRow(A, NOW_MS, {"state": "some"}, document)
                assert await views.apply(PARTITION, "balances@1", [row], 0, 2)
                return await views.apply(*arguments)

        store.views = Faster()
        assert (await Views(journal, [BALANCES]).row(PARTITION, "balances", A)).amount == 5

    run(main())


# Versions


def test_another_version_is_built_beside_the_old_one() -> None:
    def doubled(row: Balance | None, place: Place, record: Struct) -> Balance | None:
        assert isinstance(record, Deposited)
        return Balance(place.stream, (row.amount if row else 0) + 2 * record.amount, 0)

    newer = dataclasses.replace(BALANCES, version=2, evolve=doubled)

    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        old, new = Views(journal, [BALANCES]), Views(journal, [newer])
        await write(journal, A, Deposited(5))
        assert (await old.row(PARTITION, "balances", A)).amount == 5
        assert await store.views.position(PARTITION, "balances@2") == 0
        assert (await new.row(PARTITION, "balances", A)).amount == 10
        await write(journal, A, Deposited(1))
        assert (await old.row(PARTITION, "balances", A)).amount == 6
        assert (await new.row(PARTITION, "balances", A)).amount == 12

        await store.views.drop(PARTITION, "balances@1")
        assert (await new.row(PARTITION, "balances", A)).amount == 12
        assert (await old.row(PARTITION, "balances", A)).amount == 6  # built anew

    run(main())


# Listings


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 100])
def test_pages_hold_every_row_once_newest_first(limit: int) -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        views = Views(journal, [BALANCES])
        await with_rows(journal)
        assert await listed(views, limit) == NAMES[::-1]
        assert await listed(views, limit, state="some") == NAMES[5::-2]
        assert await listed(views, limit, state="none") == NAMES[6::-2]
        assert await listed(views, limit, state="none", other="x") == []

    run(main())


def test_rows_of_equal_order_are_paged_by_their_keys() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        for name in NAMES:
            await write(journal, name, Deposited(1))
        assert await listed(Views(journal, [BALANCES]), 2) == NAMES[::-1]

    run(main())


def test_a_page_goes_on_below_its_cursor_whatever_is_new_above_it() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        views = Views(journal, [BALANCES])
        await with_rows(journal)
        first = await views.query(PARTITION, "balances", {}, None, 3)
        await write(journal, B, Deposited(1), at_ms=NOW_MS + 100)
        second = await views.query(PARTITION, "balances", {}, first.next, 3)
        assert [row.stream for row in (*first.items, *second.items)] == NAMES[:0:-1]
        assert (await views.query(PARTITION, "balances", {}, None, 1)).items[0].stream == B

    run(main())


def test_a_row_is_found_by_what_it_is_now_and_not_by_what_it_was() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        views = Views(journal, [BALANCES])
        await write(journal, A, Deposited(5))
        assert (await listed(views, state="some"), await listed(views, state="none")) == ([A], [])
        await write(journal, A, Withdrawn(5))
        assert (await listed(views, state="some"), await listed(views, state="none")) == ([], [A])

    run(main())


@pytest.mark.parametrize(("asked", "given"), [(-1, 1), (0, 1), (1, 1), (10**9, 7)])
def test_a_page_has_at_least_one_item_and_a_bound(asked: int, given: int) -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        await with_rows(journal)
        page = await Views(journal, [BALANCES]).query(PARTITION, "balances", {}, None, asked)
        assert len(page.items) == given

    run(main())


def test_a_cursor_of_something_else_is_refused() -> None:
    async def main() -> None:
        journal, other = open_journal(MemoryStore()), open_journal(MemoryStore())
        for each in (journal, other):
            await with_rows(each)
        foreign = (await Views(other, [BALANCES]).query(PARTITION, "balances", {}, None, 1)).next
        codes = []
        for cursor in (foreign, "c1.", "", "x"):
            with pytest.raises(Invalid) as caught:
                await Views(journal, [BALANCES]).query(PARTITION, "balances", {}, cursor, 1)
            codes.append(caught.value.code)
        assert codes == ["cursor_foreign", "cursor_invalid", "cursor_invalid", "cursor_invalid"]

    run(main())


# Damage


async def refusal(views: Views) -> InterlockError:
    with pytest.raises(Corruption) as caught:
        await views.row(PARTITION, "balances", A)
    return caught.value


@pytest.mark.unproved("it damages its store, to see the damage refused")
@pytest.mark.parametrize(
    "changes", [{"envelope": b"{}"}, {"data": b'{"amount":7}'}, {"digest": "0" * 64}, {"seq": 9}, {"stream": B}]
)
def test_p20_no_row_rests_on_a_damaged_event(changes: dict[str, Any]) -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        await write(journal, A, Deposited(5), Deposited(6))
        damage(store, A, 2, **changes)
        assert (await refusal(Views(journal, [BALANCES]))).code == "event_corrupt"
        assert await store.views.position(PARTITION, "balances@1") == 0

    run(main())


def test_s3_an_event_that_no_part_explains_stops_the_view() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        await write(journal, A, Deposited(5))
        journal.catalogue = EventCatalogue([])
        assert (await refusal(Views(journal, [BALANCES]))).code == "event_type_unknown"

    run(main())


@pytest.mark.unproved("it damages its store, to see the damage refused")
def test_a_hole_in_the_feed_stops_the_view() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        await write(journal, A, Deposited(5), Deposited(6), Deposited(7))
        del store._handle.data.feeds[PARTITION][1]
        assert (await refusal(Views(journal, [BALANCES]))).code == "feed_hole"

    run(main())


def test_an_event_whose_data_was_erased_leaves_the_row_as_it_is() -> None:
    def named(_row: Any, place: Place, record: Struct) -> Balance:
        assert isinstance(record, Noted)
        return Balance(place.stream, len(record.text), 0)

    notes = dataclasses.replace(BALANCES, evolve=named, types=frozenset({"bank.noted"}))

    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        await write(journal, A, Noted("four"), Noted("twelve"))
        damage(store, A, 2, data=None, salt=b"")
        assert (await Views(journal, [notes]).row(PARTITION, "balances", A)).amount == 4

    run(main())


@pytest.mark.unproved("it damages its store, to see the damage refused")
@pytest.mark.parametrize("document", [b"", b"{", b"\xff", b'{"stream":1}'])
def test_a_damaged_row_is_corruption(document: bytes) -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        views = Views(journal, [BALANCES])
        await write(journal, A, Deposited(5))
        await views.catch_up(PARTITION, "balances")
        table = store._handle.data.views[PARTITION, "balances@1"]
        table.put(msgspec.structs.replace(table.rows[A], document=document))
        assert (await refusal(views)).code == "store_corrupt"
        with pytest.raises(Corruption):
            await listed(views)

    run(main())


def test_a_view_takes_no_part_in_what_it_does_not_name() -> None:
    nothing = View("nothing", 1, Balance, lambda place, _: place.stream, lambda *_: None, lambda _: 0, lambda _: {})

    async def main() -> None:
        journal = open_journal(MemoryStore())
        await write(journal, A, Deposited(5))
        views = Views(journal, [nothing])
        assert await views.catch_up(PARTITION, "nothing") == 1
        assert await views.row(PARTITION, "nothing", A) is None

    run(main())
