"""The contract of `EventLog`: streams, the feed over them, and appends that are whole or not at all.

What it does: proves order, atomicity, conflicts, shapes and exact bytes through the port. What it does not
do: it kills no process; durability under a crash is proved by fault tests.

Rules: K4, a reader never sees a part of an append; positions are dense and in the order of commits.
"""

# ruff: noqa: S101, D102 - an assertion is what a test is for, and its name is its sentence

from __future__ import annotations

import asyncio

import msgspec

from interlock.base.bounds import EVENT_DATA_BYTES_MAX, EVENTS_PER_APPEND_MAX
from interlock.base.errors import Conflict, InterlockError
from interlock.base.events import IndexRow
from interlock.journal.ports import EMPTY, Append, Head, Store, StoredEvent, StreamAppend
from interlock.testing.contracts.harness import (
    Contract,
    append,
    appended,
    blob,
    code_of,
    content,
    event,
    grow,
    is_empty,
    is_invalid,
    on_store,
    onto,
    stream,
)

A, B, C = stream("a"), stream("b"), stream("c")
ELSEWHERE = stream("a", "elsewhere")

# Bytes that a store is tempted to read, decode, normalise or cut.
AWKWARD = (
    b"",
    b"\x00",
    b"before\x00after",
    b"\xff\xfe not UTF-8 \x80\xc0",
    b'{"u":"\\u0000"}',
    '{"ä":"\U0001f512","e\u0301":"\u00e9"}'.encode(),
    b'{"z":1,"a":2,"z":3}',
    b" { } \r\n",
    bytes(range(256)),
)


def changed(addition: StreamAppend, **members: object) -> StreamAppend:
    """A well-formed addition with some members replaced."""
    return msgspec.structs.replace(addition, **members)


class EventLogContract(Contract):
    """Proves an `EventLog`."""

    # Reading

    @on_store
    async def test_a_stream_that_was_never_written_is_empty(self, store: Store) -> None:
        assert await is_empty(store, A)
        assert await store.events.position("default") == 0

    @on_store
    async def test_an_appended_event_is_read_back_with_its_position(self, store: Store) -> None:
        addition = onto(EMPTY, A, b'{"n":1}')

        outcome = await append(store, addition)

        [stored] = await store.events.read(A, 0, 10)
        assert stored == msgspec.structs.replace(addition.events[0], position=1)
        assert (outcome.partition, outcome.position) == ("default", 1)
        assert await store.events.heads([A]) == [addition.head]

    @on_store
    async def test_heads_come_in_the_order_they_are_asked_for(self, store: Store) -> None:
        a, b = await grow(store, A, b"1", b"2"), await grow(store, B)

        assert await store.events.heads([B, C, A, B]) == [b, EMPTY, a, b]
        assert await store.events.heads([]) == []

    @on_store
    async def test_bytes_are_kept_exactly_as_they_were_given(self, store: Store) -> None:
        events = [
            StoredEvent(A, seq, f"{seq:064x}", b"envelope " + awkward, awkward, awkward)
            for seq, awkward in enumerate(AWKWARD, 1)
        ]
        await append(store, StreamAppend(A, "default", EMPTY, events, Head(len(events), events[-1].digest)))

        expected = [(each.envelope, each.data, each.salt) for each in events]
        for opened in (store, await self.again(store)):
            read = await opened.events.read(A, 0, 100)
            fed = await opened.events.feed("default", 0, 100)
            assert [(each.envelope, each.data, each.salt) for each in read] == expected
            assert read == fed

    @on_store
    async def test_the_largest_event_is_kept_whole(self, store: Store) -> None:
        large = b"x" * EVENT_DATA_BYTES_MAX

        await grow(store, A, large)

        assert await content(store, A) == [large]

    @on_store
    async def test_pages_of_a_stream_make_up_the_whole(self, store: Store) -> None:
        await grow(store, A, *(b"%d" % n for n in range(10)))
        await grow(store, B)
        whole = await store.events.read(A, 0, 100)

        pages = [await store.events.read(A, after, 4) for after in (0, 4, 8)]

        assert [each.seq for each in whole] == list(range(1, 11))
        assert [len(page) for page in pages] == [4, 4, 2]
        assert [each for page in pages for each in page] == whole
        assert await store.events.read(A, 10, 4) == []
        assert await store.events.read(A, 99, 4) == []

    @on_store
    async def test_pages_of_the_feed_make_up_the_whole(self, store: Store) -> None:
        for number in range(5):
            await grow(store, (A, B)[number % 2], b"1", b"2")
        whole = await store.events.feed("default", 0, 100)

        pages = [await store.events.feed("default", after, 4) for after in (0, 4, 8)]

        assert [each.position for each in whole] == list(range(1, 11))
        assert [each for page in pages for each in page] == whole
        assert await store.events.feed("default", 10, 4) == []

    @on_store
    async def test_streams_are_listed_with_their_heads_in_the_order_of_their_ids(self, store: Store) -> None:
        names = ["b", "a", "~", "A", "%C3%A4", "a.b", "a-b"]
        heads = {stream(name): await grow(store, stream(name)) for name in names}
        await grow(store, ELSEWHERE)
        listed = await store.events.streams("default", "", 100)

        pages = await store.events.streams("default", "", 3)
        pages += await store.events.streams("default", pages[-1][0], 100)

        assert listed == sorted(heads.items())
        assert pages == listed
        assert await store.events.streams("nowhere", "", 100) == []
        assert await store.events.partitions() == ["default", "elsewhere"]

    # Appending

    @on_store
    async def test_an_append_over_several_streams_is_one(self, store: Store) -> None:
        additions = [onto(EMPTY, B, b"1", b"2"), onto(EMPTY, C, b"3"), onto(EMPTY, A, b"4")]

        outcome = await append(store, *additions)

        feed = await store.events.feed("default", 0, 100)
        assert [(each.stream, each.seq) for each in feed] == [(A, 1), (B, 1), (B, 2), (C, 1)]
        assert outcome.position == 4
        assert await store.events.heads([B, C, A]) == [each.head for each in additions]

    @on_store
    async def test_one_stale_stream_stops_the_whole_append(self, store: Store) -> None:
        await grow(store, B)

        [outcome] = await store.events.append([Append([onto(EMPTY, A), onto(EMPTY, B), onto(EMPTY, C)])])

        assert code_of(outcome) == "head_moved"
        assert await is_empty(store, A)
        assert await is_empty(store, C)
        assert await store.events.position("default") == 1

    @on_store
    async def test_only_the_exact_head_is_appended_to(self, store: Store) -> None:
        first = await grow(store, A, b"1")
        second = await grow(store, A, b"2")
        stale = {
            "nothing": EMPTY,
            "an earlier event": first,
            "an event to come": Head(3, "f" * 64),
            "another event in the right place": Head(2, first.digest),
        }

        for name, expected in stale.items():
            [outcome] = await store.events.append([Append([onto(expected, A, b"stale")])])
            assert isinstance(outcome, Conflict), name
            assert outcome.code == "head_moved", name
        [outcome] = await store.events.append([Append([onto(first, C)])])
        assert code_of(outcome) == "head_moved"

        assert await store.events.heads([A, C]) == [second, EMPTY]
        assert await content(store, A) == [b"1", b"2"]
        assert await store.events.position("default") == 2

    @on_store
    async def test_a_conflict_in_a_batch_is_no_others(self, store: Store) -> None:
        await grow(store, B)
        batch = [onto(EMPTY, A), onto(EMPTY, B), changed(onto(EMPTY, A), events=()), onto(EMPTY, C)]

        outcomes = await store.events.append([Append([each]) for each in batch])

        assert appended(outcomes[0]).position == 2
        assert code_of(outcomes[1]) == "head_moved"
        assert is_invalid(outcomes[2])
        assert appended(outcomes[3]).position == 3
        assert await store.events.position("default") == 3

    @on_store
    async def test_appends_of_a_batch_follow_one_another(self, store: Store) -> None:
        first = onto(EMPTY, A, b"1")
        second, rival = onto(first.head, A, b"2"), onto(first.head, A, b"rival")

        outcomes = await store.events.append([Append([each]) for each in (first, second, rival)])

        assert [appended(each).position for each in outcomes[:2]] == [1, 2]
        assert code_of(outcomes[2]) == "head_moved"
        assert await content(store, A) == [b"1", b"2"]

    @on_store
    async def test_a_batch_of_nothing_has_no_outcome(self, store: Store) -> None:
        assert await store.events.append([]) == []

    @on_store
    async def test_an_append_that_is_refused_leaves_no_row_behind(self, store: Store) -> None:
        await grow(store, A)
        late = Append([onto(EMPTY, A)], [IndexRow("open", "key", b"1")], [blob(b"of a refused append")])

        [outcome] = await store.events.append([late])

        assert code_of(outcome) == "head_moved"
        assert await store.index.get("default", "open", ["key"]) == [None]

    # Shapes

    @on_store
    async def test_what_cannot_be_an_append_is_refused_and_changes_nothing(self, store: Store) -> None:
        good = onto(EMPTY, A, b"1", b"2", b"3")
        first, second, third = good.events
        malformed = {
            "no stream": Append([]),
            "no event": Append([changed(good, events=(), head=EMPTY)]),
            "no event in the second stream": Append([good, changed(onto(EMPTY, B), events=())]),
            "a gap": Append([changed(good, events=(first, third))]),
            "a start after the first": Append([changed(good, events=(second, third))]),
            "two events in one place": Append([changed(good, events=(first, second, second, third))]),
            "the wrong order": Append([changed(good, events=(second, first, third))]),
            "an event of another stream": Append([changed(good, events=(first, event(B, 2), third))]),
            "a head before the last event": Append([changed(good, head=Head(2, second.digest))]),
            "a head with another digest": Append([changed(good, head=Head(3, second.digest))]),
            "a stream twice": Append([good, good]),
            "a stream twice in a row": Append([onto(EMPTY, A), onto(onto(EMPTY, A).head, A)]),
        }

        for name, wrong in malformed.items():
            [outcome] = await store.events.append([wrong])
            assert is_invalid(outcome), name

        assert await is_empty(store, A)
        assert await is_empty(store, B)
        assert await store.events.position("default") == 0

    @on_store
    async def test_more_events_than_an_append_may_have_are_refused(self, store: Store) -> None:
        most = onto(EMPTY, A, *(b"{}" for _ in range(EVENTS_PER_APPEND_MAX)))

        [refused] = await store.events.append([Append([most, onto(EMPTY, B)])])
        [outcome] = await store.events.append([Append([most])])

        assert is_invalid(refused)
        assert appended(outcome).position == EVENTS_PER_APPEND_MAX

    # Partitions

    @on_store
    async def test_partitions_count_their_own_positions(self, store: Store) -> None:
        await grow(store, A, b"1", b"2")

        outcome = await append(store, onto(EMPTY, ELSEWHERE, b"3"))

        assert (outcome.partition, outcome.position) == ("elsewhere", 1)
        assert [each.position for each in await store.events.feed("elsewhere", 0, 10)] == [1]
        assert [each.position for each in await store.events.feed("default", 0, 10)] == [1, 2]
        positions = [await store.events.position(each) for each in ("default", "elsewhere", "nowhere")]
        assert positions == [2, 1, 0]

    @on_store
    async def test_an_append_over_two_partitions_is_refused(self, store: Store) -> None:
        [outcome] = await store.events.append([Append([onto(EMPTY, A), onto(EMPTY, ELSEWHERE)])])

        assert code_of(outcome) == "partition_mixed"
        assert await is_empty(store, A)
        assert await is_empty(store, ELSEWHERE)

    @on_store
    async def test_a_stream_never_changes_its_partition(self, store: Store) -> None:
        head = await grow(store, A, b"1")

        [outcome] = await store.events.append([Append([changed(onto(head, A), partition="elsewhere")])])

        assert code_of(outcome) == "partition_mixed"
        assert await content(store, A) == [b"1"]
        assert await store.events.position("elsewhere") == 0

    # Several at once

    @on_store
    async def test_of_many_writers_at_one_head_exactly_one_wins(self, store: Store) -> None:
        other = await self.again(store)
        head = EMPTY
        for turn in range(4):
            rivals = [onto(head, A, b"%d of %d" % (rival, turn)) for rival in range(8)]
            outcomes = await asyncio.gather(
                *((store, other)[n % 2].events.append([Append([rival])]) for n, rival in enumerate(rivals))
            )

            won = [rivals[n] for n, [each] in enumerate(outcomes) if not isinstance(each, InterlockError)]
            lost = {code_of(each) for [each] in outcomes if isinstance(each, InterlockError)}
            assert (len(won), lost) == (1, {"head_moved"})
            head = won[0].head
            assert await store.events.heads([A]) == [head]

    @on_store
    async def test_writers_of_different_streams_all_win_and_leave_no_hole(self, store: Store) -> None:
        other = await self.again(store)

        await asyncio.gather(*(grow((store, other)[n % 2], stream(f"s{n}"), b"1", b"2", b"3") for n in range(12)))

        feed = await store.events.feed("default", 0, 100)
        assert [each.position for each in feed] == list(range(1, 37))
        runs = [feed[n : n + 3] for n in range(0, 36, 3)]
        assert all(len({each.stream for each in three}) == 1 for three in runs)
        assert all([each.seq for each in three] == [1, 2, 3] for three in runs)

    @on_store
    async def test_the_order_of_positions_is_the_order_of_commits(self, store: Store) -> None:
        other = await self.again(store)
        seen = []

        for number in range(6):
            await grow((store, other)[number % 2], stream(f"s{number}"))
            seen.append(await other.events.position("default"))

        feed = await store.events.feed("default", 0, 100)
        assert seen == [1, 2, 3, 4, 5, 6]
        assert [each.stream for each in feed] == [stream(f"s{number}") for number in range(6)]

    @on_store
    async def test_a_reader_beside_a_writer_sees_only_whole_appends(self, store: Store) -> None:
        other = await self.again(store)
        writing = asyncio.create_task(write_pairs(store, appends=10))
        looks = 0
        while not writing.done() or looks < 10:
            looks += 1
            for opened in (store, other):
                feed = await opened.events.feed("default", 0, 1_000)
                read = await opened.events.read(A, 0, 1_000)
                [head] = await opened.events.heads([A])
                assert [each.position for each in feed] == list(range(1, len(feed) + 1))
                assert (len(feed) % 5, len(read) % 2, head.seq % 2) == (0, 0, 0)
            await asyncio.sleep(0)
        await writing
        assert await store.events.position("default") == 50

    @on_store
    async def test_another_process_reads_what_was_appended(self, store: Store) -> None:
        await grow(store, A, b"1", b"2")
        other = await self.again(store)

        head = await grow(other, A, b"3")

        assert await store.events.heads([A]) == [head]
        assert await content(store, A) == [b"1", b"2", b"3"]
        assert await store.events.feed("default", 0, 10) == await other.events.feed("default", 0, 10)


async def write_pairs(store: Store, appends: int) -> None:
    """Append two events to one stream and three to another, again and again."""
    a = b = EMPTY
    for _ in range(appends):
        both = onto(a, A, b"1", b"2"), onto(b, B, b"1", b"2", b"3")
        await append(store, *both)
        a, b = both[0].head, both[1].head
