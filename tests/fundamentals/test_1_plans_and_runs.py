"""Read first: what a plan is, and what a run of it leaves behind."""

from __future__ import annotations

import asyncio

import pytest

from interlock import Context, InterlockError, Plan, RetryPolicy, StateFailure
from interlock.testing.app import memory_app, read_run
from interlock.testing.loop import over_seeds


@over_seeds(0)
async def test_01_a_plan_is_functions_and_their_parameters_make_the_order() -> None:
    plan = Plan("greeting")

    @plan.state
    async def shout(greet: str) -> str:  # needs the result of `greet`, so it runs after it
        return greet.upper()

    @plan.state
    async def greet(name: str) -> str:  # `name` is no state, so it comes from the run's input
        return f"Hello {name}"

    app = memory_app()
    result = await app.runs.start(plan, {"name": "Ada"})

    assert result.phase == "completed"
    assert await app.runs.read.context(result.run_id) == {
        "name": "Ada",
        "greet": "Hello Ada",
        "shout": "HELLO ADA",
    }


def test_02_a_plan_that_cannot_work_is_refused_before_anything_runs() -> None:
    plan = Plan("circular")

    @plan.state
    async def hen(egg: str) -> str:
        return egg

    @plan.state
    async def egg(hen: str) -> str:
        return hen

    with pytest.raises(InterlockError) as refused:
        plan.build()

    assert refused.value.code == "plan_invalid"  # every error has a stable code …
    assert refused.value.advice == "Correct the plan as the message says."  # … and says what to do next
    assert refused.value.details["cycle"] == ["circular.hen.main", "circular.egg.main"]


@over_seeds(0)
async def test_03_everything_that_happens_in_a_run_is_an_event() -> None:
    plan = Plan("small")

    @plan.state
    async def only() -> int:
        return 1

    app = memory_app()
    result = await app.runs.start(plan)
    events = await read_run(app, result.run_id)

    assert [event.envelope.type for event in events] == [
        "engine.run_started",
        "engine.plan_recorded",
        "engine.owner_claimed",
        "engine.state_entered",
        "engine.state_completed",
        "engine.run_completed",
    ]


@over_seeds(0)
async def test_04_states_share_a_context_and_a_failed_attempt_leaves_no_trace_in_it() -> None:
    plan = Plan("sharing")

    @plan.state
    async def writes(ctx: Context) -> None:
        ctx.write("kept", 1)

    @plan.state(after=[writes])
    async def fails(ctx: Context) -> None:
        ctx.write("kept", await ctx.require("kept", int) + 1)
        raise StateFailure("too_bad", "it cannot be done")

    app = memory_app()
    result = await app.runs.start(plan)

    assert result.phase == "failed"
    assert await app.runs.read.context(result.run_id) == {"kept": 1}


@over_seeds(0)
async def test_05_a_failure_that_may_pass_is_tried_again_by_policy() -> None:
    plan, tried = Plan("patient"), []

    @plan.state(retry=RetryPolicy.exponential(3, base_ms=1_000, max_ms=60_000))
    async def flaky() -> str:
        tried.append(1)
        if len(tried) < 3:
            raise StateFailure("busy", "the other side is busy", retryable=True)
        return "done"

    app = memory_app()
    result = await app.runs.start(plan)
    [step] = (await app.runs.read.report(result.run_id)).steps

    assert (result.phase, step.attempts, step.failures) == ("completed", 3, 2)
    assert asyncio.get_running_loop().time() == 3  # 1 s and 2 s passed, in no time: the clock is virtual


@over_seeds(0)
async def test_06_the_same_run_id_is_the_same_run() -> None:
    plan = Plan("counted")

    @plan.state
    async def count(start: int) -> int:
        return start + 1

    app, run_id = memory_app(), "60000000-0000-4000-8000-000000000001"
    first = await app.runs.start(plan, {"start": 1}, run_id=run_id)
    again = await app.runs.start(plan, {"start": 1}, run_id=run_id)

    assert again == first
    with pytest.raises(InterlockError, match="run_conflict"):
        await app.runs.start(plan, {"start": 2}, run_id=run_id)
