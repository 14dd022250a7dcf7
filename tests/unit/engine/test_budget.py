"""The size budget of a run: shown, warned of, and refused before it is exceeded."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from interlock.app import App
from interlock.engine import events as e
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.bound_events import ArtifactsCounted, RunBudgetWarned
from interlock.engine.config import FanOutJoin, RunConfig
from interlock.engine.context import Context
from interlock.engine.io.live import LiveIo
from interlock.engine.io.surface import IoCall
from interlock.engine.reports.records import RunResult
from interlock.parts import PARTS, sections_of
from interlock.settings import Settings, load
from interlock.stores.memory import MemoryStore
from interlock.testing.app import memory_app, read_run
from interlock.testing.loop import run


def app_with(store: MemoryStore | None = None, **budget: int) -> App:
    return memory_app(store, settings={"run_budget": budget})


def settings(**budget: int) -> Settings:
    return load(sections_of(PARTS), arguments={"run_budget": budget}, environ={}, folder=Path("/nonexistent"))


async def log_of(app: App, run_id: str) -> list[Any]:
    return [event.record for event in await read_run(app, run_id)]


def chatty(events: int, size: int = 1) -> Plan:
    """A state that puts many events on record."""
    plan = Plan("chatty")

    @plan.state
    async def talk(rec: Recorder) -> None:
        for _ in range(events):
            await rec.emit("said", "x" * size)

    @plan.state(after=[talk])
    async def after() -> None: ...

    return plan


def code_of(result: RunResult) -> str | None:
    return None if result.error is None else result.error.code


@pytest.mark.parametrize("events_max", [20, 21, 50, 99])
def test_a_run_that_wants_more_events_than_it_may_fails_in_order_and_never_has_more(events_max: int) -> None:
    async def main() -> tuple[RunResult, list[Any]]:
        app = app_with(events_max=events_max)
        result = await app.runs.start(chatty(200))
        return result, await log_of(app, result.run_id)

    result, log = run(main())

    assert (result.phase, code_of(result)) == ("failed", "run_budget_exceeded")
    assert isinstance(log[-1], e.RunCompleted)
    assert events_max - 7 <= len(log) <= events_max


def test_a_handler_that_swallows_the_refusal_cannot_go_on_either() -> None:
    plan = Plan("deaf")

    @plan.state
    async def talk(rec: Recorder) -> None:
        for _ in range(100):
            with suppress(Exception):
                await rec.emit("said")

    @plan.state(after=[talk])
    async def second(rec: Recorder) -> None:
        await rec.emit("said")

    async def main() -> tuple[RunResult, list[Any]]:
        app = app_with(events_max=40)
        result = await app.runs.start(plan)
        return result, await log_of(app, result.run_id)

    result, log = run(main())

    assert (result.phase, code_of(result)) == ("failed", "run_budget_exceeded")
    assert len(log) <= 40


def test_the_bytes_of_events_are_counted_exactly_and_held_to() -> None:
    async def main() -> tuple[RunResult, int]:
        app = app_with(bytes_max=20_000)
        result = await app.runs.start(chatty(100, 1_000))
        stored = 0
        async for page in app.journal.read(f"default/run/{result.run_id}"):
            stored += sum(event.bytes for event in page)
        state = await app.runs.read.state(result.run_id)
        assert state.event_bytes == stored
        return result, stored

    result, stored = run(main())

    assert (result.phase, code_of(result)) == ("failed", "run_budget_exceeded")
    assert 15_000 < stored <= 20_000


def test_the_bytes_of_artifacts_count_whoever_stores_them() -> None:
    plan = Plan("heavy")

    @plan.state
    async def write(rec: Recorder, ctx: Context) -> None:
        ctx.write("large", "y" * 100_000)
        for number in range(100):
            await rec.artifact("report", bytes([number]) * 10_000)

    async def main() -> tuple[RunResult, int]:
        app = app_with(bytes_max=400_000)
        result = await app.runs.start(plan)
        report = await app.runs.read.report(result.run_id)
        return result, report.usage.bytes

    result, used = run(main())

    assert (result.phase, code_of(result)) == ("failed", "run_budget_exceeded")
    assert 300_000 < used <= 400_000


def test_a_context_that_would_be_too_large_fails_its_state() -> None:
    plan = Plan("large")

    @plan.state
    async def write() -> str:
        return "z" * 200_000

    result = run(app_with_result(plan, bytes_max=100_000))

    assert (result.phase, code_of(result)) == ("failed", "run_budget_exceeded")


async def app_with_result(plan: Plan, **budget: int) -> RunResult:
    return await app_with(None, **budget).runs.start(plan)


def test_with_states_at_once_the_run_also_ends_in_order_and_within_its_limit() -> None:
    plan = Plan("choir")
    for branch in range(5):

        @plan.state(name=f"talk{branch}")
        async def talk(rec: Recorder) -> None:
            for _ in range(50):
                await rec.emit("said")

    async def main() -> tuple[RunResult, list[Any]]:
        app = app_with(events_max=80)
        result = await app.runs.start(plan, config=RunConfig(execution_mode=FanOutJoin.of(5)))
        return result, await log_of(app, result.run_id)

    result, log = run(main())

    assert (result.phase, code_of(result)) == ("failed", "run_budget_exceeded")
    assert len(log) <= 80


def test_the_soft_limit_warns_once_and_the_run_goes_on() -> None:
    async def main() -> tuple[RunResult, list[Any], bool]:
        app = app_with(events_warned=15, events_max=200)
        result = await app.runs.start(chatty(60))
        report = await app.runs.read.report(result.run_id)
        return result, await log_of(app, result.run_id), report.usage.warned

    result, log, warned = run(main())

    assert (result.phase, warned) == ("completed", True)
    assert [record.events for record in log if isinstance(record, RunBudgetWarned)] == [15]


def test_usage_is_shown_while_a_run_waits_and_survives_its_resume() -> None:
    plan = Plan("asks")

    @plan.state
    async def ask(rec: Recorder, io: LiveIo) -> None:
        for number in range(30):
            await io.record_value(f"fact{number}", "v" * 1_000)
        await io.wait("answer")

    async def main() -> list[int]:
        store = MemoryStore()
        used = []
        for _ in range(3):
            app = app_with(store.reopen())
            result = await app.runs.start(plan, run_id="01890a5d-ac96-774b-bcce-b302099a8057")
            report = await app.runs.read.report(result.run_id)
            used.append(report.usage.bytes)
            assert report.usage.events == report.events
        return used

    used = run(main())

    assert used[0] > 35_000
    assert used == [used[0]] * 3


def order(number: int) -> dict[str, Any]:
    return {"kind": "call_function_v1", "function": "send", "input": number}


def test_an_effect_that_was_sent_is_recorded_even_at_the_limit() -> None:
    """Else the limit would leave in doubt what has happened."""
    plan = Plan("effects")

    @plan.state(side_effects="apply_side_effect")
    async def send(io: LiveIo) -> None:
        for number in range(100):
            await io.call(IoCall("python", order(number), fact_key=f"sent{number}"))

    sent: list[int] = []

    async def main() -> tuple[RunResult, list[Any]]:
        app = App.open(settings=settings(events_max=40), parts=PARTS, functions={"send": sent.append})
        async with app as opened:
            result = await opened.runs.start(plan)
            return result, await log_of(opened, result.run_id)

    result, log = asyncio.run(main())
    facts = [record for record in log if isinstance(record, e.FactRecorded)]

    assert code_of(result) == "run_budget_exceeded"
    assert len(facts) == len(sent) > 5
    assert not any(isinstance(record, e.RunParked) for record in log)
    assert len(log) <= 40


def test_much_that_is_stored_is_counted_by_events_of_its_own() -> None:
    plan = Plan("heavy")

    @plan.state
    async def write(rec: Recorder) -> None:
        for number in range(20):
            await rec.artifact("report", bytes([number]) * 10_000)

    async def main() -> list[Any]:
        app = app_with()
        return await log_of(app, (await app.runs.start(plan)).run_id)

    counted = [record.bytes for record in run(main()) if isinstance(record, ArtifactsCounted)]

    assert len(counted) == 2
    assert counted == sorted(counted)
