"""Firing timers: in order, once, whoever fires, whatever crashes; and waiting for them on virtual time."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from interlock.base.errors import Corruption, Refused, StorageFailure
from interlock.base.events import Timer
from interlock.journal.ports import Timers
from interlock.journal.timers import RETRY_MS, WAIT_MS_MAX, TimerService
from interlock.journal.verify import verify
from interlock.stores.memory import MemoryStore
from interlock.testing.clock import VirtualClock
from interlock.testing.loop import over_seeds, run
from tests.unit.journal.alarms import ADA, NOW_MS, RING, Clockwork, Passed, Rang, Ring, alarm
from tests.unit.journal.bank import damage


class Killed(BaseException):
    """The process dies here."""


class CountedTimers:
    """A table of timers that counts what is read from it."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self.scan, self.next_due, self.ready = timers.scan, timers.next_due, timers.ready
        self.calls = self.rows = 0

    async def due(self, partition: str, now_ms: int, limit: int) -> list[Timer]:
        found = await self._timers.due(partition, now_ms, limit)
        self.calls += 1
        self.rows += len(found)
        return found


# Firing


@over_seeds(3)
async def test_what_is_due_fires_in_the_order_of_time_and_then_of_id() -> None:
    clock = Clockwork(MemoryStore())
    for name, at in (("d", 2), ("b", 1), ("late", 11), ("a", 2), ("c", 0)):
        await clock.arrange(name, NOW_MS + at)

    assert await clock.fire(NOW_MS + 10) == 4

    assert await clock.rung() == ["c", "b", "a", "d"]
    assert await clock.fire(NOW_MS + 10) == 0
    assert await clock.store.timers.next_due("default") == NOW_MS + 11


@over_seeds(20)
async def test_of_several_processes_that_fire_the_same_each_timer_fires_once_and_in_order() -> None:
    store = MemoryStore()
    clocks = [Clockwork(each) for each in (store, store.reopen(), store.reopen())]
    for number in range(12):
        await clocks[0].arrange(f"a{number:02d}", NOW_MS + number // 2)

    await asyncio.gather(*(clock.fire(NOW_MS + 100) for clock in clocks))

    assert await clocks[0].rung() == [f"a{number:02d}" for number in range(12)]
    assert len(await clocks[0].happened()) == 12


def test_a_timer_fires_after_a_restart() -> None:
    async def main() -> None:
        store = MemoryStore()
        await Clockwork(store).arrange("a", NOW_MS)
        store.die()

        again = Clockwork(store.reopen())

        assert await again.fire(NOW_MS) == 1
        assert await again.rung() == ["a"]

    run(main())


@pytest.mark.parametrize("point", ["append:before", "append:after_commit"])
@pytest.mark.parametrize("at", range(1, 5))
def test_a_process_killed_at_any_firing_leaves_each_timer_to_fire_once(point: str, at: int) -> None:
    reached = 0

    def die(reached_point: str) -> None:
        nonlocal reached
        reached += reached_point == point
        if reached == at:
            raise Killed

    async def main() -> None:
        store = MemoryStore()
        setting = Clockwork(store)
        for name in "abcd":
            await setting.arrange(name, NOW_MS)
        dying = store.reopen(faults=die)
        with suppress(Killed):
            await Clockwork(dying).fire(NOW_MS)
        dying.die()

        after = Clockwork(store.reopen())
        await after.fire(NOW_MS)

        assert await after.rung() == ["a", "b", "c", "d"]
        assert (await verify(after.journal)).findings == []

    run(main())
    assert reached >= at


@over_seeds(2)
async def test_a_moved_timer_fires_at_its_new_time_alone_and_a_cleared_one_never() -> None:
    clock = Clockwork(MemoryStore())
    for name in ("later", "sooner", "never"):
        await clock.arrange(name, NOW_MS + 10)
    await clock.arrange("later", NOW_MS + 20)
    await clock.arrange("sooner", NOW_MS + 1)
    await clock.arrange("never", None)

    assert await clock.fire(NOW_MS + 5) == 1
    assert await clock.rung() == ["sooner"]
    assert await clock.fire(NOW_MS + 15) == 0
    assert await clock.fire(NOW_MS + 30) == 1
    assert await clock.rung() == ["sooner", "later"]


def test_a_timer_that_is_set_again_to_a_time_at_which_it_has_fired_fires_again() -> None:
    async def main() -> None:
        clock = Clockwork(MemoryStore())
        for _ in range(3):
            await clock.arrange("a", NOW_MS)
            assert await clock.fire(NOW_MS) == 1

        assert await clock.rung() == ["a", "a", "a"]

    run(main())


@over_seeds(30)
async def test_a_timer_that_moves_while_it_is_fired_rings_at_most_once_for_each_time() -> None:
    store = MemoryStore()
    one, two = Clockwork(store), Clockwork(store.reopen())
    await one.arrange("a", NOW_MS)

    await asyncio.gather(one.fire(NOW_MS), two.arrange("a", NOW_MS + 5), two.fire(NOW_MS))
    await one.fire(NOW_MS + 5)

    fired = [record for _, record, _ in await one.happened()]
    assert fired in (
        [Rang(NOW_MS), Rang(NOW_MS + 5)],
        [Passed(NOW_MS, NOW_MS + 5), Rang(NOW_MS + 5)],
        [Rang(NOW_MS + 5)],
    )


def test_a_firing_that_comes_to_nothing_is_recorded_and_keeps_the_timer_that_moved() -> None:
    async def main() -> None:
        clock = Clockwork(MemoryStore())
        await clock.arrange("a", NOW_MS + 5)

        await clock.runner.execute(RING, Ring(alarm("a"), NOW_MS), ADA, "timer:stale")

        assert [record for _, record, _ in await clock.happened()] == [Passed(NOW_MS, NOW_MS + 5)]
        assert await clock.store.timers.next_due("default") == NOW_MS + 5

    run(main())


def test_a_timer_that_cannot_be_fired_holds_up_no_other_and_is_told() -> None:
    async def main() -> None:
        clock = Clockwork(MemoryStore())
        await clock.arrange("broken", NOW_MS)
        for number in range(300):
            await clock.arrange(f"c{number:03d}", NOW_MS)

        with pytest.raises(Refused) as caught:
            await clock.fire(NOW_MS)

        assert caught.value.code == "alarm_broken"
        assert len(await clock.rung()) == 300
        assert [timer.timer_id for timer in await clock.store.timers.scan("default", "", 10)] == ["broken"]

    run(main())


def test_a_part_that_does_not_clear_its_timer_is_named_instead_of_fired_for_ever() -> None:
    async def main() -> None:
        clock = Clockwork(MemoryStore())
        await clock.arrange("deaf", NOW_MS)

        with pytest.raises(Corruption) as caught:
            await clock.fire(NOW_MS)

        assert caught.value.code == "timer_not_cleared"
        assert len(await clock.happened()) == 1

    run(main())


def test_a_timer_of_a_part_that_is_missing_is_named() -> None:
    async def main() -> None:
        clock = Clockwork(MemoryStore())
        await clock.arrange("a", NOW_MS)

        with pytest.raises(Corruption) as caught:
            await TimerService(clock.journal, clock.runner, []).fire_due("default", NOW_MS)

        assert caught.value.code == "timer_target_unknown"
        assert await clock.fire(NOW_MS) == 1

    run(main())


def test_firing_one_of_ten_thousand_timers_reads_no_more_than_firing_one_of_ten() -> None:
    async def main() -> None:
        store = MemoryStore(pauses=False)
        clock = Clockwork(store)
        for number in range(10_000):
            await clock.arrange(f"a{number}", NOW_MS + number)
        counted = store.timers = CountedTimers(store.timers)

        assert await clock.fire(NOW_MS + 4_999) == 5_000
        first = (counted.calls, counted.rows)
        assert await clock.fire(NOW_MS + 9_999) == 5_000

        assert first == (5_000 // 256 + 2, 5_000)
        assert (counted.calls, counted.rows) == (2 * first[0], 2 * first[1])

    run(main())


# Waiting


async def until(task: asyncio.Task[None], clock: VirtualClock, at_ms: int) -> None:
    """Let virtual time pass until then while `task` goes on."""
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), (at_ms - clock.now_ms()) / 1000)


@over_seeds(5)
async def test_each_timer_fires_at_its_time_also_one_that_is_set_or_moved_while_others_are_waited_for() -> None:
    store, clock = MemoryStore(), VirtualClock()
    serving, other = Clockwork(store), Clockwork(store.reopen())
    start = clock.now_ms()
    await other.arrange("hour", start + 3_600_000)
    task = asyncio.create_task(serving.timers.serve(["default"]))

    await until(task, clock, start + 100)
    await other.arrange("soon", start + 500)
    await other.arrange("moved", start + 700)
    await until(task, clock, start + 600)
    await other.arrange("moved", start + 2_000)
    await other.arrange("past", start)
    await until(task, clock, start + 4_000_000)
    task.cancel()

    assert [(name, at_ms - start) for name, _, at_ms in await other.happened()] == [
        ("soon", 500),
        ("past", 600),
        ("moved", 2_000),
        ("hour", 3_600_000),
    ]


@over_seeds(5)
async def test_several_that_serve_fire_each_timer_once() -> None:
    store, clock = MemoryStore(), VirtualClock()
    clocks = [Clockwork(each) for each in (store, store.reopen())]
    start = clock.now_ms()
    tasks = [asyncio.create_task(each.timers.serve(["default"])) for each in clocks]
    for number in range(5):
        await clocks[0].arrange(f"a{number}", start + 100 * number)

    await until(tasks[0], clock, start + 10_000)
    for task in tasks:
        task.cancel()

    assert await clocks[0].rung() == [f"a{number}" for number in range(5)]
    assert len(await clocks[0].happened()) == 5


def test_while_nothing_is_set_nothing_is_asked_but_once_in_a_while() -> None:
    async def main() -> None:
        store, clock = MemoryStore(), VirtualClock()
        counted = store.timers = CountedTimers(store.timers)
        task = asyncio.create_task(Clockwork(store).timers.serve(["default"]))

        await until(task, clock, clock.now_ms() + 10 * WAIT_MS_MAX)
        task.cancel()

        assert counted.calls <= 2 * 11

    run(main())


def test_a_clock_that_is_set_forward_makes_no_timer_later_than_the_longest_wait() -> None:
    async def main() -> None:
        store, clock = MemoryStore(), VirtualClock()
        serving = Clockwork(store, clock)
        start = clock.now_ms()
        await serving.arrange("a", start + 86_400_000)
        task = asyncio.create_task(serving.timers.serve(["default"]))
        await until(task, clock, start + 1_000)

        clock.jump(86_400_000)
        await until(task, clock, start + 86_400_000 + WAIT_MS_MAX + 1_000)
        task.cancel()

        assert await serving.rung() == ["a"]

    run(main())


def test_a_timer_that_cannot_be_fired_is_tried_again_after_a_pause_while_others_fire_in_time() -> None:
    async def main() -> None:
        store, clock = MemoryStore(), VirtualClock()
        serving, other = Clockwork(store), Clockwork(store.reopen())
        start = clock.now_ms()
        tries: list[int] = []
        target = serving.timers._targets["alarm"]

        def noted(timer: Timer) -> Ring:
            if timer.timer_id == "broken":
                tries.append(clock.now_ms() - start)
            return Ring(timer.stream, timer.due_ms)

        serving.timers._targets["alarm"] = type(target)("alarm", RING, noted)
        await other.arrange("broken", start)
        for number in range(1, 40):
            await other.arrange(f"a{number:02d}", start + 100 * number)
        task = asyncio.create_task(serving.timers.serve(["default"]))
        await until(task, clock, start + 4_500)
        task.cancel()

        assert tries == [0, RETRY_MS, 2 * RETRY_MS, 3 * RETRY_MS, 4 * RETRY_MS]
        assert [at_ms - start for _, _, at_ms in await other.happened()] == [100 * number for number in range(1, 40)]

    run(main())


def test_serving_ends_when_the_store_has_closed() -> None:
    async def main() -> None:
        store = MemoryStore()
        task = asyncio.create_task(Clockwork(store).timers.serve(["default"]))
        await asyncio.sleep(0.1)

        await store.close()

        with pytest.raises(StorageFailure) as caught:
            await task
        assert caught.value.code == "store_closed"

    run(main())


# Doctor


@pytest.mark.unproved("it damages its store, to see the damage named")
def test_a_timer_that_is_not_what_the_events_say_is_named() -> None:
    async def main() -> None:
        store = MemoryStore()
        clock = Clockwork(store)
        for name in ("changed", "lost", "rung", "kept"):
            await clock.arrange(name, NOW_MS + (name != "rung"))
        await clock.fire(NOW_MS)
        assert (await verify(clock.journal)).findings == []
        assert (await verify(clock.journal)).counts["index_rows"] == 3 + 1

        table = store._handle.data.timers.of("default").by_id
        changed = table.get("changed")
        assert changed is not None
        table.put("changed", Timer("changed", changed.stream, changed.due_ms + 1, changed.payload))
        table.put("more", Timer("more", changed.stream, NOW_MS, b""))
        table.drop("lost")

        found = sorted((each.kind, each.place, each.message) for each in (await verify(clock.journal)).findings)
        assert found == [
            ("timer_row_wrong", "default/timer/changed", "the row is not what the events entail"),
            ("timer_row_wrong", "default/timer/lost", "the row is missing"),
            ("timer_row_wrong", "default/timer/more", "no event entails this row"),
        ]

    run(main())


@pytest.mark.unproved("it damages its store, to see the damage named")
def test_timers_that_rest_on_an_event_that_cannot_be_read_are_not_judged() -> None:
    async def main() -> None:
        store = MemoryStore()
        clock = Clockwork(store)
        await clock.arrange("a", NOW_MS)
        damage(store, alarm("a"), 1, data=b"{}")
        await clock.arrange("b", NOW_MS)

        report = await verify(clock.journal)

        assert [each.kind for each in report.findings] == ["event_corrupt"]
        assert report.counts["not_judged"] == 1

    run(main())
