"""What people order of a subscription: pause, resume, redrive, remove, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock.journal.errors import SINK_GONE
from interlock.journal.subscriptions import Delivery
from interlock.journal.subscriptions.decide import DECIDER, Remove
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import run
from tests.unit.journal.subscriptions.outside import (
    ADA,
    STREAM,
    Outside,
    Process,
    Target,
    refused,
)


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
            Subscriptions(one.journal, one.runner, SubscriptionSettings(), twice, (), one)  # type: ignore[arg-type]

    run(main())


def test_who_expects_a_version_changes_that_one_and_no_other() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), Outside())
        orders = one.subscriptions

        async def version() -> int:
            return await orders.look("audit", lambda state: state.version, principal=ADA)

        await one.add()
        added = await version()
        await one.notes("a")
        await one.deliver()
        assert await version() == added, "what is delivered is no change of the subscription"
        assert await orders.pause("audit", "for a while", expect_version=added, principal=ADA)
        paused = await version()
        assert paused > added
        for attempt in (
            orders.resume("audit", expect_version=added, principal=ADA),
            orders.pause("audit", "again", expect_version=added, principal=ADA),
            orders.redrive("audit", expect_version=added, principal=ADA),
            orders.remove("audit", expect_version=added, principal=ADA),
        ):
            assert await refused(attempt) == "version_moved"
        assert await version() == paused
        assert await orders.resume("audit", expect_version=paused, principal=ADA)
        assert await orders.remove("audit", expect_version=await version(), principal=ADA)
        assert await refused(orders.remove("audit", expect_version=1, principal=ADA)) == "version_moved"

    run(main())


def test_a_change_that_is_told_twice_answers_as_it_did_whatever_became_of_the_version() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), Outside())
        await one.add()
        version = await one.subscriptions.look("audit", lambda state: state.version, principal=ADA)
        for _ in range(2):
            assert await one.subscriptions.pause(
                "audit", "why", principal=ADA, expect_version=version, command_id="c-1"
            )

    run(main())
