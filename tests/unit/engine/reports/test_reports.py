"""What people and programs are told about a run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import pytest
from msgspec import Struct

from interlock.base.errors import InterlockError, NotFound
from interlock.base.events import Claim
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy
from interlock.engine.errors import StateFailure
from interlock.engine.plan import PlanOutline
from interlock.engine.reports.reasons import reasons_of
from interlock.engine.reports.records import result_of, steps_of, waiting_of
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import RUN_ID, World
from tests.simulation.histories import (
    AFTER_A,
    INITIAL,
    START_MS,
    STREAM,
    A,
    B,
    chain_plan,
    completed,
    ended,
    entered,
    failed,
    folded,
    intended,
    orphaned,
    started,
)
from tests.simulation.outside import TIMED_OUT
from tests.simulation.plans import failing, numbers, single, unkeyed

OWNER = Claim(STREAM, "run", "process 1", 1, START_MS + 30_000)


def told(history: Sequence[Struct], owner: Claim | None = None) -> tuple[str, str | None, str | None]:
    """Phase, kind of waiting and snapshot."""
    state = folded(history)
    result = result_of(RUN_ID, state, waiting_of(state, owner))
    return result.phase, None if result.waiting is None else result.waiting.kind, result.final_snapshot_id


BEGUN: list[Struct] = [started(), entered(A, 0, INITIAL)]


@pytest.mark.parametrize(
    ("history", "owner", "expected"),
    [
        ([started()], None, ("running", "queued", INITIAL)),
        (BEGUN, OWNER, ("running", None, INITIAL)),
        (BEGUN, None, ("running", "queued", INITIAL)),
        ([*BEGUN, completed(A, AFTER_A)], OWNER, ("running", None, AFTER_A)),
        ([*BEGUN, failed(A), e.RetryScheduled(START_MS + 5, A)], None, ("running", "backoff", INITIAL)),
        ([*BEGUN, orphaned(A), e.RunParked("crash_budget_spent", None, A)], OWNER, ("running", "parked", INITIAL)),
        ([*BEGUN, completed(A, AFTER_A), ended(AFTER_A)], None, ("completed", None, AFTER_A)),
        ([*BEGUN, failed(A), ended(INITIAL, e.RunStatus.FAILED)], None, ("failed", None, INITIAL)),
        ([*BEGUN, orphaned(A), ended(INITIAL, e.RunStatus.CANCELLED)], None, ("cancelled", None, INITIAL)),
    ],
)
def test_a_result_says_what_the_log_says(
    history: list[Struct], owner: Claim | None, expected: tuple[str, str | None, str | None]
) -> None:
    """I15, I16."""
    assert told(history, owner) == expected


def test_steps_stand_in_the_order_of_execution_with_what_became_of_them() -> None:
    state = folded([*BEGUN, orphaned(A), entered(A, 1, INITIAL), completed(A, AFTER_A), entered(B, 0, AFTER_A)])
    plan = chain_plan()
    steps = steps_of(state, msgspec.json.decode(plan.outline, type=PlanOutline).order())

    assert [(s.name, s.status, s.attempts, s.crashes, s.failures) for s in steps] == [
        ("a", "completed", 2, 1, 0),
        ("b", "running", 1, 0, 0),
        ("c", "pending", 0, 0, 0),
    ]


def test_why_names_who_can_release_a_parked_effect() -> None:
    state = folded(
        [
            *BEGUN,
            intended("pay", A),
            failed(A, "side_effect_outcome_unknown"),
            e.RunParked("side_effect_outcome_unknown", "pay", A),
        ]
    )
    [reason] = reasons_of(RUN_ID, state, waiting_of(state, None), None)

    assert (reason.kind, reason.state_id) == ("parked", A)
    assert "pay" in reason.explanation
    assert [option.split("--")[1].split()[0] for option in reason.release] == ["adopt", "retry", "abandon"]


def test_why_offers_no_adoption_where_no_effect_is_in_doubt() -> None:
    state = folded([*BEGUN, orphaned(A), e.RunParked("crash_budget_spent", None, A)])
    [reason] = reasons_of(RUN_ID, state, waiting_of(state, None), None)

    assert not [option for option in reason.release if "--adopt" in option]


def test_why_says_who_drives_a_run_that_moves() -> None:
    state = folded(BEGUN)
    [reason] = reasons_of(RUN_ID, state, waiting_of(state, OWNER), OWNER)

    assert reason.kind == "running"
    assert "process 1" in reason.explanation


def test_why_has_nothing_to_say_of_a_run_that_ended_well() -> None:
    state = folded([*BEGUN, completed(A, AFTER_A), ended(AFTER_A)])

    assert reasons_of(RUN_ID, state, waiting_of(state, None), None) == []


@over_seeds(0)
async def test_why_says_what_failed() -> None:
    world = World(failing)
    await world.live()
    [reason] = await world.process().runs.read.why(RUN_ID)

    assert reason.kind == "failed"
    assert "broken" in reason.explanation


@over_seeds(0)
async def test_a_report_holds_input_steps_and_place() -> None:
    world = World(numbers, {"start": 1})
    await world.live()
    app = world.process()
    app.runs.plans.add(numbers())
    report = await app.runs.read.report(RUN_ID)

    assert (report.op_id, report.phase, report.input, report.owner) == ("numbers", "completed", {"start": 1}, None)
    assert report.events == len(world.log)
    assert [(step.name, step.status) for step in report.steps] == [
        ("one", "completed"),
        ("two", "completed"),
        ("three", "completed"),
    ]


@over_seeds(0)
async def test_a_run_that_waits_for_its_back_off_says_until_when() -> None:
    async def only() -> None:
        raise StateFailure("broke", "it broke", retryable=True)

    world = World(single(only, retry=RetryPolicy.fixed(2, 3_600_000)))
    await world.live()
    runs = world.process().runs
    [reason] = await runs.read.why(RUN_ID)
    waiting = (await runs.read.result(RUN_ID)).waiting

    assert waiting is not None
    assert (waiting.kind, reason.kind) == ("backoff", "backoff")
    assert waiting.until_ms == reason.until_ms == world.log[-1].envelope.at_ms + 3_600_000


@over_seeds(0)
async def test_a_parked_run_says_since_when() -> None:
    world = World(unkeyed, faults=lambda outside: outside.fail("pay", TIMED_OUT))
    await world.live()
    [reason] = await world.process().runs.read.why(RUN_ID)

    assert reason.since_ms == world.log[-1].envelope.at_ms


@over_seeds(3)
async def test_a_run_that_is_being_driven_names_its_owner() -> None:
    def plan() -> Plan:
        plan = Plan("demo")

        @plan.state
        async def slow() -> None:
            await asyncio.sleep(10)

        return plan

    world = World(plan)
    driven = asyncio.create_task(world.live())
    await asyncio.sleep(5)
    report = await world.process().runs.read.report(RUN_ID)

    assert (report.phase, report.waiting, report.owner) == ("running", None, "process 1")
    await driven


def test_a_run_that_does_not_exist_is_not_found() -> None:
    async def scenario() -> None:
        runs = World(numbers).process().runs
        for question in (runs.read.result, runs.read.report, runs.read.why, runs.read.context):
            with pytest.raises(InterlockError, match="run_not_found"):
                await question(RUN_ID)

    run(scenario())


@over_seeds(0)
async def test_what_a_step_returned_is_found_by_its_name() -> None:
    world = World(numbers, {"start": 1})
    await world.live()
    runs = world.process().runs

    assert await runs.read.output(RUN_ID, "two") == 3
    assert await runs.read.output(RUN_ID, "three") is None


@over_seeds(5)
async def test_questions_beside_a_running_run_see_it_grow_and_agree() -> None:
    """K4, I14: one reader asks again and again from its cache, another anew each time."""
    world = World(numbers, {"start": 1})
    driven = asyncio.create_task(world.live())
    asked = world.process().runs
    events: list[int] = []
    while not driven.done():
        with suppress(NotFound):  # until it has begun
            events.append((await asked.read.report(RUN_ID)).events)
        await asyncio.sleep(0)
    await driven

    assert events == sorted(events)
    assert await asked.read.result(RUN_ID) == await world.process().runs.read.result(RUN_ID) == world.result
