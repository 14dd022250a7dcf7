"""Every order of small things: two owners at one run, as far as the explorer goes (K1, K2, K3, K5, K8)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from interlock.engine.authoring import Plan
from interlock.engine.io.live import LiveIo
from interlock.engine.reports.records import RunResult
from interlock.testing.explorer import explore
from tests.simulation.crashes import RUN_ID, World
from tests.simulation.plans import single, write

DEPTH_MAX = 14
SCHEDULES_MAX = 200

Outcome = tuple[World, Sequence[RunResult], Counter[str]]


def counting(calls: Counter[str]) -> Callable[[], Plan]:
    async def only() -> int:
        calls["only"] += 1
        return calls["only"]

    return single(only)


async def two_starts() -> Outcome:
    calls: Counter[str] = Counter()
    world = World(counting(calls))
    results = await asyncio.gather(*(world.drive(world.process()) for _ in range(2)))
    return await checked(world, results, calls)


async def two_starts_in_one_process() -> Outcome:
    calls: Counter[str] = Counter()
    world = World(counting(calls))
    app = world.process()
    results = await asyncio.gather(*(world.drive(app) for _ in range(2)))
    return await checked(world, results, calls)


async def two_resumes() -> Outcome:
    calls: Counter[str] = Counter()
    world = World(counting(calls))
    await world.live(crash_on="append:after_commit")
    calls.clear()
    results = await asyncio.gather(*(world.drive(world.process()) for _ in range(2)))
    return await checked(world, results, calls)


async def a_theft() -> Outcome:
    """An owner in the middle of an effect, and another who takes the run from it."""
    calls: Counter[str] = Counter()

    async def only(io: LiveIo) -> int:
        calls["only"] += 1
        await io.call(write("pay"))
        return 1

    world = World(single(only, side_effects="apply_side_effect", idempotency="pay:1"))
    started = asyncio.Event()

    async def first() -> RunResult:
        app = world.process()
        started.set()
        return await world.drive(app)

    async def second() -> RunResult:
        await started.wait()
        app = world.process()
        while not await world.read():
            await asyncio.sleep(0)
        return await app.runs.resume(RUN_ID, plan=world.plan(), steal=True)

    results = await asyncio.gather(first(), second())
    assert world.outside.applied["pay"] == 1
    return await checked(world, results, calls)


async def checked(world: World, results: Sequence[RunResult], calls: Counter[str]) -> Outcome:
    world.result = results[0]
    await world.check()
    return world, results, calls


def agree(outcome: Outcome) -> None:
    _, results, _ = outcome
    assert results[0] == results[1]
    assert results[0].phase == "completed"


def agree_and_run_once(outcome: Outcome) -> None:
    agree(outcome)
    assert outcome[2] == {"only": 1}


SCENES: dict[str, tuple[Callable[[], Coroutine[Any, Any, Outcome]], Callable[[Outcome], None]]] = {
    "two starts": (two_starts, agree_and_run_once),
    "two starts in one process": (two_starts_in_one_process, agree_and_run_once),
    "two resumes": (two_resumes, agree_and_run_once),
    "a theft": (a_theft, agree),
}


@pytest.mark.parametrize("scene", SCENES)
def test_two_who_want_one_run_agree_in_any_order_of_what_they_do(scene: str) -> None:
    """K1, K2, K3, K5, K8, F17, M3: one run, each state run by its owner alone, and one answer."""
    scenario, check = SCENES[scene]

    assert explore(scenario, check, depth_max=DEPTH_MAX, schedules_max=SCHEDULES_MAX).count == SCHEDULES_MAX


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_two_who_want_one_run_agree_in_all_orders_up_to_a_depth(scene: str) -> None:
    """K1, K2, K3, K5, K8, F17, M3."""
    scenario, check = SCENES[scene]

    assert explore(scenario, check, depth_max=DEPTH_MAX, schedules_max=2_000).count > SCHEDULES_MAX
