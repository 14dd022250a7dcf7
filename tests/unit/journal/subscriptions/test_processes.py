"""Several processes on one subscription: one delivers, another takes over, and who was overtaken writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from interlock.base.events import Claim
from interlock.journal.subscriptions import Delivery
from interlock.journal.subscriptions import events as e
from interlock.journal.subscriptions.decide import DECIDER, GiveUp
from interlock.journal.subscriptions.progress import Cursor, Lane, ProgressTable, table_of
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import over_seeds, run
from tests.unit.journal.subscriptions.outside import (
    ADA,
    REFUSED,
    STREAM,
    Outside,
    Process,
    Target,
    in_order,
    refused,
    until,
)

TABLE = table_of(STREAM, 1)


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


class AtOnce(Outside):
    """An outside that knows how many deliveries are under way, by stream."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way: list[str] = []
        self.clashes = 0
        self.behaviour = self._slowly

    async def _slowly(self, delivery: Delivery) -> None:
        self.clashes += delivery.stream in self.under_way
        self.under_way.append(delivery.stream)
        try:
            await asyncio.sleep(0.2)
        finally:
            self.under_way.remove(delivery.stream)


@over_seeds(20)
async def test_processes_that_serve_the_same_subscription_deliver_every_event_once_and_in_order() -> None:
    store, outside = MemoryStore(), AtOnce()
    processes = [Process(each, outside) for each in (store, store.reopen(), store.reopen())]
    await processes[0].add()
    serving = [asyncio.create_task(each.subscriptions.serve()) for each in processes]
    for things in ("abc", "aab", "cba", "ab"):
        await processes[1].notes(things)
        await asyncio.sleep(0.3)
    await asyncio.sleep(5)

    assert len(outside.keys) == len(set(outside.keys)) == 11
    assert in_order(outside.keys)
    assert outside.clashes == 0
    assert len({target for target, _ in outside.targets}) == 1
    await ended(*serving)
    assert await processes[0].findings() == []


@over_seeds(20)
async def test_another_process_takes_over_from_one_that_dies_and_nothing_is_left_out() -> None:
    store, outside = MemoryStore(), Outside()
    first, second = Process(dying := store.reopen(), outside), Process(store, outside)
    await second.add()
    await second.notes("abab")
    serving = asyncio.create_task(first.subscriptions.serve())
    await until(lambda: len(outside.asked) >= 2)
    dying.die()
    after = asyncio.create_task(second.subscriptions.serve())
    await second.notes("ab")
    await asyncio.sleep(60)

    assert set(outside.keys) == {"a#1", "a#2", "a#3", "b#1", "b#2", "b#3"}
    assert in_order(outside.keys)
    await ended(after, serving)
    assert await second.findings() == []


def test_a_deliverer_that_stood_still_past_its_claim_writes_nothing_any_more() -> None:
    async def main() -> None:
        store, outside = MemoryStore(), Outside()
        slow, quick = Process(store.reopen(), outside), Process(store, outside)
        await quick.add()
        await quick.notes("ab")
        now_ms = quick.clock.now_ms()
        stale = await slow.store.activations.take(STREAM, e.SUBSCRIPTION, slow.store.owner, now_ms, 1_000)
        assert isinstance(stale, Claim)
        table = ProgressTable(slow.store, "default", TABLE)
        await table.open()
        assert await quick.subscriptions.deliver_once() == {}

        await asyncio.sleep(2)
        assert await quick.deliver() == (2, 0, 0)
        assert await refused(table.save(Cursor(99), {"default/thing/a": Lane("default/thing/a", 0, 1)})) == "claim_lost"
        give_up = GiveUp(stale, 1, "default/thing/a", 1, 30, "toy_refused", "no")
        assert await refused(slow.runner.execute(DECIDER, give_up, ADA)) == "claim_lost"
        assert await quick.letters() == []
        assert await quick.findings() == []

    run(main())


def test_a_deliverer_that_lost_its_claim_stops_and_says_so() -> None:
    async def main() -> None:
        store, outside = MemoryStore(), Outside()
        one = Process(store, outside, claim_lease_ms=3_000)
        await one.add()
        turn = asyncio.create_task(one.subscriptions._deliver(STREAM, until_idle=False))
        await asyncio.sleep(1)
        other = store.reopen()
        await other.activations.take(STREAM, e.SUBSCRIPTION, "other", one.clock.now_ms(), 60_000, steal=True)
        await asyncio.sleep(5)
        assert await refused(turn) == "claim_lost"
        holder = await store.activations.holder(STREAM, one.clock.now_ms())
        assert holder is not None
        assert holder.owner == "other"
        await other.activations.release([holder], None)

    run(main())


def test_a_claim_is_kept_alive_for_as_long_as_the_deliverer_lives() -> None:
    async def main() -> None:
        store, outside = MemoryStore(), Outside()
        one, two = Process(store, outside), Process(store.reopen(), outside)
        await one.add()
        serving = asyncio.create_task(one.subscriptions.serve())
        await asyncio.sleep(1_000)
        await two.note("a")
        assert await two.subscriptions.deliver_once() == {}
        standing = await two.subscriptions.standing("audit", principal=ADA)
        assert (standing.deliverer, standing.behind) == (one.store.owner, 1) or standing.behind == 0
        await ended(serving)
        assert await two.subscriptions.deliver_once() != {}

    run(main())


class LateReplies:
    """Claims whose reply comes a while after they were made, as those of a server do."""

    def __init__(self, activations: Any) -> None:
        self._activations = activations

    def __getattr__(self, name: str) -> Any:
        async def late(*arguments: Any) -> Any:
            answer = await getattr(self._activations, name)(*arguments)
            await asyncio.sleep(1)
            return answer

        return late


@pytest.mark.parametrize("after_ms", [0, 500, 1_500, 2_500])
def test_a_turn_that_is_cancelled_leaves_no_claim(after_ms: int) -> None:
    async def main() -> None:
        store, outside = MemoryStore(), AtOnce()
        one = Process(store, outside)
        await one.add()
        await one.notes("abc")
        activations = store.activations
        store.activations = LateReplies(activations)
        serving = asyncio.create_task(one.subscriptions.serve())
        await asyncio.sleep(after_ms / 1_000)
        await ended(serving)
        store.activations = activations
        assert await activations.holder(STREAM, one.clock.now_ms()) is None
        await one.subscriptions.deliver_once()
        assert sorted(set(outside.keys)) == ["a#1", "b#1", "c#1"]

    run(main())


# Serving


def test_serving_finds_what_is_added_resumed_and_removed_meanwhile() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())
        serving = asyncio.create_task(one.subscriptions.serve())
        await asyncio.sleep(1)
        await one.add()
        await one.note("a")
        await asyncio.sleep(1)
        await one.subscriptions.pause("audit", "for the test", principal=ADA)
        await one.note("a")
        await asyncio.sleep(1)
        assert outside.keys == ["a#1"]
        await one.subscriptions.resume("audit", principal=ADA)
        await asyncio.sleep(1)
        assert outside.keys == ["a#1", "a#2"]
        await one.subscriptions.remove("audit", principal=ADA)
        await one.note("a")
        await asyncio.sleep(1)
        assert outside.keys == ["a#1", "a#2"]
        assert outside.closed == len(outside.targets)
        await ended(serving)

    run(main())


def making(one: Process, make: Callable[[Target], Outside]) -> None:
    """Let the sinks of a process be made so."""
    sinks = one.subscriptions._sinks
    sinks["toy"] = replace(sinks["toy"], make=lambda _services, target, _local: make(target))


def test_a_subscription_whose_sink_cannot_be_made_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())
        await one.add("lost", target={"place": "nowhere"})
        await one.add()
        await one.note("a")

        def make(target: Target) -> Outside:
            if target.place == "nowhere":
                raise REFUSED.error("there is no such place")
            return outside

        making(one, make)
        assert await refused(one.subscriptions.deliver_once()) == "toy_refused"
        assert outside.keys == ["a#1"]
        serving = asyncio.create_task(one.subscriptions.serve())
        await one.note("a")
        await asyncio.sleep(25)
        assert outside.keys == ["a#1", "a#2"]
        await ended(serving)

    run(main())
    assert [record.getMessage() for record in caplog.records] == [
        "subscription lost is left alone for now (toy_refused)"
    ] * 3


def test_a_subscription_to_a_sink_that_no_part_brings_any_more_says_so() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), Outside())
        await one.add()
        del one.subscriptions._sinks["toy"]
        assert await refused(one.subscriptions.deliver_once()) == "sink_unknown"

    run(main())


def test_serving_ends_with_its_store() -> None:
    async def main() -> None:
        store = MemoryStore()
        one = Process(store, outside := AtOnce())
        await one.add()
        serving = asyncio.create_task(one.subscriptions.serve())
        await one.notes("aab")
        await until(lambda: len(outside.under_way) == 2)
        await store.close()
        assert await refused(serving) == "store_closed"

    run(main())


def test_serving_ends_with_a_fault_of_the_program() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), Outside())
        await one.add()

        def make(_target: Target) -> Outside:
            raise ZeroDivisionError

        making(one, make)
        with pytest.raises(ZeroDivisionError):
            await one.subscriptions.serve()

    run(main())


def test_a_slow_sink_costs_no_writer_anything() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := AtOnce(), parked_max=4)
        await one.add()
        serving = asyncio.create_task(one.subscriptions.serve())
        began_ms = one.clock.now_ms()
        await one.notes("abcdefgh" * 10)
        assert one.clock.now_ms() == began_ms
        await asyncio.sleep(60)
        assert len(outside.keys) == 80
        assert in_order(outside.keys)
        await ended(serving)

    run(main())
