"""Whatever a run went through, its replay agrees with it: crashes at every point, and what is driven by halves (P4)."""

from __future__ import annotations

import pytest

from interlock.testing.loop import run
from tests.simulation.crashes import World, error_of
from tests.simulation.operations import sums
from tests.simulation.replays import replayed, told
from tests.simulation.test_crashes import CASES, LIVES_MAX, Case

PIPELINE = Case(sums, {"count": 2})


@pytest.mark.parametrize("name", [*CASES, "pipeline"])
def test_a_run_replays_identically_after_a_crash_at_any_point(name: str) -> None:
    """Also what the crash left behind, before anybody goes on with it."""
    case = PIPELINE if name == "pipeline" else CASES[name]

    async def scenario() -> None:
        points = (await case.world().live()).reached
        for crash_at in range(1, len(points) + 1):
            world = case.world()
            await world.live(crash_at)
            for _ in range(LIVES_MAX):
                if not world.log:
                    await world.live()
                await agrees(world, crash_at)
                if world.result is not None and world.result.phase != "running":
                    break
                await world.live()
            else:
                raise AssertionError("the run does not come to its end")

    run(scenario())


async def agrees(world: World, crash_at: int) -> None:
    report = await replayed(world)
    assert told(report) == {"identical": True}, (crash_at, error_of(world))
    assert report.warnings == [], crash_at
