"""Stages with `auto_tick`: they end by themselves, once, at the time at which they were due."""

from __future__ import annotations

from typing import Any

from interlock.app import App
from interlock.gates.records import RunConfig
from interlock.gates.spec import Branch, BranchRule, ScenarioSpec, TimeoutSpec
from interlock.gates.values import Logical, Timestamp, UnixMillis
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import ADA, Said, Scene, spec, stage

LIMIT = TimeoutSpec(1_000, [])
BEGUN = UnixMillis(5_000)


def limited(name: str, **members: Any) -> Any:
    return stage(name, "a", **{"timeout": LIMIT, "auto_tick": True, **members})


async def begun(app: App, document: ScenarioSpec, at: Timestamp = BEGUN) -> None:
    """A run that `app` itself has: its timers are fired by it."""
    await app.definitions.define(document, principal=ADA)
    config = RunConfig(1, document.namespace_id, "r1", document.scenario_id, [], [])
    await app.scenarios.start("release", config, at, issue_entry_packets=False, principal=ADA)


async def state_of(app: App) -> Any:
    return await app.scenarios.state("release", 1, 2, "r1", principal=ADA)


async def due(app: App) -> int | None:
    return await app.store.timers.next_due("default")


def test_the_end_of_a_stage_makes_its_own_tick() -> None:
    async def main() -> None:
        app = memory_app()
        await begun(app, spec(limited("one", on_timeout="advance_with_flag"), limited("two")))
        assert await due(app) == 6_000
        assert await app.timers.fire_due("default", 5_999) == 0
        assert await app.timers.fire_due("default", 6_500) == 1
        state = await state_of(app)
        [trigger] = state.triggers
        assert (trigger.event.trigger_id, trigger.event.kind) == ("auto_tick:one:1", "tick")
        assert trigger.event.time == state.stage_entered_at == UnixMillis(6_000)
        assert (state.current_stage_id, state.decisions[0].outcome.timeout) == ("two", True)
        assert state.tool_calls == []

        assert await app.timers.fire_due("default", 10_000) == 1
        state = await state_of(app)
        assert (state.status, state.decisions[1].outcome.reason) == ("failed", "timeout")
        assert await due(app) is None

    run(main())


def test_a_stage_that_was_left_in_time_ticks_no_more() -> None:
    async def main() -> None:
        app = memory_app()
        scene = Scene(app, Said(a=True))
        await begun(app, spec(limited("one"), stage("two", "b")))
        await scene.trigger("t1", UnixMillis(5_500))
        assert await due(app) is None
        assert (await scene.state()).status == "active"

    run(main())


def test_a_hold_leaves_the_timer_as_it_was() -> None:
    async def main() -> None:
        app = memory_app()
        scene = Scene(app, Said())
        await begun(app, spec(limited("one")))
        await scene.trigger("t1", UnixMillis(5_500))
        assert await due(app) == 6_000

    run(main())


def test_a_tick_of_a_caller_that_was_first_is_the_one() -> None:
    async def main() -> None:
        app = memory_app()
        scene = Scene(app, Said())
        await begun(app, spec(limited("one")))
        answer = await scene.trigger("t1", UnixMillis(6_000), kind="tick")
        assert answer.status == "failed"
        assert await app.timers.fire_due("default", 7_000) == 0
        assert len((await scene.state()).triggers) == 1

    run(main())


def test_a_tick_that_leads_nowhere_takes_its_timer_away_and_says_why() -> None:
    to = Branch([BranchRule("a", "true", "one")])

    async def main() -> None:
        app = memory_app()
        await begun(app, spec(limited("one", to=to, on_timeout="alternate_branch")))
        assert await app.timers.fire_due("default", 6_000) == 1
        assert await due(app) is None
        state = await state_of(app)
        assert (state.status, state.triggers, state.decisions) == ("active", [], [])

    run(main())


def test_only_a_stage_that_asks_for_it_and_has_a_wall_clock_ticks() -> None:
    async def main() -> None:
        for document, at in (
            (spec(limited("one", auto_tick=False)), BEGUN),
            (spec(stage("one", "a", auto_tick=True)), BEGUN),
            (spec(limited("one")), Logical(1)),
        ):
            app = memory_app()
            await begun(app, document, at)
            assert await due(app) is None

    run(main())


def test_a_firing_in_another_process_finds_the_scenario_by_its_document() -> None:
    async def main() -> None:
        app = memory_app()
        await begun(app, spec(limited("one")))
        other = memory_app(app.store.reopen())  # type: ignore[attr-defined]
        assert await other.timers.fire_due("default", 6_000) == 1
        assert (await state_of(other)).status == "failed"

    run(main())
