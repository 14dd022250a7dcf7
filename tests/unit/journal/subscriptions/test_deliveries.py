"""What a subscription delivers, when, and what a failing sink holds back."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.journal.errors import SINK_GONE
from interlock.journal.subscriptions import Delivery
from interlock.journal.subscriptions import events as e
from interlock.journal.subscriptions import follower as following
from interlock.journal.subscriptions.decide import DECIDER, Remove
from interlock.journal.subscriptions.progress import Lane, ProgressTable, table_of
from interlock.journal.subscriptions.views import SubscriptionRow
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import over_seeds, run
from tests.unit.journal.bank import damage, flipped
from tests.unit.journal.subscriptions.outside import (
    ADA,
    REFUSED,
    STREAM,
    Dropped,
    Noted,
    Outside,
    Process,
    Target,
    in_order,
)


async def refused(work: Coroutine[Any, Any, object]) -> str:
    with pytest.raises(InterlockError) as caught:
        await work
    return caught.value.code


# What is delivered


@over_seeds(5)
async def test_what_comes_after_a_subscription_is_delivered_in_order_and_once() -> None:
    one = Process(MemoryStore(), outside := Outside())
    await one.notes("aab")
    await one.add()
    await one.notes("abcab")

    assert await one.deliver() == (5, 0, 0)
    assert sorted(outside.keys) == ["a#3", "a#4", "b#2", "b#3", "c#1"]
    assert in_order(outside.keys)
    assert await one.deliver() == (0, 0, 0)
    assert (await one.progress()).lanes == {}
    assert (outside.closed, outside.targets) == (3, [(Target(), True)] * 3)
    assert await one.findings() == []


def test_a_delivery_carries_the_event_as_it_is_stored() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())
        await one.add(start="beginning")
        await one.note("a", Noted("one"), Dropped("two"))
        await one.deliver()

        first, second = outside.got
        assert first == Delivery(
            key="default/thing/a#1",
            subscription="audit",
            store=one.store.id,
            stream="default/thing/a",
            seq=1,
            type="toy.noted",
            version=1,
            at_ms=one.clock.now_ms(),
            actor="local:ada",
            correlation="c-a",
            digest=(await one.store.events.read("default/thing/a", 0, 1))[0].digest,
            attempt=1,
            redriven=False,
            data=msgspec.Raw(b'{"text":"one"}'),
        )
        assert (second.type, second.data) == ("toy.dropped", msgspec.Raw(b'{"text":"two"}'))

    run(main())


def test_a_subscription_begins_now_or_at_the_beginning_or_at_a_cursor() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())
        await one.notes("ab")
        await one.add()
        cursor = (await one.subscriptions.standing("audit", principal=ADA)).cursor
        await one.notes("ab")
        await one.subscriptions.remove("audit", principal=ADA)

        await one.add("whole", start="beginning")
        await one.add("later", start=cursor)
        await one.add("now")
        done = await one.subscriptions.deliver_once()

        assert {name: each.delivered for name, each in done.items()} == {"whole": 4, "later": 2, "now": 0}
        assert await refused(one.add("wrong", start="yesterday")) == "cursor_invalid"
        other = Process(MemoryStore(), outside)
        assert await refused(other.add("foreign", start=cursor)) == "cursor_foreign"
        assert await one.findings() == []

    run(main())


def test_the_filter_leaves_out_types_and_kinds_and_the_tenant_is_the_principals() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())
        await one.add(types=["toy.dropped"], kinds=["thing"])
        await one.note("a", Noted("1"), Dropped("2"), Noted("3"), Dropped("4"))
        await one.note("a", Dropped("other"), kind="matter")
        await one.note("a", Dropped("other"), tenant="elsewhere")

        assert await one.deliver() == (2, 0, 0)
        assert outside.keys == ["a#2", "a#4"]

    run(main())


def test_events_of_subscriptions_are_delivered_to_none() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())
        await one.add(start="beginning")
        await one.add("second")
        await one.subscriptions.pause("second", "for the test", principal=ADA)

        assert await one.deliver() == (0, 0, 0)
        assert outside.asked == []

    run(main())


def test_data_that_was_erased_is_delivered_as_nothing() -> None:
    async def main() -> None:
        one = Process(store := MemoryStore(), outside := Outside())
        await one.add()
        await one.note("a", Noted("private"))
        damage(store, "default/thing/a", 1, data=None, salt=b"")
        await one.deliver()

        assert [each.data for each in outside.got] == [None]

    run(main())


@pytest.mark.parametrize("events", [1, 99, 100, 101, 350])
def test_a_long_stream_is_delivered_page_by_page_with_few_writes(events: int) -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())
        await one.add()
        await one.note("a", *(Noted(str(n)) for n in range(events)))

        assert await one.deliver() == (events, 0, 0)
        assert outside.keys == [f"a#{seq}" for seq in range(1, events + 1)]
        assert (await one.progress()).revision <= 2 + -(-events // following.PAGE_EVENTS)

    run(main())


# What fails


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


# Orders


def test_a_paused_subscription_is_not_delivered_and_goes_on_where_it_stood() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())
        await one.add()
        await one.notes("a")
        await one.deliver()
        assert await one.subscriptions.pause("audit", "for a while", principal=ADA)
        assert not await one.subscriptions.pause("audit", "for a while", principal=ADA)
        await one.notes("ab")
        assert await one.subscriptions.deliver_once() == {}
        assert (await one.subscriptions.standing("audit", principal=ADA)).behind == 3
        assert await one.subscriptions.resume("audit", principal=ADA)
        assert not await one.subscriptions.resume("audit", principal=ADA)
        assert await one.deliver() == (2, 0, 0)
        assert outside.keys == ["a#1", "a#2", "b#1"]

    run(main())


def test_a_pause_ends_a_delivery_that_is_under_way_and_it_is_made_again() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())
        ended = []

        async def slow(delivery: Delivery) -> None:
            try:
                await asyncio.sleep(20)
            except asyncio.CancelledError:
                ended.append(delivery.key)
                raise

        outside.behaviour = slow
        await one.add()
        await one.notes("a")
        serving = asyncio.create_task(one.subscriptions.serve())
        await asyncio.sleep(5)
        await one.subscriptions.pause("audit", "for the test", principal=ADA)
        await asyncio.sleep(5)
        assert (ended, outside.keys) == (["default/thing/a#1"], [])
        assert await one.store.activations.holder("default/subscription/audit", one.clock.now_ms()) is None
        await one.subscriptions.resume("audit", principal=ADA)
        await asyncio.sleep(25)
        assert outside.keys == ["a#1"]
        assert [each.attempt for each in outside.asked] == [1, 1]
        serving.cancel()
        await asyncio.wait([serving])
        assert await one.findings() == []

    run(main())


def test_a_removed_subscription_leaves_nothing_and_its_name_begins_anew() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())
        await one.add()
        outside.refusing("a#1")
        await one.notes("ab")
        await one.deliver()
        assert await one.subscriptions.remove("audit", principal=ADA)
        assert not await one.subscriptions.remove("audit", principal=ADA)
        assert (await one.progress()).revision == 0
        assert await one.subscriptions.deliver_once() == {}
        assert await one.views.row("default", "subscriptions", "audit") is None
        for work in (
            one.subscriptions.pause("audit", "x", principal=ADA),
            one.subscriptions.resume("audit", principal=ADA),
            one.subscriptions.redrive("audit", principal=ADA),
            one.subscriptions.standing("audit", principal=ADA),
            one.subscriptions.look("audit", lambda state: state.sink, principal=ADA),
        ):
            assert await refused(work) == "subscription_not_found"

        outside.refusing()
        assert await one.add()
        await one.notes("a")
        assert await one.deliver() == (1, 0, 0)
        assert outside.keys == ["b#1", "a#2"]
        assert await one.findings() == []

    run(main())


def test_a_removal_that_was_interrupted_is_finished_by_the_next() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), Outside())
        await one.add()
        await one.notes("a")
        await one.deliver()
        await one.runner.execute(DECIDER, Remove(STREAM), ADA)
        assert (await one.progress()).revision > 0
        assert not await one.subscriptions.remove("audit", principal=ADA)
        assert (await one.progress()).revision == 0

    run(main())


def test_a_sink_that_is_gone_ends_the_turn_even_if_it_is_resumed_at_once() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())

        async def gone(_delivery: Delivery) -> None:
            raise SINK_GONE.error("no more")

        outside.behaviour = gone
        await one.add()
        await one.note("a")
        look = one.runner.look

        async def resumed_first(*arguments: Any) -> Any:
            await one.subscriptions.resume("audit", principal=ADA)
            return await look(*arguments)

        one.runner.look = resumed_first  # type: ignore[method-assign,assignment]
        turn = await one.subscriptions._deliver(STREAM, until_idle=False)
        assert turn is not None
        assert (turn.failed, len(outside.asked)) == (1, 1)

    run(main())


def test_what_no_sink_can_take_is_refused_before_anything_is_recorded() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), Outside())

        assert await refused(one.add(sink="nowhere")) == "sink_unknown"
        assert await refused(one.add(target={"planet": "mars"})) == "sink_target_invalid"
        assert await refused(one.add(target={"place": 1})) == "sink_target_invalid"
        assert await refused(one.add("Audit")) == "subscription_invalid"
        assert await refused(one.add(types=["x"])) == "subscription_invalid"
        assert await one.store.events.position("default") == 0
        assert await one.add()
        assert await refused(one.add(target={"place": "there"})) == "subscription_exists"

    run(main())


def test_two_sinks_of_one_name_are_a_fault_of_the_program() -> None:
    from interlock.base.part import SinkFactory
    from interlock.journal.subscriptions import Subscriptions, SubscriptionSettings

    async def main() -> None:
        one = Process(MemoryStore(), Outside())
        twice = [SinkFactory("toy", Target, lambda *_: Outside(), "One.", "{}") for _ in range(2)]
        with pytest.raises(ValueError, match="declared twice: sink toy"):
            Subscriptions(one.journal, one.runner, SubscriptionSettings(), twice, one)  # type: ignore[arg-type]

    run(main())
