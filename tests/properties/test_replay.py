"""Random plans, lived under random crashes or with states at once, replay identically and offline (P4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from interlock.engine.authoring import Plan
from interlock.engine.config import FanOutJoin, RunConfig
from interlock.engine.context import Context
from interlock.testing.loop import run
from tests.properties.test_runs import Script, crashed, scripts
from tests.simulation.crashes import World
from tests.simulation.outside import BUSY
from tests.simulation.plans import flaky
from tests.simulation.replays import replayed, told


@given(scripts(), st.lists(st.integers(1, 40), max_size=4), st.integers(0, 2**16))
def test_any_plan_replays_identically_whatever_crashed(script: Script, crashes: list[int], seed: int) -> None:
    """P4, R7, D9."""

    async def scenario() -> None:
        world = await crashed(script, crashes)
        report = await replayed(world)

        assert told(report) == {"identical": True}
        assert report.phase == "completed"

    run(scenario(), seed=seed)


@given(scripts(), st.integers(1, 4), st.integers(0, 2**16))
def test_any_plan_whose_states_ran_at_once_replays_identically(script: Script, at_once: int, seed: int) -> None:
    """Also where states wrote one key differently, which fails as it did then."""

    async def scenario() -> None:
        config = RunConfig(execution_mode=FanOutJoin.of(at_once), skip_tags=("skipped",))
        world = World(script.plan, config=config, faults=script.faults)
        await world.drive(world.process())
        report = await replayed(world)

        assert told(report) == {"identical": True}

    run(scenario(), seed=seed)


@given(scripts(), st.data())
def test_a_value_that_is_written_otherwise_is_always_found(script: Script, data: st.DataObject) -> None:
    """R5: at the state that writes it, and with its key."""
    writers = [number for number, (_, _, skipped) in enumerate(script.states) if not skipped]
    if not writers:
        return
    changed = data.draw(st.sampled_from(writers))

    async def scenario() -> None:
        world = await crashed(script, [])
        report = await replayed(world, altered(script, changed))

        found = report.divergence
        assert found is not None
        assert (found.state_id, found.kind) == (f"script.s{changed}.main", "snapshot")
        assert [each.key for each in found.keys] == ["altered"]

    run(scenario())


def altered(script: Script, number: int) -> Plan:
    """The plan of a script, one of whose states writes one key more."""
    plan = script.plan()
    built: Any = plan._nodes[f"s{number}"].state
    inner: Callable[..., Awaitable[None]] = built._function

    async def handle(ctx: Context, **tools: Any) -> None:
        await inner(ctx=ctx, **tools)
        ctx.write("altered", number)

    built._function = handle
    return plan


def test_time_passes_nowhere_in_a_replay() -> None:
    """Back-off is recorded, not lived again."""

    async def scenario() -> None:
        world = World(flaky, faults=lambda outside: outside.fail("service", BUSY, BUSY))
        await world.live()
        began = asyncio.get_running_loop().time()
        assert (await replayed(world)).identical
        assert asyncio.get_running_loop().time() == began

    run(scenario())
