"""The loop that drives states that run at once."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from interlock import Io, Plan, RunConfig
from interlock.base.principal import local_principal
from interlock.engine.config import FanOutJoin
from interlock.testing.app import memory_app
from interlock.testing.loop import over_seeds


@over_seeds(10)
async def test_a_branch_that_ends_while_the_run_decides_about_another_is_not_waited_for_for_ever() -> None:
    """Its bell had rung already, and nobody was to ring again: the run hung."""
    plan = Plan("fan")
    for name in "abc":

        @plan.state(name=name)
        async def ask(io: Io, name: str = name) -> None:
            await asyncio.sleep(0.01)
            if name != "c":
                await io.wait("go", object)

    app, run_id = memory_app(), str(uuid4())
    await app.runs.start(plan, run_id=run_id, config=RunConfig(execution_mode=FanOutJoin.of(3)))
    for step in "ab":
        await app.runs.control.signal(run_id, step, "go", principal=local_principal("ada"))

    assert (await app.runs.resume(run_id)).phase == "completed"
