"""States that run at once, and what their crashes, failures, waits and orders do to each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from interlock.engine import events as e
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy
from interlock.engine.context import Context
from interlock.engine.errors import StateFailure
from interlock.engine.io.live import LiveIo
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import RUN_ID, Points, records
from tests.simulation.families import PERSON, Family, at_once
from tests.simulation.plans import read, write

pytestmark = pytest.mark.unproved(
    "answers that are refused, or come too late, are kept as bytes that no event names", but=["no_orphan"]
)


def entries(family: Family, step: str) -> int:
    return sum(isinstance(each, e.StateEntered) and each.state_id.split(".")[1] == step for each in records(family.log))


def codes(family: Family) -> list[str]:
    return [each.error.info.code for each in records(family.log) if isinstance(each, e.StateFailed)]


async def slept_until_killed(family: Family, seconds: float) -> Points:
    """A process that drives the run and is killed after so many seconds."""
    points = Points()
    app = family.process(points)
    driving = asyncio.create_task(family.drive(app))
    await asyncio.sleep(seconds)
    points.kill()
    driving.cancel()
    await asyncio.gather(driving, return_exceptions=True)
    await family.check()
    return points


def two(first: Any, second: Any, **options: Any) -> Callable[[], Plan]:
    """Two states with no path between them."""

    def plan() -> Plan:
        plan = Plan("two")
        plan.state(name="first", **options)(first)
        plan.state(name="second")(second)
        return plan

    return plan


def test_a_branch_that_failed_for_good_ends_the_run_although_a_crash_left_another_open() -> None:
    """C19, I3: resuming closes what the dead process left open and ends the run, in one append."""

    async def first() -> None:
        raise StateFailure("broken", "it cannot be done")

    async def second() -> None:
        await asyncio.sleep(100)

    async def scenario() -> None:
        family = Family(two(first, second), config=at_once(2))
        await slept_until_killed(family, 10)
        await family.finish()
        assert family.result is not None
        assert (family.result.phase, family.result.error.code) == ("failed", "broken")  # type: ignore[union-attr]
        assert codes(family) == ["broken", "orphan_attempt_recovered"]

    run(scenario())


def test_a_step_that_is_abandoned_ends_the_run_although_a_crash_left_another_open() -> None:
    """K7, I3."""

    async def first(io: LiveIo) -> None:
        await io.call(write("pay"))

    async def second() -> None:
        await asyncio.sleep(100)

    async def scenario() -> None:
        family = Family(two(first, second, side_effects="apply_side_effect"), config=at_once(2))
        family.outside.slow("pay", 100)
        await slept_until_killed(family, 10)
        await slept_until_killed(family, 10)
        control = family.process().runs.control
        await control.resolve(RUN_ID, "first", e.Resolution.ABANDON, "no", principal=PERSON)
        await family.finish()
        assert family.result is not None
        assert family.result.phase == "failed"

    run(scenario())


def test_orphans_are_recovered_before_anything_else_takes_their_places() -> None:
    """C5, I4: an answer was taken for a third state while both places were in use, and then the process died."""

    async def third(io: LiveIo) -> object:
        return await io.wait("go")

    async def long() -> None:
        await asyncio.sleep(100)

    def plan() -> Plan:
        plan = Plan("three")
        plan.state(name="a")(third)
        plan.state(name="b")(long)
        plan.state(name="c")(long)
        return plan

    async def scenario() -> None:
        family = Family(plan, config=at_once(2))
        points = Points()
        driving = asyncio.create_task(family.drive(family.process(points)))
        await asyncio.sleep(1)
        await family.process().runs.control.signal(RUN_ID, "a", "go", 1, principal=PERSON)
        await asyncio.sleep(10)
        points.kill()
        driving.cancel()
        await asyncio.gather(driving, return_exceptions=True)
        await family.finish()
        assert family.result is not None
        assert family.result.phase == "completed"
        assert codes(family) == ["orphan_attempt_recovered"] * 2

    run(scenario())


def test_an_effect_in_doubt_parks_its_own_branch_and_no_other() -> None:
    """C7, F6: the other branch is recovered and goes on; the run stays parked until somebody decides."""

    async def first(io: LiveIo) -> object:
        return (await io.call(write("pay"))).response

    async def second() -> int:
        await asyncio.sleep(100)
        return 2

    async def scenario() -> None:
        family = Family(two(first, second, side_effects="apply_side_effect"), config=at_once(2))
        family.outside.slow("pay", 100)
        await slept_until_killed(family, 10)
        await family.live()
        assert family.result is not None
        assert family.result.waiting is not None
        assert family.result.waiting.kind == "parked"
        assert await family.context() == {"second": 2}
        assert family.outside.count("pay") == 0
        control = family.process().runs.control
        await control.resolve(RUN_ID, "first", e.Resolution.RETRY, "nothing was sent", principal=PERSON)
        await family.finish()
        assert family.outside.applied["pay"] == 1

    run(scenario())


def test_while_one_branch_is_parked_another_is_tried_again_when_its_time_has_come() -> None:
    """C18: the back-off of a branch does not wait for the operator of another, nor for a process that died."""
    tries: list[int] = []

    async def first(io: LiveIo) -> object:
        return (await io.call(write("pay"))).response

    async def second() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise StateFailure("busy", "later", retryable=True)
        return 2

    def plan() -> Plan:
        plan = Plan("two")
        plan.state(name="first", side_effects="apply_side_effect")(first)
        plan.state(name="second", retry=RetryPolicy.fixed(5, 20_000))(second)
        return plan

    async def scenario() -> None:
        family = Family(plan, config=at_once(2))
        family.outside.slow("pay", 100)
        await slept_until_killed(family, 5)
        await family.live()
        assert family.result is not None
        assert family.result.waiting is not None
        assert family.result.waiting.kind == "parked"
        assert await family.context() == {"second": 2}

    run(scenario())


def test_a_state_becomes_ready_while_the_run_is_paused_and_is_entered_when_it_goes_on() -> None:
    """O1: another state waits for an answer all the time."""

    async def waiting(io: LiveIo) -> object:
        return await io.wait("go")

    async def before() -> int:
        await asyncio.sleep(10)
        return 1

    async def after(before: int) -> int:
        return before + 1

    def plan() -> Plan:
        plan = Plan("three")
        plan.state(name="waiting")(waiting)
        plan.state(name="before")(before)
        plan.state(name="after")(after)
        return plan

    async def scenario() -> None:
        family = Family(plan, config=at_once(3))
        driving = asyncio.create_task(family.drive(family.process()))
        await asyncio.sleep(1)
        control = family.process().runs.control
        await control.pause(RUN_ID, "wait", principal=PERSON)
        family.result = await driving
        await family.check()
        assert family.result.waiting is not None
        assert family.result.waiting.kind == "paused"
        assert entries(family, "after") == 0
        await control.unpause(RUN_ID, "go on", principal=PERSON)
        await family.live()
        assert await family.context() == {"before": 1, "after": 2}
        await family.finish()
        assert family.result.phase == "completed"

    run(scenario())


def test_a_branch_wakes_from_its_sleep_while_another_goes_on() -> None:
    """B1: nobody but the owner of the run is there to fire the timer."""
    woken: list[float] = []

    async def first(io: LiveIo) -> None:
        await io.sleep("nap", 1_000)
        woken.append(asyncio.get_running_loop().time())

    async def second() -> None:
        await asyncio.sleep(500)

    async def scenario() -> None:
        family = Family(two(first, second), config=at_once(2))
        await family.finish()
        assert woken == [pytest.approx(1, abs=0.2)]

    run(scenario())


@over_seeds(100)
async def test_an_answer_that_comes_while_its_wait_is_being_opened_is_not_lost() -> None:
    """W1: the owner takes it from the inbox while the attempt that asks for it is still under way."""

    async def first(io: LiveIo) -> int:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(2))
            answer = group.create_task(io.wait("go", int, timeout_ms=50_000))
        return answer.result()

    async def second() -> None:
        await asyncio.sleep(5)

    family = Family(two(first, second), config=at_once(2))
    driving = asyncio.create_task(family.drive(family.process()))
    await asyncio.sleep(1)
    await family.process().runs.control.signal(RUN_ID, "first", "go", 7, principal=PERSON)
    family.result = await driving
    await family.check()
    assert family.result.phase == "completed"
    assert (await family.context())["first"] == 7
    assert asyncio.get_running_loop().time() < 10


@over_seeds(20)
async def test_a_cancellation_ends_branches_that_take_their_time_to_clean_up() -> None:
    """K7: it is told twice, by the inbox and by the loop, and handlers are still busy with their ends."""
    cleaned: list[int] = []

    async def slow(rec: Recorder) -> None:
        try:
            await asyncio.sleep(1_000)
        finally:
            await asyncio.sleep(5)
            cleaned.append(1)

    family = Family(two(slow, slow), config=at_once(2))
    driving = asyncio.create_task(family.drive(family.process()))
    await asyncio.sleep(1)
    control = family.process().runs.control
    await control.cancel(RUN_ID, "no need", principal=PERSON)
    await asyncio.sleep(1)
    await control.cancel(RUN_ID, "really", principal=PERSON)
    family.result = await driving
    await family.check()
    assert family.result.phase == "cancelled"
    assert len(cleaned) == 2
    assert codes(family) == ["run_cancelled"] * 2
    assert asyncio.get_running_loop().time() < 20


@over_seeds(20)
async def test_a_call_with_one_fact_key_is_sent_once_by_all_branches() -> None:
    """P16, P3: single flight over attempts that run at once; every branch gets the one answer."""

    async def asking(io: LiveIo) -> object:
        return (await io.call(read("service", "shared"))).response

    def plan() -> Plan:
        plan = Plan("five")
        for number in range(5):
            plan.state(name=f"s{number}")(asking)
        return plan

    family = Family(plan, config=at_once(5))
    family.outside.slow("service", 1)
    await family.finish()
    assert family.outside.count("service") == 1
    assert len({str(each) for each in (await family.context()).values()}) == 1


@over_seeds(100)
async def test_branches_that_write_one_key_differently_conflict_whatever_the_timing() -> None:
    """P8, B3: whichever comes first, the run fails with the same code and the same two names."""

    async def first(ctx: Context) -> None:
        await asyncio.sleep(0)
        ctx.write("key", 1)

    async def second(ctx: Context) -> None:
        await asyncio.sleep(0)
        ctx.write("key", 2)

    family = Family(two(first, second), config=at_once(2))
    await family.finish()
    assert family.result is not None
    assert family.result.phase == "failed"
    assert family.result.error is not None
    assert family.result.error.code == "context_write_conflict"
    assert family.result.error.message == (
        "two.first.main and two.second.main write one key differently, and no edge orders them"
    )
