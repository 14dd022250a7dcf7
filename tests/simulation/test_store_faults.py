"""A store that fails at any point: an error of the store for the caller, and never a failure of the run (S9, F21)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from interlock.base.errors import ErrorCode, InterlockError
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.journal.errors import DISK_FULL, OUTCOME_UNKNOWN, QUEUE_FULL
from interlock.testing.loop import run
from tests.simulation.crashes import Points, World, effective, records
from tests.simulation.plans import numbers, release

PLANS: dict[str, tuple[Callable[[], Plan], Any]] = {"numbers": (numbers, {"start": 1}), "release": (release, None)}


def points_of(plan: Callable[[], Plan], given: Any) -> list[str]:
    """Where an operation of the store can fail: what it answered was done before."""

    async def scenario() -> list[str]:
        return (await World(plan, given).live()).reached

    return run(scenario())


async def failed_at(plan: Callable[[], Plan], given: Any, at: int, code: ErrorCode) -> World:
    """A world after a life in which the store failed at one point, checked."""
    world = World(plan, given)
    points = Points(fault=(at, code))
    app = world.process(points)
    with suppress(InterlockError):
        world.result = await world.drive(app)
    if world.result is None or points.store is None or code is OUTCOME_UNKNOWN:
        world.kill(app)
    await world.check()
    return world


@pytest.mark.parametrize("code", [DISK_FULL, QUEUE_FULL, OUTCOME_UNKNOWN], ids=lambda code: code.code)
@pytest.mark.parametrize("plan", PLANS)
def test_a_store_that_fails_at_any_point_costs_the_run_nothing(plan: str, code: ErrorCode) -> None:
    """C3, G6, S9, F21, I1 to I16: whatever was durable stands, and the next owner goes on."""
    factory, given = PLANS[plan]

    async def calm() -> World:
        world = World(factory, given)
        await world.live()
        return world

    expected = run(calm())
    for at, name in enumerate(points_of(factory, given), 1):
        if name.startswith(("send", "take")) or (name.endswith("after_commit") and code is not OUTCOME_UNKNOWN):
            continue

        async def scenario(at: int = at) -> World:
            world = await failed_at(factory, given, at, code)
            assert not [each for each in records(world.log) if _is_failure_of(each, code)]
            await world.live()
            return world

        world = run(scenario())
        assert world.result is not None, (at, name)
        assert expected.result is not None
        assert world.result.phase == "completed", (at, name)
        assert world.result.final_snapshot_id == expected.result.final_snapshot_id, (at, name)
        assert effective(world.log) == effective(expected.log), (at, name)
        assert set(world.outside.applied.values()) <= {1}, (at, name)


def _is_failure_of(record: object, code: ErrorCode) -> bool:
    return isinstance(record, e.StateFailed) and record.error.info.code == code.code


@pytest.mark.parametrize("code", [DISK_FULL, QUEUE_FULL], ids=lambda code: code.code)
def test_who_starts_a_run_on_a_store_that_fails_is_told_so(code: ErrorCode) -> None:
    """F21: with the store's own code, and nothing was written."""

    async def scenario() -> None:
        world = World(numbers, {"start": 1})
        app = world.process(Points(fault=(1, code)))
        with pytest.raises(InterlockError) as caught:
            await world.drive(app)
        assert caught.value.code == code.code
        assert await world.read() == []

    run(scenario())
