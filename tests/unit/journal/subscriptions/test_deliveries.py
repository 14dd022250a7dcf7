"""What a subscription delivers: which events, from where on, and in which form."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from interlock.base.part import EventForm, Telling
from interlock.journal.errors import EVENT_CORRUPT, SUBSCRIPTION_INVALID
from interlock.journal.subscriptions import Delivery
from interlock.journal.subscriptions import follower as following
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import over_seeds, run
from tests.unit.journal.bank import damage
from tests.unit.journal.subscriptions.outside import (
    ADA,
    Dropped,
    Noted,
    Outside,
    Process,
    Target,
    in_order,
    refused,
)


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


def test_what_a_part_tells_of_an_event_is_delivered_to_its_audience_alone() -> None:
    async def tell(_services: object, stream: str, record: Any, audience: tuple[str, ...]) -> Telling | None:
        told = Telling(b'{"told":"%s"}' % record.text.encode())
        return told if not audience or stream[-1] in audience else None

    async def main() -> None:
        forms = [EventForm("toy.noted", tell, addressed=True)]
        one = Process(MemoryStore(), outside := Outside(), forms=forms)
        for thing in "ab":
            await one.note(thing, Noted("it"), Dropped("that"))
        await one.add(audience=["a", "c"], start="beginning")
        assert await one.deliver() == (1, 0, 0)
        assert [(each.key[-3:], each.data) for each in outside.got] == [("a#1", msgspec.Raw(b'{"told":"it"}'))]
        await one.add("everybody", start="beginning")
        await one.subscriptions.deliver_once()
        assert [bytes(each.data or b"") for each in outside.got[1:]] == [b'{"told":"it"}', b'{"text":"that"}'] * 2

    run(main())


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (EVENT_CORRUPT.error("nothing can be told of it"), "event_corrupt"),
        (KeyError("anything"), "sink_failed"),
        (None, "delivery_timeout"),
    ],
)
def test_a_failure_to_tell_holds_back_its_stream_alone_and_is_tried_again(fault: Any, code: str) -> None:
    failing = ["c"]

    async def tell(_services: object, stream: str, _record: Any, _audience: tuple[str, ...]) -> Telling:
        if stream[-1] in failing:
            if fault is None:
                await asyncio.sleep(3_600)
            raise fault
        return Telling(b"{}")

    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside(), forms=[EventForm("toy.noted", tell)])
        await one.add(start="beginning")
        for thing in "abc":
            await one.note(thing, Noted("it"))
        assert await one.deliver() == (2, 1, 0)
        assert [lane.code for lane in (await one.progress()).lanes.values()] == [code]
        failing.clear()
        await asyncio.sleep(2)
        assert await one.deliver() == (1, 0, 0)
        assert outside.keys[-1][-3:] == "c#1"

    run(main())


def test_what_a_sink_can_never_take_is_a_dead_letter_at_once() -> None:
    async def main() -> None:
        outside = Outside()

        async def refuse(_delivery: Delivery) -> None:
            raise SUBSCRIPTION_INVALID.error("too large, for ever")

        outside.behaviour = refuse
        one = Process(MemoryStore(), outside)
        await one.add(start="beginning")
        await one.note("a", Noted("it"))
        assert await one.deliver() == (0, 1, 1)

    run(main())
