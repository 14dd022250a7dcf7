"""Leases among several processes and crashes, and what they cost after long use."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from interlock.base.errors import Conflict
from interlock.journal.leases import Granted, Queued
from interlock.journal.leases import events as e
from interlock.journal.leases.decide import DECIDER, SNAPSHOT_EVENTS
from interlock.journal.leases.views import LEASES
from interlock.journal.runner import fold_of
from interlock.journal.verify import verify
from interlock.stores.memory import MemoryStore
from interlock.testing.explorer import explore
from interlock.testing.loop import over_seeds, run
from tests.unit.journal.bank import CountedEvents
from tests.unit.journal.lease_process import ADA, KEY, Process


@over_seeds(30)
async def test_processes_that_ask_at_once_are_granted_no_unit_twice_and_every_token_once() -> None:
    store = MemoryStore()
    processes = [Process(each) for each in (store, store.reopen(), store.reopen())]

    async def work(process: Process, name: str) -> None:
        answer = await process.ask(name, units=1 + len(name) % 2, capacity=2)
        if isinstance(answer, Granted):
            await process.release(answer.token)

    await asyncio.gather(*(work(processes[n % 3], "r" * (n + 1)) for n in range(6)))
    held = dict[int, int]()
    pages = [page async for page in processes[0].journal.read(KEY)]
    for record in (event.record for page in pages for event in page):
        if isinstance(record, e.LeaseGranted):
            held[record.token] = record.units
            assert sum(held.values()) <= 2
        elif isinstance(record, e.LeaseReleased):
            del held[record.token]
    assert [each.token for each in await processes[0].records(e.LeaseGranted)] == list(
        range(1, len(await processes[0].records(e.LeaseGranted)) + 1)
    )
    assert await processes[0].sound()


def test_in_every_interleaving_of_two_processes_one_gets_the_only_unit_and_the_other_waits() -> None:
    async def race() -> tuple[str, str]:
        store = MemoryStore()
        one, two = Process(store), Process(store.reopen())
        answers = await asyncio.gather(one.ask("a"), two.ask("b"))
        return type(answers[0]).__name__, type(answers[1]).__name__

    seen: set[tuple[str, str]] = set()

    exploration = explore(race, seen.add)

    assert exploration.complete
    assert seen == {("Granted", "Queued"), ("Queued", "Granted")}


@over_seeds(30)
async def test_a_renewal_and_an_expiry_at_once_come_out_as_one_or_the_other() -> None:
    store = MemoryStore()
    one, two = Process(store), Process(store.reopen())
    await one.ask("a")
    await one.ask("b")
    await asyncio.sleep(0.999)

    outcome, _ = await asyncio.gather(
        one.leases.renew("key", 1, 5_000, principal=ADA),
        two.timers.fire_due("default", one.clock.now_ms() + 1),
        return_exceptions=True,
    )

    kept = isinstance(outcome, Granted)
    assert kept or isinstance(outcome, Conflict)
    assert isinstance(await one.standing("a"), Granted) is kept
    assert isinstance(await one.standing("b"), Queued) is kept
    assert await one.sound()


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("point", ["append:before", "append:after_commit"])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_process_killed_at_any_append_leaves_a_lease_that_goes_on(point: str, at: int) -> None:
    reached = 0

    def die(reached_point: str) -> None:
        nonlocal reached
        reached += reached_point == point
        if reached == at:
            raise Killed

    async def life(process: Process) -> None:
        """Every step can be done again after a crash."""
        for name in ("a", "b"):
            with suppress(Conflict):
                await process.ask(name, capacity=1)
        with suppress(Conflict):
            await process.leases.renew("key", 1, 2_000, principal=ADA)
        await asyncio.sleep(2.5)
        await process.fire()
        await process.leases.withdraw("key", "b", principal=ADA)
        with suppress(Conflict):
            await process.ask("c", capacity=1, lease_ms=100_000)

    async def main() -> None:
        store = MemoryStore()
        dying = store.reopen(faults=die)
        with suppress(Killed):
            await life(Process(dying))
        dying.die()
        after = Process(store.reopen())
        await life(after)

        assert isinstance(await after.standing("c"), Granted)
        granted = [(each.request_id, each.token) for each in await after.records(e.LeaseGranted)]
        assert granted == [("a", 1), ("b", 2), ("c", 3)]
        assert await after.sound()

    run(main())
    assert reached >= at


# Cost


def test_after_ten_thousand_cycles_a_lease_is_as_cheap_to_load_and_to_ask_for_as_at_first() -> None:
    async def main() -> None:
        store = MemoryStore(pauses=False)
        one = Process(store)
        counted = store.events = CountedEvents(store.events)
        for number in range(1, 10_001):
            assert await one.ask(f"r{number}") == Granted(number, one.clock.now_ms() + 1_000)
            await one.release(number)
        assert counted.events_read == 0

        cold = Process(store)
        assert await cold.ask("more") == Granted(10_001, one.clock.now_ms() + 1_000)
        assert counted.events_read <= SNAPSHOT_EVENTS + 3
        [row] = [row for _, row in await store.index.scan("default", "fold", "", "", 10)]
        assert len(row) < 500
        state = (await cold.journal.load(fold_of(DECIDER), KEY)).state
        assert (len(state.holders), len(state.queue)) == (1, 0)

    run(main())


def test_fold_snapshots_of_a_lease_are_those_of_a_full_fold() -> None:
    async def main() -> None:
        store = MemoryStore(pauses=False)
        one = Process(store)
        for number in range(SNAPSHOT_EVENTS):
            await one.ask(f"r{number}", capacity=5, group="ab"[number % 2], lease_ms=50)
            await asyncio.sleep(0.02)

        report = await verify(one.journal, [fold_of(DECIDER)], [LEASES])

        assert report.findings == []
        assert report.counts["fold_snapshots"] == 1

    run(main())
