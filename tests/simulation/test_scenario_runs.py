"""Scenario runs under crashes and races: a call leaves its whole decision or nothing, its repeat the same answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock.gates.control import events as e
from interlock.gates.control.keys import run_stream
from interlock.gates.spec import ScenarioSpec, Terminal
from interlock.gates.values import UnixMillis
from interlock.stores.memory import MemoryStore
from interlock.testing.app import memory_app
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import Crash, Points
from tests.unit.gates.control.scenes import Said, Scene, spec, stage
from tests.unit.gates.redecide.lives import condition

CONDITIONS = [condition("a", max_age_ms=500), condition("b")]
DOCUMENT = spec(stage("one", "a", packets=["p"]), stage("two", "b", packets=["q"]), stage("three", to=Terminal()))


class Installation:
    """What survives the processes of one installation."""

    def __init__(self) -> None:
        self._content = MemoryStore(owner="content")
        self._processes = 0

    def process(self, points: Points | None = None, **said: bool) -> Scene:
        """A new process, with evidence of its own."""
        self._processes += 1
        points = points or Points()
        store = points.store = self._content.reopen(f"process {self._processes}", faults=points.reach)
        return Scene(memory_app(store, seed=self._processes), Said(**said))


async def called(scene: Scene, call: str) -> Any:
    match call:
        case "start":
            return await scene.begun(DOCUMENT, packets=True)
        case "trigger":
            return (await scene.trigger("t1")).decision
        case "next":
            return (await scene.next("n1", 2)).decision
        case "submit":
            return await scene.submit("s1", {"n": 1})
        case _:
            return await scene.status()


CALLS = ("start", "trigger", "submit", "next", "status")


@pytest.mark.parametrize("call", CALLS)
def test_a_kill_at_any_point_of_a_call_leaves_all_of_it_or_nothing(call: str) -> None:
    before = CALLS[: CALLS.index(call)]

    async def prepared() -> Installation:
        world = Installation()
        for each in before:
            await called(world.process(a=True, b=False), each)
        return world

    async def points_of() -> int:
        points = Points()
        await called((await prepared()).process(points, a=True, b=False), call)
        return len(points.reached)

    async def scenario(crash_at: int) -> None:
        whole = await prepared()
        expected = await called(whole.process(a=True, b=False), call)
        world = await prepared()
        with pytest.raises(Crash):
            await called(world.process(Points(crash_at), a=True, b=False), call)
        scene = world.process(a=True, b=False)
        if call == "start":
            try:
                state = await scene.state()
            except Exception as fault:  # noqa: BLE001 - either it is there, or there is none
                assert getattr(fault, "code", "") in ("scenario_not_found", "scenario_run_not_found")
                state = await called(scene, call)
            assert state == expected
            return
        assert await called(scene, call) == expected
        state = await scene.state()
        assert [each.seq for each in state.decisions] == list(range(1, len(state.decisions) + 1))
        assert len({each.trigger_id for each in state.decisions}) == len(state.decisions)
        assert len(state.submissions) <= 1

    for crash_at in range(1, run(points_of()) + 1):
        run(scenario(crash_at))


@over_seeds(40)
async def test_any_order_of_arrival_leads_to_one_history_without_gaps() -> None:
    """Several processes and calls at once: every trigger is decided once, and numbers have no holes."""
    world = Installation()
    await called(world.process(), "start")
    scenes = [world.process(a=True, b=number == 0) for number in range(3)]
    calls = [scene.trigger(f"t{number % 4}", number) for number, scene in enumerate(scenes * 4)]
    answers = await asyncio.gather(*calls)
    state = await scenes[0].state()
    assert [each.seq for each in state.triggers] == list(range(1, len(state.triggers) + 1))
    assert [each.decision_id for each in state.decisions] == [f"decision-{n + 1}" for n in range(len(state.decisions))]
    assert len({each.trigger_id for each in state.decisions}) == len(state.decisions)
    given = {each.decision.trigger_id: each.decision for each in answers}
    assert all(each in state.decisions for each in given.values())
    assert len(state.tool_calls) == len(calls)


def test_a_kill_while_gates_close_says_so_once() -> None:
    aging = ScenarioSpec("release", 2, "1", [stage("one", "a"), stage("two", "b")], CONDITIONS, [], [])

    async def opened() -> Installation:
        world = Installation()
        scene = world.process(a=True)
        await scene.begun(aging)
        await scene.trigger("t1", UnixMillis(5_000))
        return world

    async def closed(world: Installation) -> list[e.GatesClosed]:
        found = []
        async for page in world.process().app.journal.read(run_stream("default", 1, 2, "r1")):
            found += [event.record for event in page if isinstance(event.record, e.GatesClosed)]
        return found

    async def points_of() -> int:
        points = Points()
        await (await opened()).process(points).app.timers.fire_due("default", 6_000)
        return len(points.reached)

    async def scenario(crash_at: int) -> None:
        world = await opened()
        with pytest.raises(Crash):
            await world.process(Points(crash_at)).app.timers.fire_due("default", 6_000)
        await world.process().app.timers.fire_due("default", 6_000)
        assert await closed(world) == [e.GatesClosed(5_501, ("a",), None, "one")]
        assert await world.process().app.store.timers.next_due("default") is None

    for crash_at in range(1, run(points_of()) + 1):
        run(scenario(crash_at))
