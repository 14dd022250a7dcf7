"""The journal: pages through the chain, folds with and without snapshots, and the one writer of a stream."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from interlock.base.canonical import digest
from interlock.base.errors import Conflict, Corruption, InterlockError
from interlock.base.events import IndexRow
from interlock.journal import journal as journal_module
from interlock.journal.chain import Authorship
from interlock.journal.journal import FOLD_INDEX, Fold, FoldSnapshot, Journal, StreamWriter
from interlock.journal.ports import EMPTY, Append, Blob, Head, StreamAppend
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import run
from tests.unit.journal.bank import (
    ACCOUNT_FOLD,
    NOW_MS,
    Account,
    CountedEvents,
    Deposited,
    Noted,
    Withdrawn,
    account,
    damage,
    flipped,
    open_journal,
    recorded,
    records,
    write,
)

ADA = account("ada")
AUTHOR = Authorship("local:ada", salt_key=bytes(32))
HISTORY = (Deposited(100), Withdrawn(30), Noted("rent"), Deposited(7), Withdrawn(50), Deposited(1))


class ClaimedHead:
    """An event log that claims another head than that of its last event."""

    def __init__(self, journal: Journal, head: Head) -> None:
        self._log = journal.store.events
        self._head = head

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)

    async def heads(self, streams: list[str]) -> list[Head]:
        return [self._head for _ in streams]


def code_of(caught: pytest.ExceptionInfo[Corruption]) -> str:
    return caught.value.code


# Reading


@pytest.mark.parametrize("page", [1, 2, 3, 5, 6, 7])
def test_a_stream_is_read_whole_whatever_the_size_of_a_page(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "PAGE_EVENTS", page)

    async def main() -> None:
        journal = open_journal(MemoryStore())
        await write(journal, ADA, *HISTORY)
        assert await records(journal, ADA) == list(HISTORY)
        assert (await journal.load(ACCOUNT_FOLD, ADA)).state.balance == 28

    run(main())


@pytest.mark.parametrize("last", range(7))
def test_reading_ends_where_it_is_told_to(last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "PAGE_EVENTS", 4)

    async def main() -> None:
        journal = open_journal(MemoryStore())
        await write(journal, ADA, *HISTORY)
        found = [event.record async for page in journal.read(ADA, until_seq=last) for event in page]
        assert found == list(HISTORY[:last])

    run(main())


def test_a_stream_that_does_not_exist_is_empty() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        assert await records(journal, ADA) == []
        assert await journal.tail(ADA, 0) == []
        loaded = await journal.load(ACCOUNT_FOLD, ADA)
        assert (loaded.state, loaded.head, loaded.at_ms) == (Account(), EMPTY, 0)

    run(main())


@pytest.mark.unproved("it damages its store, to see the damage refused")
def test_a_damaged_event_stops_every_way_of_reading() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        await write(journal, ADA, *HISTORY)
        damage(store, ADA, 2, data=b'{"amount":31}')
        for reading in (journal.load(ACCOUNT_FOLD, ADA), records(journal, ADA), journal.tail(ADA, 1)):
            with pytest.raises(Corruption) as caught:
                await reading
            assert (caught.value.code, caught.value.details["seq"]) == ("event_corrupt", 2)

    run(main())


@pytest.mark.unproved("it damages its store, to see the damage refused")
def test_the_tail_is_verified_against_the_event_before_it() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        await write(journal, ADA, *HISTORY)
        assert [event.record for event in await journal.tail(ADA, 4)] == list(HISTORY[4:])
        assert [event.record for event in await journal.tail(ADA, 0)] == list(HISTORY)
        assert await journal.tail(ADA, 6) == []
        [_, second, *_] = await store.events.read(ADA, 0, 10)
        damage(store, ADA, 4, envelope=second.envelope)
        with pytest.raises(Corruption):
            await journal.tail(ADA, 4)

    run(main())


@pytest.mark.parametrize("claimed", [Head(7, "0" * 64), Head(6, "0" * 64)])
def test_a_stream_that_does_not_end_at_the_head_that_the_store_claims_is_refused(claimed: Head) -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        await write(journal, ADA, *HISTORY)
        store.events = ClaimedHead(journal, claimed)  # type: ignore[assignment]
        with pytest.raises(Corruption) as caught:
            await journal.load(ACCOUNT_FOLD, ADA)
        assert caught.value.details["seq"] == 6

    run(main())


def test_an_append_that_came_after_the_head_was_read_is_part_of_the_state() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        head = await write(journal, ADA, *HISTORY[:4])
        await write(journal, ADA, *HISTORY[4:])
        log = store.events
        told = [head]

        async def heads(streams: Sequence[str]) -> list[Head]:
            return [told.pop()] if told else await honest(streams)

        honest = log.heads
        log.heads = heads  # type: ignore[method-assign]
        assert (await journal.load(ACCOUNT_FOLD, ADA)).state.balance == 28
        assert told == []

    run(main())


def test_a_head_that_stays_before_the_end_is_damage() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        head = await write(journal, ADA, *HISTORY[:4])
        await write(journal, ADA, *HISTORY[4:])
        store.events = ClaimedHead(journal, head)  # type: ignore[assignment]
        with pytest.raises(InterlockError, match="event_corrupt"):
            await journal.load(ACCOUNT_FOLD, ADA)

    run(main())


def test_catching_up_reads_only_what_is_new() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        await write(journal, ADA, *HISTORY[:4])
        loaded = await journal.load(ACCOUNT_FOLD, ADA)
        await write(journal, ADA, *HISTORY[4:])
        counted = CountedEvents(store.events)
        store.events = counted
        assert (await journal.catch_up(ACCOUNT_FOLD, ADA, loaded)).state.balance == 28
        assert counted.events_read == 2

    run(main())


# The events of one command


@pytest.mark.unproved("it writes the events of a command without the runner, and so without its row", but=["sound"])
def test_the_records_of_a_command_are_found_by_their_place() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        await write(journal, ADA, *HISTORY[:2])
        mine = Authorship("local:ada", command_id="pay-1", command_digest="0" * 64, salt_key=bytes(32))
        [head] = await journal.store.events.heads([ADA])
        writer = StreamWriter(journal, ADA, head, NOW_MS, mine)
        await writer.append(HISTORY[2:4], NOW_MS)
        await write(journal, ADA, *HISTORY[4:])

        assert await journal.records(ADA, 3, 4, "pay-1") == list(HISTORY[2:4])
        for first, last, command_id in ((3, 4, "pay-2"), (2, 4, "pay-1"), (3, 5, "pay-1"), (7, 7, "pay-1")):
            with pytest.raises(Corruption) as caught:
                await journal.records(ADA, first, last, command_id)
            assert code_of(caught) == "event_corrupt"

    run(main())


# Fold snapshots


async def with_snapshot(journal: Journal, fold: Fold[Account], after: int) -> None:
    """Write the history with a fold snapshot of its first `after` events."""
    await write(journal, ADA, *HISTORY[:after])
    loaded = await journal.load(fold, ADA)
    writer = StreamWriter(journal, ADA, loaded.head, loaded.at_ms, AUTHOR)
    await writer.append(HISTORY[after:], NOW_MS + 5, rows=[journal.fold_row(fold, ADA, loaded)])


@pytest.mark.parametrize("after", range(1, 6))
def test_a_snapshot_and_the_events_after_it_equal_the_full_fold(after: int) -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        await with_snapshot(journal, ACCOUNT_FOLD, after)
        full = await journal.load(bare(), ADA)
        counted = CountedEvents(store.events)
        store.events = counted
        assert await journal.load(ACCOUNT_FOLD, ADA) == full
        assert counted.events_read == len(HISTORY) - after + 1  # and the event at the place of the snapshot

    run(main())


def bare() -> Fold[Account]:
    """The same fold without snapshots."""
    return Fold(ACCOUNT_FOLD.name, ACCOUNT_FOLD.version, ACCOUNT_FOLD.initial, ACCOUNT_FOLD.evolve)


def test_a_snapshot_of_another_fold_version_is_not_used() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        doubled = Fold(
            "account",
            2,
            lambda _: Account(),
            lambda state, _record, _place: Account(state.balance + 1000),
            save=ACCOUNT_FOLD.save,
            restore=ACCOUNT_FOLD.restore,
        )
        await with_snapshot(journal, doubled, 4)
        assert (await journal.load(ACCOUNT_FOLD, ADA)).state.balance == 28
        assert (await journal.load(doubled, ADA)).state.balance == 6000

    run(main())


def test_a_fold_that_cannot_be_saved_has_no_snapshot() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        await write(journal, ADA, *HISTORY)
        loaded = await journal.load(bare(), ADA)
        with pytest.raises(ValueError, match="account"):
            journal.fold_row(bare(), ADA, loaded)

    run(main())


@pytest.mark.unproved("it damages its store, to see the damage refused")
def test_p20_no_flipped_bit_of_a_snapshot_changes_what_is_loaded() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        await with_snapshot(journal, ACCOUNT_FOLD, 4)
        key = f"account:{ADA}"
        [row] = await store.index.get("default", FOLD_INDEX, [key])
        assert row is not None
        right = await journal.load(ACCOUNT_FOLD, ADA)
        refused = 0
        for place in range(len(row)):
            for bit in range(8):
                store._handle.data.index["default", FOLD_INDEX].put(key, flipped(row, place, bit))
                try:
                    found = await journal.load(ACCOUNT_FOLD, ADA)
                except Corruption:
                    refused += 1
                else:
                    assert found == right
        assert refused > 7 * len(row)

    run(main())


@pytest.mark.unproved("it damages its store, to see the damage refused")
def test_a_snapshot_of_another_state_is_refused_even_if_its_own_digest_fits() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        await write(journal, ADA, *HISTORY)
        state = b'{"balance":1000000,"events":4,"last_actor":"","last_ms":0,"name":""}'
        snapshot = FoldSnapshot(NOW_MS, "0" * 64, 4, msgspec.Raw(state), digest(state), 1)
        row = msgspec.json.encode(snapshot)
        store._handle.data.index["default", FOLD_INDEX].put(f"account:{ADA}", row)
        with pytest.raises(Corruption) as caught:
            await journal.load(ACCOUNT_FOLD, ADA)
        assert code_of(caught) == "event_corrupt"
        assert "fold snapshot" in caught.value.message

    run(main())


# Time


def test_recorded_time_stands_still_while_the_clock_runs_backwards() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        assert journal.now_ms() == NOW_MS
        assert journal.now_ms(NOW_MS + 9) == NOW_MS + 9
        assert journal.now_ms(NOW_MS - 9) == NOW_MS

    run(main())


# The writer


@pytest.mark.unproved("it appends a row and an artifact that no event of it names")
def test_a_writer_appends_at_its_own_head_with_what_the_events_need() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        writer = StreamWriter(journal, ADA, EMPTY, 0, AUTHOR)
        blob = Blob(digest(b"scan"), "file", b"scan")
        await writer.append(HISTORY[:1], NOW_MS, [blob], [IndexRow("open", "1", b"x")])
        appended = await writer.append(HISTORY[1:3], NOW_MS + 5)

        assert (appended.partition, appended.position) == ("default", 3)
        assert await store.events.heads([ADA]) == [writer.head]
        assert (writer.head.seq, writer.at_ms) == (3, NOW_MS + 5)
        assert await store.artifacts.get([blob.id]) == [b"scan"]
        assert await store.index.get("default", "open", ["1"]) == [b"x"]
        assert [event.envelope.at_ms for event in await recorded(journal, ADA)] == [NOW_MS, NOW_MS + 5, NOW_MS + 5]

    run(main())


def test_a_writer_whose_stream_was_taken_can_append_no_more_and_keeps_its_head() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        writer = StreamWriter(journal, ADA, EMPTY, 0, AUTHOR)
        await writer.append(HISTORY[:1], NOW_MS)
        before = writer.head
        await write(journal, ADA, Deposited(5))
        for _ in range(2):
            with pytest.raises(Conflict) as caught:
                await writer.append(HISTORY[1:2], NOW_MS)
            assert caught.value.code == "head_moved"
        assert (writer.head, writer.at_ms) == (before, NOW_MS)
        assert await records(journal, ADA) == [HISTORY[0], Deposited(5)]

    run(main())


def test_a_refused_append_is_raised_and_leaves_nothing() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        await write(journal, ADA, *HISTORY)
        [stored] = await journal.store.events.read(ADA, 0, 1)
        again = StreamAppend(ADA, "default", EMPTY, [stored], Head(1, stored.digest))
        with pytest.raises(Conflict):
            await journal.commit(Append([again]))
        assert await records(journal, ADA) == list(HISTORY)

    run(main())
