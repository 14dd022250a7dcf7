"""Runs that wait: answers early, late, twice and to nobody; deadlines; crashes at every append (P1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy
from interlock.engine.errors import StateFailure
from interlock.engine.io.live import LiveIo
from interlock.testing.checker import check_left
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import RUN_ID, Crash, Points, World, records
from tests.simulation.families import PERSON, Family
from tests.simulation.outside import TIMED_OUT
from tests.simulation.plans import read, single, unkeyed

pytestmark = pytest.mark.unproved(
    "answers that are refused, or come too late, are kept as bytes that no event names", but=["no_orphan"]
)


def approval() -> Plan:
    """A state that reads, asks, and reads again, between two that compute."""
    plan = Plan("approval")

    @plan.state
    async def before() -> int:
        return 1

    @plan.state
    async def asking(io: LiveIo, before: int) -> object:
        first = (await io.call(read("first"))).response
        answer = await io.wait("go", int)
        await io.sleep("nap", 5_000)
        second = (await io.call(read("second"))).response
        return [first, answer, second, before]

    @plan.state
    async def after(asking: object) -> str:
        return f"{asking}"

    return plan


def suspended(family: Family) -> int:
    return sum(isinstance(each, e.StateSuspended) for each in records(family.log))


async def answered(family: Family, value: Any = 7, *, step: str = "asking", name: str = "go") -> None:
    await family.process().runs.control.signal(RUN_ID, step, name, value, principal=PERSON)


async def lived_through(crash_at: int | None, *, then: int | None = None) -> Family:
    """A run whose process dies at a point, and the next one at another; it is answered when it asks."""
    family = Family(approval)
    for point in (crash_at, then):
        await family.live(point)
    if await family.runs():
        await family.answer_all(lambda _step, _name: 7)
    await family.finish(lambda: family.answer_all(lambda _step, _name: 7))
    return family


async def whole() -> tuple[Family, int]:
    family = Family(approval)
    first = await family.live()
    await answered(family)
    second = await family.live()
    await family.finish()
    return family, max(len(first.reached), len(second.reached))


def test_a_crash_at_any_point_of_a_run_that_waits_changes_nothing_in_the_end() -> None:
    """P1, P3, C5 to C10, C15, C22: the same snapshot; each call once but for crashes in its window."""
    expected, points = run(whole())
    assert expected.result is not None
    for crash_at in range(1, points + 1):
        family = run(lived_through(crash_at))
        assert family.result == expected.result, crash_at
        assert max(family.outside.count(name) for name in ("first", "second")) <= 2


@pytest.mark.parametrize("second", range(1, 20, 3))
def test_a_second_crash_changes_nothing_either(second: int) -> None:
    """P1, C23, F15."""
    expected, points = run(whole())
    for crash_at in range(1, points + 1, 2):
        assert run(lived_through(crash_at, then=second)).result == expected.result, (crash_at, second)


async def answer_with_crash(crash_at: int | None) -> tuple[Family, int]:
    """The process that gives the answer, and takes it as a clerk, dies at a point."""
    family = Family(approval)
    await family.live()
    points = Points(crash_at)
    app = family.process(points)
    try:
        await app.runs.control.signal(RUN_ID, "asking", "go", 7, principal=PERSON)
    except Crash:
        await family.check()
        await answered(family)
    await family.finish()
    return family, len(points.reached)


def test_a_crash_while_an_answer_is_taken_takes_it_once() -> None:
    """W4, P1: the clerk dies before, within and after; told again, it is one answer."""
    expected, points = run(answer_with_crash(None))
    assert points > 2
    for crash_at in range(1, points + 1):
        family, _ = run(answer_with_crash(crash_at))
        assert family.result == expected.result, crash_at
        accepted = [each for each in records(family.log) if isinstance(each, e.SignalReceived) and each.code is None]
        assert len(accepted) == 1


def test_an_answer_may_come_before_it_is_asked_for_and_twice() -> None:
    """W2: the first is the answer; whoever sends another is acknowledged and changes nothing."""

    async def scenario() -> None:
        family = Family(approval)
        await family.process().runs.start(approval(), run_id=RUN_ID, detach=True)
        await answered(family, 7)
        await answered(family, 8)
        await family.finish()
        await family.check()
        assert (await family.context())["asking"][1] == 7

    run(scenario())


def test_an_early_answer_of_another_type_is_forgotten_and_the_next_one_taken() -> None:
    """W2."""

    async def scenario() -> None:
        family = Family(approval)
        await family.process().runs.start(approval(), run_id=RUN_ID, detach=True)
        await answered(family, "seven")
        await family.live()
        assert family.result is not None
        assert family.result.waiting is not None
        assert family.result.waiting.kind == "suspended"
        with pytest.raises(InterlockError, match="does not fit"):
            await answered(family, "eight")
        await answered(family, 9)
        await family.finish()
        assert (await family.context())["asking"][1] == 9

    run(scenario())


def test_an_answer_to_a_run_that_has_ended_or_to_no_step_is_refused() -> None:
    """W2."""

    async def scenario() -> None:
        family = Family(approval)
        await family.live()
        with pytest.raises(InterlockError) as unknown:
            await answered(family, step="nobody")
        await family.process().runs.control.cancel(RUN_ID, "no", principal=PERSON)
        with pytest.raises(InterlockError) as ended:
            await answered(family)
        assert (unknown.value.code, ended.value.code) == ("step_unknown", "run_ended")
        family.result = None
        await family.check()

    run(scenario())


async def by_deadline(io: LiveIo, default: object) -> object:
    options = {} if default is None else {"default": default}
    return await io.wait("go", int, timeout_ms=10_000, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("default", "phase"), [(5, "completed"), (None, "failed")])
def test_a_deadline_ends_a_wait_once_with_its_default_or_as_timed_out(default: object, phase: str) -> None:
    """W3: also where a worker fires the timer and the owner of the run is dead."""

    async def only(io: LiveIo) -> object:
        return await by_deadline(io, default)

    async def scenario(*, worker: bool) -> None:
        family = Family(single(only))
        if worker:
            await family.process().runs.start(family.plan(), run_id=RUN_ID, detach=True)
            await family.work()
            await asyncio.sleep(20)
            await family.work()
        else:
            await family.live()
        expired = [each for each in records(family.log) if isinstance(each, e.WaitExpired)]
        result = await family.process().runs.read.result(RUN_ID)
        assert (len(expired), result.phase) == (1, phase)
        await check_left(family.observer().store, now_ms=0)

    for worker in (True, False):
        run(scenario(worker=worker))


@over_seeds(30)
async def test_an_answer_against_a_deadline_gives_one_of_the_two() -> None:
    """W2, W3: at the same instant; no timer is left either way."""

    async def only(io: LiveIo) -> object:
        return await by_deadline(io, 5)

    family = Family(single(only))
    await family.process().runs.start(family.plan(), run_id=RUN_ID, detach=True)
    await family.work()

    async def answer() -> None:
        await asyncio.sleep(10)
        await answered(family, 7, step="only")

    async def work() -> None:
        await asyncio.sleep(10)
        await family.process().runs.worker.work(until_idle=True)

    await asyncio.gather(answer(), work(), return_exceptions=True)
    await family.work()
    assert (await family.context())["only"] in (5, 7)
    assert (await family.process().runs.read.result(RUN_ID)).phase == "completed"
    await check_left(family.observer().store, now_ms=0)


def both(first: str, second: str) -> Callable[[], Plan]:
    """A state that asks two things at once, and a third once the first is answered."""

    async def only(io: LiveIo) -> list[object]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(io.wait(name, int, timeout_ms=60_000, default=0)) for name in (first, second)]
        return [task.result() for task in tasks]

    return single(only)


def test_a_timer_that_fired_while_its_state_was_open_is_not_set_again() -> None:
    """W3: the state is entered for one of two answers, and takes longer than the other's deadline."""

    async def only(io: LiveIo) -> list[object]:
        if await io.get_recorded_fact("wait:demo.only.main:one") is not None:
            await asyncio.sleep(100)
        async with asyncio.TaskGroup() as group:
            one = group.create_task(io.wait("one", int))
            two = group.create_task(io.wait("two", int, timeout_ms=50_000, default=2))
        return [one.result(), two.result()]

    async def scenario() -> None:
        family = Family(single(only))
        await family.process().runs.start(family.plan(), run_id=RUN_ID, detach=True)
        await family.work()
        await answered(family, 1, step="only", name="one")
        worker = asyncio.create_task(family.process().runs.worker.work())
        other = asyncio.create_task(family.process().runs.worker.work())
        await asyncio.sleep(300)
        assert not worker.done()
        assert not other.done()
        await family.check()
        assert await family.context() == {"only": [1, 2]}

    run(scenario())


def test_a_wait_that_the_next_attempt_gives_up_leaves_no_timer() -> None:
    """W3."""

    async def only(io: LiveIo) -> object:
        if await io.get_recorded_fact("wait:demo.only.main:one") is None:
            async with asyncio.TaskGroup() as group:
                group.create_task(io.wait("one", int))
                group.create_task(io.wait("two", int, timeout_ms=50_000, default=2))
        return await io.wait("three", int)

    async def scenario() -> None:
        family = Family(single(only))
        await family.live()
        await answered(family, 1, step="only", name="one")
        await family.live()
        await answered(family, 3, step="only", name="three")
        await family.finish()
        await check_left(family.observer().store, now_ms=0)

    run(scenario())


def test_suspensions_spend_neither_the_retry_nor_the_crash_budget() -> None:
    """I11, C16: ten waits in a state that may be tried twice, and one failure between."""

    async def only(io: LiveIo) -> int:
        for number in range(10):
            await io.wait(f"w{number}")
            if number == 5 and await io.get_recorded_fact("failed") is None:
                await io.record_value("failed", value=True)
                raise StateFailure("once", "try again", retryable=True)
        return 1

    async def scenario() -> None:
        family = Family(single(only, retry=RetryPolicy.fixed(2)), settings={"engine": {"crash_budget": 0}})
        await family.finish()
        assert suspended(family) == 10
        assert family.result is not None
        assert family.result.phase == "completed"

    run(scenario())


@pytest.mark.parametrize("order", ["cancel", "skip", "timeout"])
def test_a_run_that_waits_ends_or_goes_on_at_once_when_it_is_told_to(order: str) -> None:
    """K7, O2: nobody drives it, and none of its code is needed to end it; no timer is left."""

    async def scenario() -> None:
        family = Family(both("one", "two"))
        app = family.process()
        await app.runs.start(family.plan(), run_id=RUN_ID, detach=True, timeout_ms=30_000)
        await family.work()
        control = family.observer().runs.control
        if order == "cancel":
            await control.cancel(RUN_ID, "no need", principal=PERSON)
        elif order == "skip":
            await control.skip(RUN_ID, "only", "no need", principal=PERSON)
        else:
            await asyncio.sleep(31)
            await family.work()
        result = await family.observer().runs.read.result(RUN_ID)
        await family.check()
        wanted = {"cancel": "cancelled", "skip": "completed", "timeout": "failed"}
        assert result.phase == wanted[order]
        await check_left(family.observer().store, now_ms=0)

    run(scenario())


def test_a_paused_run_ends_at_its_deadline_when_somebody_looks() -> None:
    """O1, O2."""

    async def scenario() -> None:
        family = Family(both("one", "two"))
        await family.process().runs.start(family.plan(), run_id=RUN_ID, detach=True, timeout_ms=30_000)
        await family.work()
        await family.process().runs.control.pause(RUN_ID, "wait", principal=PERSON)
        await asyncio.sleep(31)
        await family.live()
        assert family.result is not None
        assert family.result.phase == "failed"

    run(scenario())


def test_a_parked_run_ends_at_its_deadline_when_somebody_looks() -> None:
    """O2: the deadline is over while an operator has not decided."""

    async def scenario() -> None:
        world = World(unkeyed, faults=lambda outside: outside.fail("pay", TIMED_OUT))
        app = world.process()
        parked = await app.runs.start(world.plan(), run_id=RUN_ID, timeout_ms=30_000)
        assert (parked.waiting and parked.waiting.kind) == "parked"
        await asyncio.sleep(31)
        assert (await app.runs.resume(RUN_ID)).phase == "failed"
        assert (await app.runs.read.state(RUN_ID)).timed_out

    run(scenario())


@over_seeds(30)
async def test_a_cancellation_before_the_first_line_of_a_handler_is_heard() -> None:
    """K7: between the entry of a state and the start of its handler."""

    async def only() -> None:
        await asyncio.sleep(3_000)

    family = Family(single(only))

    async def cancel() -> None:
        while not await family.read():
            await asyncio.sleep(0)
        await family.process().runs.control.cancel(RUN_ID, "no need", principal=PERSON)

    driving = asyncio.create_task(family.drive(family.process()))
    await cancel()
    family.result = await driving
    await family.check()
    assert family.result.phase == "cancelled"
    assert asyncio.get_running_loop().time() < 60
