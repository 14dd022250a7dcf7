"""Examining a store: one damage is one finding that names it, in streams and feed."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import Authorship, event_digest, seal
from interlock.journal.errors import STORE_CORRUPT
from interlock.journal.ports import EMPTY, Append, Head, StoredEvent
from interlock.journal.verify import report, verify
from interlock.journal.views import Views
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import over_seeds, run
from tests.unit.journal.bank import (
    ADA,
    BALANCES,
    CATALOGUE,
    DEPOSIT,
    EVENTS,
    NOW_MS,
    CountedEvents,
    Deposit,
    Deposited,
    damage,
    flipped,
    open_journal,
    open_runner,
    write,
)
from tests.unit.journal.vault import (
    NODES,
    A,
    B,
    C,
    examined,
    filled,
    findings,
    named,
    remove,
)

pytestmark = pytest.mark.unproved("every test damages its store, to see the damage named")

ID = "a" * 64


class Changed:
    """An event log of which some methods answer otherwise."""

    def __init__(self, log: Any, **methods: Any) -> None:
        self._log = log
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        return self._methods.get(name) or getattr(self._log, name)


# Sound stores


def test_a_sound_store_has_no_finding_and_everything_was_looked_at() -> None:
    async def main() -> None:
        _, journal = await filled()
        found = await examined(journal)
        assert found.findings == []
        assert found.complete
        assert found.counts == {
            "partitions": 1,
            "streams": 3,
            "events": 10,
            "artifacts": 3 + 1 + len(NODES) + 1,
            "index_rows": 3,
            "fold_snapshots": 1,
            "view_rows": 3,
            "not_judged": 0,
            "unsettled": 0,
        }

    run(main())


def test_a_store_that_holds_nothing_is_sound() -> None:
    async def main() -> None:
        found = await examined(open_journal(MemoryStore()))
        assert (found.findings, found.counts["events"]) == ([], 0)

    run(main())


def test_progress_is_told_and_ends_when_all_is_done() -> None:
    told: list[tuple[str, int, int | None]] = []

    async def main() -> None:
        _, journal = await filled()
        await verify(journal, (), [BALANCES], lambda *step: told.append(step))

    run(main())
    for what in ("events", "feed", "index", "view balances@1"):
        steps = [(done, total) for each, done, total in told if each == what]
        assert steps == sorted(steps)
        assert steps[-1] == (10, 10)
    assert ("artifacts", 5 + len(NODES), None) in told


def test_erased_data_is_no_damage() -> None:
    async def main() -> None:
        store, journal = await filled()
        damage(store, A, 4, data=None, salt=b"")
        assert await findings(journal) == []

    run(main())


class Pausing:
    """A port that lets others run before it answers, as one does that waits for a disk."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        async def paused(*arguments: Any) -> Any:
            await asyncio.sleep(0)
            return await getattr(self._port, name)(*arguments)

        return paused


@over_seeds(40)
async def test_a_store_may_be_in_use_while_it_is_examined() -> None:
    store, journal = await filled()
    other = open_journal(store.reopen())
    for port in ("events", "artifacts", "index", "views"):
        setattr(store, port, Pausing(getattr(store, port)))

    async def work() -> None:
        runner = open_runner(other)
        for number in range(12):
            await runner.execute(DEPOSIT, Deposit(A if number % 2 else C, 1), ADA, f"w-{number}")
            await Views(other, [BALANCES]).catch_up("default", "balances")

    found, _ = await asyncio.gather(examined(journal), work())

    assert found.findings == []


def test_the_cost_grows_with_the_store_and_not_faster() -> None:
    async def reads(streams: int, events: int) -> float:
        store = MemoryStore()
        journal = open_journal(store)
        for number in range(streams):
            await write(journal, f"default/account/s{number}", *(Deposited(1) for _ in range(events)))
        counted = CountedEvents(store.events)
        store.events = counted
        assert (await verify(journal)).findings == []
        return counted.events_read / (streams * events)

    async def main() -> None:
        assert await reads(1, 3_000) == await reads(30, 10) == await reads(3, 1_500) == 1

    run(main())


def test_what_is_no_damage_is_raised() -> None:
    async def main() -> None:
        store, journal = await filled()
        await store.close()
        with pytest.raises(InterlockError) as caught:
            await examined(journal)
        assert caught.value.code == "store_closed"

    run(main())


# Events


@pytest.mark.parametrize("member", ["envelope", "data", "salt"])
def test_p20_every_flipped_byte_of_an_event_is_one_finding_at_that_event(member: str) -> None:
    async def main() -> None:
        store, journal = await filled()
        for stream in (A, B, C):
            for event in await store.events.read(stream, 0, 100):
                content: bytes = getattr(event, member)
                for place in range(0, len(content), 13):
                    damage(store, stream, event.seq, **{member: flipped(content, place, place % 8)})
                    assert await findings(journal) == [("event_corrupt", f"{stream}#{event.seq}")]
                damage(store, stream, event.seq, **{member: content})
        assert await findings(journal) == []

    run(main())


@pytest.mark.parametrize(("stream", "seq"), [(A, 1), (A, 3), (A, 6), (C, 1)])
def test_a_damaged_digest_beside_an_event_is_a_finding_at_that_event(stream: str, seq: int) -> None:
    async def main() -> None:
        store, journal = await filled()
        damage(store, stream, seq, digest="0" * 64)
        assert await findings(journal) == [("event_corrupt", f"{stream}#{seq}")]

    run(main())


def test_several_damages_are_all_named() -> None:
    async def main() -> None:
        store, journal = await filled()
        for stream, seq in ((A, 2), (A, 3), (A, 5), (B, 1), (C, 1)):
            damage(store, stream, seq, data=b"{}")
        assert await findings(journal) == [
            ("event_corrupt", place) for place in (f"{A}#2", f"{A}#3", f"{A}#5", f"{B}#1", f"{C}#1")
        ]

    run(main())


def test_an_event_that_was_replaced_whole_shows_at_the_next_one() -> None:
    async def main() -> None:
        store, journal = await filled()
        [event] = await store.events.read(A, 1, 1)
        envelope = event.envelope.replace(b'"local:ada"', b'"local:eve"')
        damage(store, A, 2, envelope=envelope, digest=event_digest(envelope))
        assert await findings(journal) == [("event_corrupt", f"{A}#3")]

    run(main())


def test_a_last_event_that_was_replaced_whole_shows_at_the_head() -> None:
    async def main() -> None:
        store, journal = await filled()
        [event] = await store.events.read(C, 0, 1)
        envelope = event.envelope.replace(b'"local:ada"', b'"local:eve"')
        damage(store, C, 1, envelope=envelope, digest=event_digest(envelope))
        assert await findings(journal) == [("head_wrong", C)]

    run(main())


def test_a_missing_event_is_named_with_its_place_in_the_feed() -> None:
    async def main() -> None:
        store, journal = await filled()
        gone = remove(store, A, 3)
        expected = {("event_missing", f"{A}#3"), ("feed_hole", f"default@{gone.position}")}
        assert expected <= set(await findings(journal))

    run(main())


def test_a_lost_end_of_a_stream_is_named_by_what_its_head_says() -> None:
    async def main() -> None:
        store, journal = await filled()
        for seq in (6, 5):
            remove(store, A, seq)
        assert ("event_missing", f"{A}#5-6") in await findings(journal)

    run(main())


def test_a_head_that_lags_behind_its_stream_is_named() -> None:
    async def main() -> None:
        store, journal = await filled()
        [_, second, *_] = await store.events.read(A, 0, 10)
        head = Head(2, second.digest)
        store._handle.data.names["default"].put(A, head)
        log = store.events

        async def heads(_streams: list[str]) -> list[Head]:
            return [head]

        store.events = Changed(log, heads=heads)
        found = await examined(journal)
        assert named(found.findings) == [("head_wrong", A)]

    run(main())


def test_time_that_runs_backwards_is_named() -> None:
    async def main() -> None:
        store, journal = await filled()
        [head] = await store.events.heads([C])
        early = seal(CATALOGUE, C, head, [Deposited(1)], NOW_MS - 1, Authorship("local:ada"))
        await journal.commit(Append([early.append]))
        assert await findings(journal) == [("event_corrupt", f"{C}#2")]

    run(main())


def test_every_event_of_a_type_that_no_part_explains_is_named() -> None:
    async def main() -> None:
        _, journal = await filled()
        journal.catalogue = EventCatalogue(kind for kind in EVENTS if kind.name != "bank.noted")
        found = await examined(journal)
        assert named(found.findings) == [("event_type_unknown", f"{A}#4"), ("event_type_unknown", f"{B}#2")]
        assert found.counts["not_judged"] == 1  # an unknown event may have entailed a name

    run(main())


@pytest.mark.parametrize(
    ("stream", "finding"),
    [
        ("acme/account/x", ("partition_mixed", "acme/account/x")),
        ("default/account/%78", ("stream_invalid", "default/account/%78")),
    ],
)
def test_a_stream_that_cannot_stand_here_is_named(stream: str, finding: tuple[str, str]) -> None:
    async def main() -> None:
        _, journal = await filled()
        sealed = seal(CATALOGUE, stream, EMPTY, [Deposited(1)], NOW_MS, Authorship("local:ada"))
        await journal.commit(Append([msgspec.structs.replace(sealed.append, partition="default")]))
        assert finding in await findings(journal)

    run(main())


def test_a_stream_that_the_store_cannot_read_does_not_hide_the_others() -> None:
    async def main() -> None:
        store, journal = await filled()
        damage(store, C, 1, data=b"{}")
        log = store.events

        async def read(stream: str, after_seq: int, limit: int) -> list[StoredEvent]:
            if stream == B:
                raise STORE_CORRUPT.error("a page is malformed")
            return await log.read(stream, after_seq, limit)

        store.events = Changed(log, read=read)
        assert await findings(journal) == [("event_corrupt", f"{C}#1"), ("store_corrupt", B)]

    run(main())


def test_more_damage_than_anyone_reads_is_cut_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "FINDINGS_MAX", 2)

    async def main() -> None:
        store, journal = await filled()
        for seq in (1, 2, 3):
            damage(store, A, seq, data=b"{}")
        found = await examined(journal)
        assert len(found.findings) == 2
        assert not found.complete

    run(main())


# The feed


def test_two_events_that_changed_places_in_the_feed_are_named() -> None:
    async def main() -> None:
        store, journal = await filled()
        feed = store._handle.data.feeds["default"]
        one, two = feed[4], feed[6]
        feed[4] = msgspec.structs.replace(two, position=5)
        feed[6] = msgspec.structs.replace(one, position=7)
        places = ["default@5", "default@7", f"{one.stream}#{one.seq}", f"{two.stream}#{two.seq}"]
        assert {("feed_wrong", place) for place in places} <= set(await findings(journal))

    run(main())


def test_an_event_that_stands_in_the_feed_twice_is_named() -> None:
    async def main() -> None:
        store, journal = await filled()
        feed = store._handle.data.feeds["default"]
        lost, feed[6] = feed[6], msgspec.structs.replace(feed[4], position=7)
        assert {("feed_wrong", "default@7"), ("feed_wrong", f"{lost.stream}#{lost.seq}")} <= set(
            await findings(journal)
        )

    run(main())


def place(store: MemoryStore, event: StoredEvent, position: int) -> StoredEvent:
    """Let an event stand at another position, in its stream and in the feed."""
    data = store._handle.data
    moved = msgspec.structs.replace(event, position=position)
    data.streams[event.stream][event.seq - 1] = moved
    data.feeds["default"][position - 1] = moved
    return moved


def test_two_events_at_one_position_are_named() -> None:
    async def main() -> None:
        store, journal = await filled()
        feed = store._handle.data.feeds["default"]
        moved = msgspec.structs.replace(feed[6], position=6)
        feed[6] = store._handle.data.streams[moved.stream][moved.seq - 1] = moved
        assert ("feed_wrong", "default@6") in await findings(journal)

    run(main())


def test_a_stream_whose_events_stand_in_the_feed_in_another_order_is_named() -> None:
    async def main() -> None:
        store, journal = await filled()
        _, first, second = store._handle.data.streams[B]
        place(store, first, second.position)
        place(store, second, first.position)
        assert await findings(journal) == [("feed_wrong", f"{B}#3")]

    run(main())
