"""What a failing sink holds back, for how long, and what is given up."""

from __future__ import annotations

import asyncio

import pytest

from interlock.journal.errors import SINK_GONE
from interlock.journal.subscriptions import Delivery
from interlock.journal.subscriptions import events as e
from interlock.journal.subscriptions import follower as following
from interlock.journal.subscriptions.progress import Lane, ProgressTable, table_of
from interlock.journal.subscriptions.views import SubscriptionRow
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import over_seeds, run
from tests.unit.journal.bank import damage, flipped
from tests.unit.journal.subscriptions.outside import (
    ADA,
    REFUSED,
    STREAM,
    Outside,
    Process,
    in_order,
    refused,
)


@over_seeds(5)
async def test_a_failing_stream_holds_back_its_own_later_events_and_no_other() -> None:
    one = Process(MemoryStore(), outside := Outside())
    await one.add()
    outside.refusing("a#2")
    await one.notes("aabab")

    assert await one.deliver() == (3, 1, 0)
    assert sorted(outside.keys) == ["a#1", "b#1", "b#2"]
    await one.notes("ab")
    assert await one.deliver() == (1, 0, 0)
    [lane] = (await one.progress()).lanes.values()
    assert (lane.stream, lane.after, lane.goal, lane.attempts) == ("default/thing/a", 1, 4, 1)
    assert (lane.code, lane.message) == ("toy_refused", "not this one")
    assert await one.findings() == []

    outside.refusing()
    await asyncio.sleep(1)
    assert await one.deliver() == (3, 0, 0)
    assert outside.keys[-3:] == ["a#2", "a#3", "a#4"]
    assert [each.attempt for each in outside.got[-3:]] == [2, 1, 1]
    assert in_order(outside.keys)


def test_each_failure_doubles_the_wait_which_is_spread() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside(), backoff_max_ms=4_000)
        await one.add()
        outside.refusing("a#1")
        await one.note("a")
        waits = []
        for _ in range(5):
            await one.deliver()
            [lane] = (await one.progress()).lanes.values()
            waits.append(lane.due_ms - one.clock.now_ms())
            assert await one.deliver() == (0, 0, 0)
            await asyncio.sleep(waits[-1] / 1000)

        for wait, whole in zip(waits, [1_000, 2_000, 4_000, 4_000, 4_000], strict=True):
            assert whole / 2 <= wait <= whole
        assert len(set(waits)) == 5

    run(main())


def test_an_event_that_fails_too_often_is_a_dead_letter_and_its_stream_goes_on() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside(), attempts_max=3)
        await one.add()
        outside.refusing("a#1")
        await one.notes("aa")
        for _ in range(3):
            await one.deliver()
            await asyncio.sleep(60)

        assert outside.keys == ["a#2"]
        [letter] = await one.letters()
        assert (letter.key, letter.attempts, letter.code) == ("default/thing/a#1", 3, "toy_refused")
        assert (letter.message, letter.redriven) == ("not this one", False)
        assert (await one.progress()).lanes == {}
        assert [each.owner for each in await one.records(e.DeliveryDead)] == [one.store.owner]
        row = await one.views.row("default", "subscriptions", "audit")
        assert row == SubscriptionRow("audit", "active", "toy", (), (), 1, row.added_ms)
        assert await one.findings() == []

    run(main())


def test_dead_letters_that_are_redriven_arrive_in_order_or_die_again() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside(), attempts_max=1)
        await one.add()
        outside.refusing("a#1", "a#2", "b#1")
        await one.notes("aaabb")
        assert await one.deliver() == (2, 3, 3)
        assert sorted(outside.keys) == ["a#3", "b#2"]

        outside.refusing("b#1")
        assert await one.subscriptions.redrive("audit", principal=ADA) == 3
        assert await one.subscriptions.redrive("audit", principal=ADA) == 0
        assert await one.deliver() == (2, 1, 1)
        assert outside.keys[2:] == ["a#1", "a#2"]
        assert [each.redriven for each in outside.got] == [False, False, True, True]
        [left] = await one.letters()
        assert (left.key, left.redriven) == ("default/thing/b#1", False)
        assert (await one.views.row("default", "subscriptions", "audit")).dead == 1

        outside.refusing()
        assert await one.subscriptions.redrive("audit", ["default/thing/b#1"], principal=ADA) == 1
        assert await one.deliver() == (1, 0, 0)
        assert await one.letters() == []
        assert (await one.views.row("default", "subscriptions", "audit")).dead == 0
        assert await refused(one.subscriptions.redrive("audit", ["default/thing/b#1"], principal=ADA)) == (
            "letter_not_found"
        )
        assert await one.findings() == []

    run(main())


def test_a_redriven_letter_that_fails_waits_as_any_other_and_shows_where_it_stands() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside(), attempts_max=2, backoff_base_ms=100)
        await one.add()
        outside.refusing("a#1")
        await one.notes("a")
        await one.deliver()
        await asyncio.sleep(1)
        assert await one.deliver() == (0, 1, 1)
        await one.subscriptions.redrive("audit", principal=ADA)
        assert await one.deliver() == (0, 1, 0)
        [(key, lane)] = (await one.progress()).lanes.items()
        assert (key, lane.redriven, lane.attempts) == ("default/thing/a#1", True, 1)
        assert await one.findings() == []
        await asyncio.sleep(1)
        assert await one.deliver() == (0, 1, 1)
        assert (await one.progress()).lanes == {}

    run(main())


def test_a_letter_whose_redrive_came_to_nothing_before_a_crash_is_not_sent_again() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside(), attempts_max=1)
        await one.add()
        outside.refusing("a#1")
        await one.notes("a")
        await one.deliver()
        outside.refusing()
        table = ProgressTable(one.store, "default", table_of(STREAM, 1))
        cursor, _ = await table.open()
        assert cursor is not None
        left = Lane("default/thing/a", 0, 1, redriven=True)
        await table.save(cursor, {left.key: left})

        assert await one.deliver() == (0, 0, 0)
        assert (await one.progress()).lanes == {}

    run(main())


def test_with_as_many_streams_held_back_as_may_be_nothing_new_is_read() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside(), parked_max=2)
        await one.add()
        outside.refusing("a#1", "b#1")
        await one.notes("abcc")
        assert await one.deliver() == (0, 2, 0)
        assert sorted((await one.progress()).lanes) == ["default/thing/a", "default/thing/b"]
        assert outside.keys == []

        outside.refusing("a#1")
        await asyncio.sleep(1)
        assert await one.deliver() == (3, 1, 0)
        assert outside.keys == ["b#1", "c#1", "c#2"]

    run(main())


def test_a_sink_that_hangs_holds_its_stream_alone_and_ends_at_its_time() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside(), timeout_ms=10_000)

        async def hang(delivery: Delivery) -> None:
            if delivery.key == "default/thing/a#1":
                await asyncio.sleep(1_000_000)

        outside.behaviour = hang
        await one.add()
        serving = asyncio.create_task(one.subscriptions.serve())
        await one.notes("a")
        await asyncio.sleep(2)
        for turn in range(1, 4):
            await one.notes("ab")
            await asyncio.sleep(1)
            assert outside.keys == [f"b#{seq}" for seq in range(1, turn + 1)]
        await asyncio.sleep(8)
        [lane] = (await one.progress()).lanes.values()
        assert (lane.stream, lane.code, lane.after, lane.goal) == ("default/thing/a", "delivery_timeout", 0, 4)
        outside.refusing()
        await asyncio.sleep(20)
        assert outside.keys[-4:] == ["a#1", "a#2", "a#3", "a#4"]
        serving.cancel()
        await asyncio.wait([serving])

    run(main())


def test_a_sink_that_asks_for_time_is_asked_nothing_until_then() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())

        async def busy(_delivery: Delivery) -> None:
            raise REFUSED.error("later", retry_after_ms=60_000)

        outside.behaviour = busy
        await one.add()
        await one.notes("aa")
        serving = asyncio.create_task(one.subscriptions.serve())
        await asyncio.sleep(1)
        await one.notes("bc")
        await asyncio.sleep(50)
        assert len(outside.asked) == 1
        outside.refusing()
        await asyncio.sleep(15)
        assert sorted(outside.keys) == ["a#1", "a#2", "b#1", "c#1"]
        serving.cancel()
        await asyncio.wait([serving])

    run(main())


def test_the_time_for_which_a_sink_asked_holds_for_the_next_process_too() -> None:
    async def main() -> None:
        store = MemoryStore()
        one, outside = Process(store, asked := Outside()), Outside()

        async def busy(_delivery: Delivery) -> None:
            raise REFUSED.error("later", retry_after_ms=60_000)

        asked.behaviour = busy
        await one.add()
        await one.notes("a")
        await one.deliver()
        two = Process(store.reopen(), outside)
        await two.notes("b")
        assert await two.deliver() == (0, 0, 0)
        await asyncio.sleep(61)
        assert await two.deliver() == (2, 0, 0)

    run(main())


def test_a_sink_that_asks_for_years_is_asked_again_after_a_day() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())

        async def busy(_delivery: Delivery) -> None:
            raise REFUSED.error("later", retry_after_ms=10**12)

        outside.behaviour = busy
        await one.add()
        await one.notes("a")
        await one.deliver()
        await asyncio.sleep(following.HOLD_MS_MAX / 1_000 + 1)
        assert await one.deliver() == (0, 1, 0)

    run(main())


def test_a_sink_that_is_gone_pauses_its_subscription_which_goes_on_where_it_stood() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside(), concurrency=1)

        async def gone(_delivery: Delivery) -> None:
            raise SINK_GONE.error("no more")

        outside.behaviour = gone
        await one.add()
        await one.notes("abab")
        assert await one.deliver() == (0, 1, 0)
        assert await one.records(e.SubscriptionPaused) == [e.SubscriptionPaused("sink_gone", "no more")]
        assert await one.subscriptions.deliver_once() == {}
        assert (await one.views.row("default", "subscriptions", "audit")).state == "paused"

        outside.refusing()
        assert await one.subscriptions.resume("audit", principal=ADA)
        await asyncio.sleep(60)
        await one.deliver()
        assert sorted(outside.keys) == ["a#1", "a#2", "b#1", "b#2"]
        assert in_order(outside.keys)
        assert await one.findings() == []

    run(main())


def test_a_sink_with_a_fault_of_its_own_fails_that_delivery(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())

        async def faulty(_delivery: Delivery) -> None:
            raise ZeroDivisionError

        outside.behaviour = faulty
        await one.add()
        await one.notes("a")
        assert await one.deliver() == (0, 1, 0)
        [lane] = (await one.progress()).lanes.values()
        assert (lane.code, lane.message) == ("sink_failed", "the sink ended with ZeroDivisionError")

    run(main())
    assert "is at fault" in caplog.text


@pytest.mark.unproved("an event is damaged, to see that it is not delivered")
@pytest.mark.parametrize("what", ["data", "envelope", "digest"])
def test_a_damaged_event_is_never_delivered_and_its_stream_alone_suffers(what: str) -> None:
    async def main() -> None:
        one = Process(store := MemoryStore(), outside := Outside(), attempts_max=2)
        await one.add()
        await one.notes("aaab")
        [event] = await store.events.read("default/thing/a", 1, 1)
        content = getattr(event, what)
        damage(store, "default/thing/a", 2, **{what: content[:-1] if what == "digest" else flipped(content, 9)})

        assert await one.deliver() == (2, 1, 0)
        assert sorted(outside.keys) == ["a#1", "b#1"]
        await asyncio.sleep(10)
        await one.deliver()
        [letter, *_] = await one.letters()
        assert (letter.key, letter.code, letter.attempts) == ("default/thing/a#2", "event_corrupt", 2)
        assert "a#2" not in outside.keys

    run(main())


@pytest.mark.unproved("the end of a stream is lost, to see what becomes of it")
def test_a_stream_whose_end_is_lost_is_held_back() -> None:
    async def main() -> None:
        one = Process(store := MemoryStore(), outside := Outside())
        await one.add()
        outside.refusing("a#1")
        await one.notes("aa")
        await one.deliver()
        del store._handle.data.streams["default/thing/a"][0:]
        await asyncio.sleep(2)
        assert await one.deliver() == (0, 1, 0)
        [lane] = (await one.progress()).lanes.values()
        assert lane.code == "event_corrupt"

    run(main())


@pytest.mark.unproved("the feed has a hole, to see it named")
def test_a_hole_in_the_feed_ends_the_turn_and_is_told() -> None:
    async def main() -> None:
        one = Process(store := MemoryStore(), outside := Outside())
        await one.add()
        await one.notes("abc")
        del store._handle.data.feeds["default"][2]
        assert await refused(one.subscriptions.deliver_once()) == "feed_hole"
        assert outside.asked == []
        assert await store.activations.holder("default/subscription/audit", one.clock.now_ms()) is None

    run(main())
