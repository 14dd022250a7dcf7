"""Read third: what happens when a process dies, and who goes on."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from interlock import InterlockError, Plan
from interlock.base.events import Place
from interlock.engine import events as e
from interlock.engine.config import RunConfig
from interlock.engine.decide import Enter, decide
from interlock.engine.fold import RUN_FOLD
from interlock.engine.schedule import ReadyStates
from interlock.stores.memory import MemoryStore
from interlock.testing.app import memory_app, read_run
from interlock.testing.checker import InvariantBroken, check_run
from interlock.testing.loop import over_seeds

RUN = "60000000-0000-4000-8000-000000000001"


def working(done: list[str], seconds: float = 60) -> Plan:
    """Two states that take a minute each."""
    plan = Plan("working")

    @plan.state
    async def first() -> int:
        await asyncio.sleep(seconds)
        done.append("first")
        return 1

    @plan.state
    async def second(first: int) -> int:
        await asyncio.sleep(seconds)
        done.append("second")
        return first + 1

    return plan


@over_seeds(0)
async def test_15_after_a_crash_another_process_goes_on_and_repeats_nothing_that_completed() -> None:
    done: list[str] = []
    content = MemoryStore()
    dying = content.reopen()
    doomed = asyncio.create_task(memory_app(dying).runs.start(working(done), run_id=RUN))
    await asyncio.sleep(90)  # in the middle of the second state …
    dying.die()  # … the process is killed
    await asyncio.gather(doomed, return_exceptions=True)
    done.remove("second")

    app = memory_app(content.reopen())
    result = await app.runs.resume(RUN, plan=working(done))

    assert result.phase == "completed"
    assert done == ["first", "second"]
    [_, step] = (await app.runs.read.report(RUN)).steps
    assert (step.attempts, step.crashes, step.failures) == (2, 1, 0)  # a crash is no failure of the state


@over_seeds(3)
async def test_16_a_run_has_one_owner_and_whoever_else_asks_watches() -> None:
    done: list[str] = []
    content = MemoryStore()
    apps = [memory_app(content.reopen(f"process {number}")) for number in range(3)]
    results = await asyncio.gather(*(app.runs.start(working(done), run_id=RUN) for app in apps))

    assert results[0] == results[1] == results[2]
    assert done == ["first", "second"]


@over_seeds(0)
async def test_17_what_a_run_is_follows_from_its_events_alone() -> None:
    app = memory_app()
    plan = working([])
    await app.runs.start(plan, run_id=RUN)
    state = RUN_FOLD.initial("default/run/" + RUN)
    for event in await read_run(app, RUN):
        assert event.record is not None
        state = RUN_FOLD.evolve(state, event.record, event.place)

    assert (state.status, sorted(state.steps)) == ("completed", ["working.first.main", "working.second.main"])


def test_18_what_a_run_does_next_is_a_pure_function_of_that() -> None:
    plan = working([]).build()
    state = RUN_FOLD.initial("default/run/" + RUN)
    state = RUN_FOLD.evolve(state, e.RunStarted("1" * 64, "2" * 64, "working"), place(1))
    fresh = decide(state, plan, ReadyStates(plan, (), state.steps), RunConfig(), 0, 5)
    assert fresh == Enter(0, (e.StateEntered(0, "1" * 64, "working.first.main"),))

    state = RUN_FOLD.evolve(state, e.StateEntered(0, "1" * 64, "working.first.main"), place(2))
    crashed = decide(state, plan, ReadyStates(plan, (), state.steps), RunConfig(), 0, 5)
    assert isinstance(crashed, Enter)
    assert [type(record) for record in crashed.records] == [e.StateFailed, e.StateEntered]  # in one append


def place(seq: int) -> Place:
    return Place("default/run/" + RUN, seq, 0, "system:engine", None)


@over_seeds(0)
async def test_19_a_log_can_be_checked_by_rules_that_share_no_code_with_the_engine() -> None:
    app = memory_app()
    plan = working([])
    result = await app.runs.start(plan, run_id=RUN)
    log = await read_run(app, RUN)

    check_run(log, plan=plan.build(), result=result)
    with pytest.raises(InvariantBroken, match="I1 is broken at event 4"):
        check_run([*log[:3], *log[4:]])


@pytest.mark.unproved("it flips a byte of its store, to see it found")
@over_seeds(0)
async def test_20_one_flipped_byte_is_found() -> None:
    content = MemoryStore()
    await memory_app(content).runs.start(working([]), run_id=RUN)
    events = content._handle.data.streams["default/run/" + RUN]
    damaged = events[3]
    assert damaged.data is not None
    events[3] = msgspec.structs.replace(damaged, data=damaged.data.replace(b"first", b"worst"))

    with pytest.raises(InterlockError, match="event_corrupt") as found:
        await read_run(memory_app(content), RUN)
    assert found.value.details["seq"] == 4
