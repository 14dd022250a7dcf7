"""The chain under any history and any damage: what is read is what was written, or it is refused."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from interlock.base.canonical import canonical
from interlock.base.errors import Corruption
from interlock.journal.chain import Authorship, ChainReader, event_digest, seal
from interlock.journal.ports import EMPTY, StoredEvent
from interlock.journal.views import Views
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import run
from tests.unit.journal.bank import (
    ACCOUNT_FOLD,
    ADA,
    BALANCES,
    CATALOGUE,
    DEPOSIT,
    NOW_MS,
    Closed,
    Declined,
    Deposit,
    Deposited,
    Named,
    Noted,
    Withdrawn,
    account,
    damage,
    flipped,
    open_journal,
    open_runner,
    records,
    write,
)

A, B = account("a"), account("b")
AMOUNT = st.integers(1 - 2**53, 2**53 - 1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
# Larger floats are written with all their digits, which reads as an integer out of range.
FLOAT = st.floats(-(2.0**52), 2.0**52)
FREE = st.recursive(
    st.none() | st.booleans() | AMOUNT | FLOAT | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
RECORD = st.one_of(
    st.builds(Deposited, AMOUNT),
    st.builds(Withdrawn, AMOUNT),
    st.builds(Declined, AMOUNT),
    st.builds(Named, TEXT),
    st.builds(Noted, TEXT),
    st.builds(lambda value: Closed(Raw(canonical(value))), FREE),
)
RECORDS = st.lists(RECORD, min_size=1, max_size=8)
AUTHOR = st.builds(
    Authorship,
    actor=TEXT,
    correlation=st.none() | TEXT,
    causation=st.none() | TEXT,
    command_id=st.none() | TEXT,
    salt_key=st.binary(min_size=32, max_size=32),
)


def sealed(given_records: list[Struct], cuts: set[int], author: Authorship) -> list[StoredEvent]:
    """Seal records in several appends, a new one beginning at each cut."""
    events: list[StoredEvent] = []
    head = EMPTY
    starts = sorted({0, *(cut for cut in cuts if cut < len(given_records))})
    for start, end in zip(starts, [*starts[1:], len(given_records)], strict=True):
        append = seal(CATALOGUE, A, head, given_records[start:end], NOW_MS, author).append
        events += append.events
        head = append.head
    return events


@given(RECORDS, st.sets(st.integers(1, 7)), AUTHOR)
def test_what_was_sealed_is_read_however_it_was_cut_into_appends(
    given_records: list[Struct], cuts: set[int], author: Authorship
) -> None:
    events = sealed(given_records, cuts, author)

    assert events == sealed(given_records, set(), author)
    assert [event.record for event in ChainReader(CATALOGUE, A).take(events)] == given_records


@given(RECORDS, AUTHOR)
def test_everything_that_is_hashed_is_canonical(given_records: list[Struct], author: Authorship) -> None:
    for event in sealed(given_records, set(), author):
        assert event.data is not None
        members = msgspec.json.decode(event.envelope, type=dict[str, Any])
        assert canonical(members) == event.envelope
        assert canonical(msgspec.json.decode(event.data)) == event.data
        assert members["data_digest"] == hashlib.sha256(event.salt + event.data).hexdigest()


@given(RECORDS, st.data())
def test_p20_any_flipped_bit_of_any_event_is_refused_at_that_event(
    given_records: list[Struct], data: st.DataObject
) -> None:
    events = sealed(given_records, set(), Authorship("local:ada", salt_key=bytes(32)))
    index = data.draw(st.integers(0, len(events) - 1))
    event = events[index]
    member = data.draw(st.sampled_from(["envelope", "data"] + (["salt"] if event.salt else [])))
    content: bytes = getattr(event, member)
    place = data.draw(st.integers(0, len(content) - 1))
    bit = data.draw(st.integers(0, 7))
    events[index] = msgspec.structs.replace(event, **{member: flipped(content, place, bit)})

    with pytest.raises(Corruption) as caught:
        ChainReader(CATALOGUE, A).take(events)
    assert caught.value.details["seq"] == event.seq


@given(RECORDS.filter(lambda found: len(found) > 1), st.data())
def test_any_other_order_of_the_events_is_refused(given_records: list[Struct], data: st.DataObject) -> None:
    events = sealed(given_records, set(), Authorship("local:ada", salt_key=bytes(32)))
    other = data.draw(st.permutations(events).filter(lambda order: order != events))

    with pytest.raises(Corruption):
        ChainReader(CATALOGUE, A).take(other)


@given(RECORDS, AUTHOR, AUTHOR)
def test_another_past_gives_every_later_event_another_digest(
    given_records: list[Struct], one: Authorship, other: Authorship
) -> None:
    first, again = sealed(given_records, set(), one), sealed(given_records, set(), other)
    same_author = msgspec.structs.replace(one, salt_key=b"") == msgspec.structs.replace(other, salt_key=b"")

    if not same_author:
        assert {event.digest for event in first}.isdisjoint(event.digest for event in again)


# Damage in a store, seen from every way in


@pytest.mark.unproved("it flips bits of its store, to see them found")
@given(st.sampled_from(["envelope", "data", "salt"]), st.integers(0, 10_000), st.integers(0, 7), st.integers(1, 4))
def test_p20_no_flipped_bit_in_a_store_gives_another_successful_result(
    member: str, place: int, bit: int, seq: int
) -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        runner = open_runner(journal)
        await write(journal, A, Deposited(70), Noted("seven"))
        await runner.execute(DEPOSIT, Deposit(A, 5), ADA, "d-1")
        await write(journal, A, Withdrawn(1))
        await write(journal, B, Deposited(1))
        [event] = await store.events.read(A, seq - 1, 1)
        content: bytes = getattr(event, member)
        if not content:
            return
        damage(store, A, seq, **{member: flipped(content, place % len(content), bit)})

        for reading in (
            records(journal, A),
            journal.load(ACCOUNT_FOLD, A),
            open_runner(journal).execute(DEPOSIT, Deposit(A, 1), ADA),
        ):
            with pytest.raises(Corruption):
                await reading
        assert await store.events.position("default") == 5
        if event.seq != 2 or member == "envelope":  # data of a type that the view does not take is not looked at
            with pytest.raises(Corruption):
                await Views(journal, [BALANCES]).row("default", "balances", A)
        try:
            answer = await open_runner(journal).execute(DEPOSIT, Deposit(A, 5), ADA, "d-1")
        except Corruption:
            assert seq in {2, 3}
        else:
            assert answer == {A: 5}
        assert (await journal.load(ACCOUNT_FOLD, B)).state.balance == 1

    run(main())


@pytest.mark.unproved("it forges an event, to see it refused")
def test_a_forged_event_is_refused_by_the_head_of_its_stream() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        await write(journal, A, Deposited(70))
        [head] = await store.events.heads([A])
        [event] = await store.events.read(A, 0, 1)
        envelope = event.envelope.replace(b"local:ada", b"local:eve")
        damage(store, A, 1, envelope=envelope, digest=event_digest(envelope))

        class Kept:
            """A store keeps heads beside the events; the forger did not find them."""

            def __getattr__(self, name: str) -> Any:
                return getattr(log, name)

            async def heads(self, _streams: object) -> list[Any]:
                return [head]

        log = store.events
        store.events = Kept()
        with pytest.raises(Corruption):
            await journal.load(ACCOUNT_FOLD, A)

    run(main())
