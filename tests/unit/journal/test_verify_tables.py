"""Examining derived tables: every row that is not what the events say is named, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from msgspec import Raw, Struct

from interlock.base.canonical import digest
from interlock.base.errors import Category, ErrorCode
from interlock.base.events import EventType, IndexRow, Place, Row, Wake
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import Authorship
from interlock.journal.journal import FoldSnapshot, StreamWriter
from interlock.journal.ports import ViewRow
from interlock.journal.runner import CommandRow
from interlock.journal.verify import tables, verify
from interlock.journal.views import Views
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import run
from tests.unit.journal.bank import (
    ACCOUNT_FOLD,
    ADA,
    BALANCES,
    DEPOSIT,
    NOW_MS,
    Account,
    Balance,
    Deposit,
    Deposited,
    account,
    damage,
    open_journal,
    open_runner,
    write,
)
from tests.unit.journal.vault import A, B, C, examined, filled, findings, named

pytestmark = pytest.mark.unproved("every test damages its store, to see the damage named")

Index = Callable[[str], Any]


def index_of(store: MemoryStore, index: str) -> Any:
    """The rows of an index, to be changed behind the store's back."""
    return store._handle.data.index["default", index]


def view_of(store: MemoryStore, table: str = "balances@1") -> Any:
    return store._handle.data.views["default", table]


# Index


@pytest.mark.parametrize(("index", "key"), [("command", "d-1"), ("command", "t-1"), ("name", "savings")])
@pytest.mark.parametrize("value", [b"", b"x", None])
def test_a_changed_or_missing_row_is_named(index: str, key: str, value: bytes | None) -> None:
    async def main() -> None:
        store, journal = await filled()
        rows = index_of(store, index)
        rows.put(key, value) if value is not None else rows.drop(key)
        [finding] = (await examined(journal)).findings
        assert (finding.kind, finding.place) == ("index_row_wrong", f"default/{index}/{key}")
        assert ("missing" in finding.message) == (value is None)

    run(main())


@pytest.mark.parametrize("index", ["command", "name", "unheard"])
def test_a_row_that_no_event_entails_is_named(index: str) -> None:
    async def main() -> None:
        store, journal = await filled()
        index_of(store, index).put("more", b"x")
        assert await findings(journal) == [("index_row_wrong", f"default/{index}/more")]

    run(main())


def test_a_command_row_that_leads_elsewhere_is_named() -> None:
    async def main() -> None:
        store, journal = await filled()
        rows = index_of(store, "command")
        row = msgspec.json.decode(rows.get("t-1"), type=CommandRow)
        rows.put("t-1", msgspec.json.encode(CommandRow(row.digest, ((A, 1, 1), (B, 1, 1)))))
        assert await findings(journal) == [("index_row_wrong", "default/command/t-1")]

    run(main())


def test_a_command_that_was_done_twice_is_named_at_its_second_event() -> None:
    async def main() -> None:
        store, journal = await filled()
        [head] = await store.events.heads([C])
        author = Authorship("local:ada", command_id="d-1", command_digest="0" * 64)
        await StreamWriter(journal, C, head, NOW_MS, author).append([Deposited(9)], NOW_MS)
        await StreamWriter(journal, B, (await store.events.heads([B]))[0], NOW_MS, Authorship("x")).append(
            [Deposited(9)], NOW_MS
        )
        assert await findings(journal) == [
            ("command_repeated", f"{C}#2"),
            ("index_row_wrong", "default/command/d-1"),
        ]

    run(main())


@pytest.mark.parametrize("rows_max", [1, 2, 5])
def test_an_index_larger_than_what_is_held_is_compared_in_parts(rows_max: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS_MAX", rows_max)

    async def main() -> None:
        store, journal = await filled()
        runner = open_runner(journal)
        for number in range(20):
            await runner.execute(DEPOSIT, Deposit(account(f"n{number}"), 1), ADA, f"n-{number}")
        await Views(journal, [BALANCES]).catch_up("default", "balances")
        found = await examined(journal)
        assert found.findings == []
        assert (found.counts["index_rows"], found.counts["view_rows"]) == (23, 23)

        index_of(store, "command").put("n-3", b"x")
        index_of(store, "command").drop("n-4")
        index_of(store, "name").put("more", b"x")
        view = view_of(store)
        view.put(ViewRow(account("n5")))
        assert await findings(journal) == [
            ("index_row_wrong", "default/command/n-3"),
            ("index_row_wrong", "default/command/n-4"),
            ("index_row_wrong", "default/name/more"),
            ("view_row_wrong", f"default/balances@1/{account('n5')}"),
        ]

    run(main())


class Opened(Struct, frozen=True):
    key: str


class Shut(Struct, frozen=True):
    key: str


def _opened(place: Place, record: Struct) -> Sequence[Row]:
    assert isinstance(record, Opened)
    return (IndexRow("open", record.key, b"%d" % place.seq), Wake(place.stream, "run", place.at_ms))


def _shut(_place: Place, record: Struct) -> Sequence[Row]:
    assert isinstance(record, Shut)
    return (IndexRow("open", record.key, None),)


WAITS = EventCatalogue(
    [
        EventType("wait.opened", 1, Opened, upcast=lambda data: Opened(data.decode())),
        EventType("wait.opened", 2, Opened, index=_opened),
        EventType("wait.shut", 1, Shut, index=_shut),
    ]
)


def test_rows_that_later_events_took_away_are_not_expected() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        journal.catalogue = WAITS
        await write(journal, A, Opened("1"), Opened("2"), Opened("3"), Shut("2"), Opened("1"))
        found = await verify(journal)
        assert (found.findings, found.counts["index_rows"]) == ([], 2)

        index_of(store, "open").put("2", b"2")
        index_of(store, "open").put("1", b"1")
        assert named((await verify(journal)).findings) == [
            ("index_row_wrong", "default/open/1"),
            ("index_row_wrong", "default/open/2"),
        ]

    run(main())


def test_an_event_of_an_old_version_entails_the_rows_of_todays() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        journal.catalogue = EventCatalogue([EventType("wait.opened", 1, Opened, index=_opened)])
        await write(journal, A, Opened("1"))
        old = EventType("wait.opened", 1, Opened, upcast=msgspec.json.Decoder(Opened).decode)
        journal.catalogue = EventCatalogue([old, EventType("wait.opened", 2, Opened, index=_opened)])
        assert (await verify(journal)).findings == []
        index_of(store, "open").drop("1")
        assert named((await verify(journal)).findings) == [("index_row_wrong", "default/open/1")]

    run(main())


def test_rows_that_rest_on_a_damaged_event_are_not_judged() -> None:
    async def main() -> None:
        store, journal = await filled()
        damage(store, A, 3, data=b"{}")  # it entails the name
        index_of(store, "name").put("more", b"x")
        index_of(store, "command").put("more", b"x")
        found = await examined(journal)
        assert named(found.findings) == [
            ("event_corrupt", f"{A}#3"),
            ("index_row_wrong", "default/command/more"),
        ]
        assert found.counts["not_judged"] == 1

        damage(store, A, 1, envelope=b"{}")  # whose command it was cannot be known
        found = await examined(journal)
        assert named(found.findings) == [("event_corrupt", f"{A}#1"), ("event_corrupt", f"{A}#3")]
        assert found.counts["not_judged"] == 3

    run(main())


# Fold snapshots


def snapshot_of(store: MemoryStore) -> FoldSnapshot:
    return msgspec.json.decode(index_of(store, "fold").get(KEY), type=FoldSnapshot)


def with_state(snapshot: FoldSnapshot, state: Account) -> FoldSnapshot:
    """The snapshot with another state under the right digest."""
    assert ACCOUNT_FOLD.save is not None
    content = ACCOUNT_FOLD.save(state)
    return msgspec.structs.replace(snapshot, state=Raw(content), state_digest=digest(content))


KEY = f"account:{A}"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state": Raw(b"{}")}, "differs from its digest"),
        ({"digest": "0" * 64}, "does not fit"),
        ({"seq": 4}, "does not fit"),
        ({"seq": 99}, "does not fit"),
        ({"seq": 0}, "does not fit"),
    ],
)
def test_a_snapshot_that_does_not_fit_its_place_is_named(changes: dict[str, Any], why: str) -> None:
    async def main() -> None:
        store, journal = await filled()
        row = msgspec.json.encode(msgspec.structs.replace(snapshot_of(store), **changes))
        index_of(store, "fold").put(KEY, row)
        [finding] = (await examined(journal)).findings
        assert (finding.kind, finding.place) == ("fold_snapshot_wrong", f"default/fold/{KEY}")
        assert why in finding.message

    run(main())


def test_a_snapshot_of_another_state_is_named_even_if_its_own_digest_fits() -> None:
    async def main() -> None:
        store, journal = await filled()
        wrong = with_state(snapshot_of(store), Account(10**6))
        index_of(store, "fold").put(KEY, msgspec.json.encode(wrong))
        assert await findings(journal) == [("fold_snapshot_wrong", f"default/fold/{KEY}")]

    run(main())


@pytest.mark.parametrize("row", [b"", b"{}", b"\xff"])
def test_a_snapshot_that_cannot_be_read_is_named(row: bytes) -> None:
    async def main() -> None:
        store, journal = await filled()
        index_of(store, "fold").put(KEY, row)
        assert await findings(journal) == [("fold_snapshot_wrong", f"default/fold/{KEY}")]

    run(main())


def test_a_snapshot_of_another_version_or_of_an_unknown_fold_is_not_compared() -> None:
    async def main() -> None:
        store, journal = await filled()
        wrong = with_state(snapshot_of(store), Account(10**6))
        index_of(store, "fold").put(KEY, msgspec.json.encode(msgspec.structs.replace(wrong, version=2)))
        index_of(store, "fold").put(f"unheard:{A}", msgspec.json.encode(wrong))
        assert await findings(journal) == []

    run(main())


def test_a_snapshot_whose_stream_cannot_be_read_is_not_judged() -> None:
    async def main() -> None:
        store, journal = await filled()
        damage(store, A, 2, data=b"{}")
        wrong = with_state(snapshot_of(store), Account(10**6))
        index_of(store, "fold").put(KEY, msgspec.json.encode(wrong))
        assert await findings(journal) == [("event_corrupt", f"{A}#2")]

    run(main())


def test_a_history_that_makes_no_sense_to_its_fold_is_named_at_the_event() -> None:
    impossible = ErrorCode("account_impossible", Category.CORRUPT, "Restore a backup.")

    def evolve(state: Account, record: Struct, place: Place) -> Account:
        if place.seq == 2:
            raise impossible.error("nothing was deposited")
        return ACCOUNT_FOLD.evolve(state, record, place)

    async def main() -> None:
        _, journal = await filled()
        found = await verify(journal, [dataclasses.replace(ACCOUNT_FOLD, evolve=evolve)])
        assert named(found.findings) == [("account_impossible", f"{A}#2")]

    run(main())


# Views


@pytest.mark.parametrize(
    "row",
    [
        ViewRow(C, NOW_MS, {"state": "some"}, msgspec.json.encode(Balance(C, 8, NOW_MS))),
        ViewRow(C, NOW_MS, {"state": "some"}, b"{"),
        ViewRow(C, NOW_MS, {"state": "some"}, b"\xff"),
        ViewRow(C, NOW_MS + 1, {"state": "some"}, msgspec.json.encode(Balance(C, 7, NOW_MS))),
        ViewRow(C, NOW_MS, {}, msgspec.json.encode(Balance(C, 7, NOW_MS))),
        ViewRow(C),
        ViewRow("more", NOW_MS, {}, b"{}"),
    ],
)
def test_a_row_of_a_view_that_is_not_what_a_rebuild_gives_is_named(row: ViewRow) -> None:
    async def main() -> None:
        store, journal = await filled()
        view_of(store).put(row)
        assert await findings(journal) == [("view_row_wrong", f"default/balances@1/{row.key}")]

    run(main())


def test_a_row_that_a_filter_finds_and_should_not_is_named() -> None:
    async def main() -> None:
        store, journal = await filled()
        view = Views(journal, [BALANCES])
        await write(journal, account("poor"), Deposited(0))
        await view.catch_up("default", "balances")
        table = view_of(store)
        table.put(msgspec.structs.replace(table.rows[C], terms={"state": "none"}))
        found = await examined(journal)
        assert named(found.findings) == [("view_row_wrong", f"default/balances@1/{C}")]

    run(main())


def test_the_order_of_members_makes_no_other_row() -> None:
    async def main() -> None:
        store, journal = await filled()
        members = msgspec.json.decode(view_of(store).rows[C].document, type=dict[str, Any])
        turned = msgspec.json.encode(dict(reversed(members.items())))
        view_of(store).put(msgspec.structs.replace(view_of(store).rows[C], document=turned))
        assert await findings(journal) == []

    run(main())


def test_a_view_that_lags_is_compared_as_of_its_own_position() -> None:
    async def main() -> None:
        store, journal = await filled()
        await write(journal, C, Deposited(1))
        assert await findings(journal) == []
        view_of(store).put(ViewRow(C))
        assert await findings(journal) == [("view_row_wrong", f"default/balances@1/{C}")]

    run(main())


def test_a_view_that_was_never_built_or_has_another_version_is_no_damage() -> None:
    async def main() -> None:
        _, journal = await filled()
        newer = dataclasses.replace(BALANCES, version=2)
        assert (await verify(journal, (), [newer])).findings == []

    run(main())


def test_a_view_that_stands_behind_the_end_of_the_feed_is_named() -> None:
    async def main() -> None:
        store, journal = await filled()
        view_of(store).position = 11
        assert await findings(journal) == [("view_row_wrong", "default/balances@1")]

    run(main())


def test_a_view_that_takes_a_damaged_event_is_not_judged() -> None:
    async def main() -> None:
        store, journal = await filled()
        damage(store, B, 3, data=b"{}")
        view_of(store).put(ViewRow(C))
        found = await examined(journal)
        assert named(found.findings) == [("event_corrupt", f"{B}#3")]
        assert found.counts["not_judged"] == 1

    run(main())


# Tables that move


def test_a_table_that_writers_keep_moving_is_left_out_and_counted() -> None:
    async def main() -> None:
        store, journal = await filled()
        other = open_journal(store.reopen())
        view = view_of(store)
        query = store.views.query

        async def moving(*arguments: Any) -> Any:
            await write(other, C, Deposited(1))
            await Views(other, [BALANCES]).catch_up("default", "balances")
            return await query(*arguments)

        store.views.query = moving  # type: ignore[method-assign, assignment]
        found = await examined(journal)
        assert found.findings == []
        assert found.counts["unsettled"] == 1
        assert view.position > 10

    run(main())
