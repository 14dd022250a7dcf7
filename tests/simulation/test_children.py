"""Child runs: linked once, driven by whoever comes, and ended once in the eyes of their parent (H1 to H5, H7)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import RunConfig
from interlock.engine.errors import StateFailure
from interlock.engine.io.live import LiveIo
from interlock.testing.checker import check_left
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import RUN_ID, effective, facts, records
from tests.simulation.families import PERSON, Family, at_once
from tests.simulation.plans import read


def kid() -> Plan:
    """A child that reads, and waits, fails or goes deeper as its input says."""
    plan = Plan("kid")

    @plan.state
    async def work(io: LiveIo, n: int) -> Any:
        answer = (await io.call(read(f"kid{n}"))).response
        if n == 2:
            return await io.wait("go")
        if n == 3:
            raise StateFailure("no_good", "this child fails")
        return answer

    @plan.state
    async def done(work: object) -> str:
        return f"{work}"

    return plan


def children() -> Sequence[Plan]:
    return [kid()]


def parent_of(*numbers: int, spawned: Sequence[int] = ()) -> Any:
    """A parent with one child after the other, and detached ones."""

    def plan() -> Plan:
        plan = Plan("parent")

        @plan.state
        async def kids(io: LiveIo) -> list[object]:
            for number in spawned:
                await io.spawn(kid(), {"n": number}, name=f"free{number}", detached=True)
            found: list[object] = []
            for number in numbers:
                ended = await io.child(kid(), {"n": number}, name=f"kid{number}")
                found.append([ended.status, await io.output(ended, "done")])
            return found

        @plan.state
        async def after(kids: list[object]) -> int:
            return len(kids)

        return plan

    return plan


def family_of(*numbers: int, spawned: Sequence[int] = (), **options: Any) -> Family:
    return Family(parent_of(*numbers, spawned=spawned), children, **options)


async def lived_through(family: Family, *crashes: int) -> Family:
    for crash_at in crashes:
        await family.live(crash_at)
    await family.finish(family.answer_all)
    return family


def outcome(family: Family) -> tuple[object, ...]:
    return family.result, effective(family.log), facts(family.log)


def points_of(*numbers: int, **options: Any) -> int:
    async def scenario() -> int:
        return len((await family_of(*numbers, **options).live()).reached)

    return run(scenario())


def links(family: Family) -> list[str]:
    return [each.child_run_id for each in records(family.log) if isinstance(each, e.ChildRunSpawned)]


@pytest.mark.parametrize("profile", ["Normal", "Minimal"])
def test_a_crash_at_any_point_of_a_family_changes_nothing_in_the_end(profile: Any) -> None:
    """H1, H2, H3, P1, D11: in every profile the child is linked once, in the append with its fact."""
    config = RunConfig(event_profile=profile)
    expected = run(lived_through(family_of(1, 3, config=config)))
    for crash_at in range(1, points_of(1, 3, config=config) + 1):
        family = run(lived_through(family_of(1, 3, config=config), crash_at))
        assert outcome(family) == outcome(expected), crash_at
        assert len(set(links(family))) == len(links(family)) == 2
        assert family.outside.count("kid1") <= 2


def test_two_crashes_at_any_points_of_a_family_change_nothing_in_the_end() -> None:
    """H1, H2, H3, C23, F15."""
    expected = outcome(run(lived_through(family_of(1))))
    for first in range(1, points_of(1) + 1, 3):
        for second in range(1, 24, 4):
            assert outcome(run(lived_through(family_of(1), first, second))) == expected, (first, second)


def test_no_crash_leaves_a_child_that_its_parent_does_not_know() -> None:
    """H2, K7: whatever its owner's end, a parent that is cancelled without being driven again cancels its children."""

    async def scenario(crash_at: int) -> int:
        family = family_of(2)
        await family.live(crash_at)
        runs = await family.runs()
        assert sorted(runs) == sorted({*links(family), *runs[:1]})
        if runs:
            process = family.process()
            if (await process.runs.read.result(RUN_ID)).phase == "running":
                await process.runs.control.cancel(RUN_ID, "no need", principal=PERSON)
            await family.work()
            assert {(await process.runs.read.result(each)).phase for each in runs} == {"cancelled"}
        return len(runs)

    assert {run(scenario(crash_at)) for crash_at in range(1, points_of(2) + 1)} == {0, 1, 2}


def test_a_failed_and_a_cancelled_child_are_results_and_the_parent_decides() -> None:
    """H5, H4, D10: while the child waits, the parent does; what is recorded is how it ended."""

    async def scenario() -> None:
        family = family_of(3, 2)
        await family.live()
        child = next(each for each, _, name in await family.waits() if name == "go")
        assert not any(isinstance(each, e.ChildRunCompleted) and each.child_run_id == child for each in family.log)
        statuses = [each.status for each in records(family.log) if isinstance(each, e.ChildRunCompleted)]
        assert statuses == [e.RunStatus.FAILED]
        assert family.result is not None
        assert family.result.waiting is not None
        assert family.result.waiting.kind == "suspended"
        await family.process().runs.control.cancel(child, "no need", principal=PERSON)
        await family.finish()
        assert (await family.context())["kids"] == [["failed", None], ["cancelled", None]]
        assert family.result.phase == "completed"

    run(scenario())


def test_a_parent_that_is_cancelled_takes_its_children_with_it_but_for_the_detached() -> None:
    """K7, H5."""

    async def scenario() -> None:
        family = family_of(2, spawned=[2])
        await family.live()
        await family.process().runs.control.cancel(RUN_ID, "no need", principal=PERSON)
        family.result = None
        await family.work()
        phases = Counter([(await family.process().runs.read.result(each)).phase for each in await family.runs()])
        assert phases == {"cancelled": 2, "running": 1}
        await family.answer_all()
        await family.work()
        await check_left(family.observer().store, now_ms=0)

    run(scenario())


def test_a_worker_is_not_idle_while_it_drives_a_child() -> None:
    """H3: one call drives parent and children to their end."""

    async def scenario() -> None:
        family = family_of(1, 1 + 3)
        family.outside.slow("kid1", 50)
        family.outside.slow("kid4", 50)
        await family.process().runs.start(family.plan(), run_id=RUN_ID, detach=True)
        await family.work()
        assert (await family.process().runs.read.result(RUN_ID)).phase == "completed"
        await check_left(family.observer().store, now_ms=0)

    run(scenario())


@over_seeds(40)
async def test_a_child_that_is_started_twice_at_once_is_one() -> None:
    """H1, H2: two tasks of a handler, one name."""

    def plan() -> Plan:
        plan = Plan("parent")

        @plan.state
        async def kids(io: LiveIo) -> list[str]:
            found = await asyncio.gather(*(io.spawn(kid(), {"n": 1}, name="kid") for _ in range(2)))
            await io.joined("kid")
            return sorted(found)

        return plan

    family = Family(plan, children)
    await family.finish()
    assert len(links(family)) == 1
    assert len(set((await family.context())["kids"])) == 1


def nested() -> Plan:
    """A run that has a child like itself."""
    plan = Plan("nested")

    @plan.state
    async def deeper(io: LiveIo) -> Any:
        ended = await io.child(nested(), name="deeper")
        if ended.status != "completed":
            raise StateFailure("below", "the child failed")

    return plan


def test_nesting_has_a_limit_that_is_refused_with_a_code() -> None:
    """H7: a cycle of plans is cut at the limit, not at the end of memory."""

    async def scenario() -> None:
        family = Family(nested, settings={"engine": {"child_depth_max": 3}})
        await family.finish()
        assert family.result is not None
        assert family.result.phase == "failed"
        assert len(await family.runs()) == 4
        deepest = [
            each.error.info.code
            for log in family.logs.values()
            for each in records(log)
            if isinstance(each, e.StateFailed)
        ]
        assert sorted(deepest) == ["below", "below", "below", "child_limit_exceeded"]

    run(scenario())


@over_seeds(30)
async def test_owners_of_parent_and_child_in_several_processes_end_both_once() -> None:
    """H3, K1, K2."""
    family = Family(parent_of(1, 3), children, config=at_once(2))
    results = await asyncio.gather(*(family.drive(family.process()) for _ in range(3)))
    family.result = results[0]
    await family.check()
    assert len({repr(each) for each in results}) == 1
    assert family.result.phase == "completed"
    ended = [each for each in records(family.log) if isinstance(each, e.ChildRunCompleted)]
    assert len(ended) == 2
