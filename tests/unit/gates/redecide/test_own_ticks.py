"""Runs whose stages end by themselves are decided again like others: no call made those decisions."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from interlock.gates.records import RunConfig, RunState
from interlock.gates.redecide.again import redecide
from interlock.gates.redecide.logs import Known
from interlock.gates.spec import ScenarioSpec, TimeoutSpec
from interlock.gates.values import UnixMillis
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import ADA, Said, Scene, spec, stage
from tests.unit.gates.redecide.lives import logs_of, scenario_of

LIMIT = TimeoutSpec(1_000, [])
BEGUN = UnixMillis(5_000)


def document() -> ScenarioSpec:
    first = stage("one", "a", timeout=LIMIT, auto_tick=True, on_timeout="advance_with_flag", packets=["p"])
    return spec(first, stage("two", "a", timeout=LIMIT, auto_tick=True, packets=["q"]))


async def lived(order: str) -> RunState:
    """A run under calls and ticks: `s` asks how it stands, `t` triggers, `r` repeats the first trigger, `.` ticks."""
    app = memory_app()
    scene = Scene(app, Said())
    scene.said.observed_ms = 4_000
    await app.definitions.define(document(), principal=ADA)
    config = RunConfig(1, 2, "r1", "release", [], [])
    scene.runs = app.scenarios
    app.scenarios._evidence = scene.said
    await app.scenarios.start("release", config, BEGUN, issue_entry_packets=True, principal=ADA)
    now_ms = 5_000
    for number, what in enumerate(order):
        now_ms += 100
        match what:
            case "s":
                await scene.status()
            case "t":
                await scene.trigger(f"t{number}", UnixMillis(now_ms))
            case "r":
                await scene.trigger("t0", UnixMillis(now_ms))
            case _:
                now_ms += 1_000
                assert await app.timers.fire_due("default", now_ms) == 1
    state: RunState = await scene.state()
    return state


def findings(state: RunState) -> list[str]:
    known = Known(BEGUN, state.dispatch_targets, None)
    found = redecide(scenario_of(document()), logs_of(state), known)
    return [f"{each.place}: {each.message}" for each in found.findings]


@pytest.mark.parametrize("order", [".", "..", "s.s.s", "t.t.", "ts.rst.rs", "trs.s.r", "t..s", "t..r"])
def test_what_stages_decided_by_themselves_follows(order: str) -> None:
    state = run(lived(order))
    assert [each.event.trigger_id.partition(":")[0] for each in state.triggers].count("auto_tick") == order.count(".")
    assert findings(state) == []


def test_a_tick_that_no_stage_made_is_found() -> None:
    state = run(lived("t."))
    [tick] = [each for each in state.triggers if each.event.trigger_id.startswith("auto_tick:")]
    forged = replace(tick, event=replace(tick.event, source_id="eve"))
    wrong = replace(state, triggers=[*state.triggers[:-1], forged])
    assert "tool_calls/1: a decision was made without a call" in findings(wrong)


def test_a_tick_before_its_time_is_found() -> None:
    state = run(lived("."))
    tick = state.triggers[-1]
    early = replace(tick, event=replace(tick.event, time=UnixMillis(5_999)))
    wrong: Any = replace(state, triggers=[*state.triggers[:-1], early])
    assert findings(wrong) != []
