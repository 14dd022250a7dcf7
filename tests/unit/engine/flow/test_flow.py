"""Keys and rates, decided without a store: what is refused, what `decide` passes over, what the events mean."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.base.events import Place
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.bound_events import FlowRequested, UnitAwaited
from interlock.engine.config import FanOutJoin, RunConfig
from interlock.engine.decide import Await, Enter, Stop, closure, decide
from interlock.engine.flow.limits import Flow, Needs, Rate, needs_of
from interlock.engine.fold import RUN_FOLD, evolve
from interlock.engine.plan import ExecutionPlan
from interlock.engine.reports.records import is_all_queued, waiting_of
from interlock.engine.run_state import RunState
from interlock.engine.schedule import ReadyStates
from interlock.testing.app import memory_app
from interlock.testing.loop import run

STREAM = "default/run/r"
EMPTY = "e" * 64
DEVICE, OTHER = Flow(key="device", limit=1), Flow(key="other", limit=1)
CONFIG = RunConfig(execution_mode=FanOutJoin.of(4))


def branches(*flows: Flow | None) -> ExecutionPlan:
    plan = Plan("op")
    for number, flow in enumerate(flows):

        @plan.state(name=f"s{number}", flow=flow)
        async def state() -> None: ...

    return plan.build()


def folded(*records: Any) -> RunState:
    state = RUN_FOLD.initial(STREAM)
    opening = (e.RunStarted(EMPTY, EMPTY, "op"), e.RunLimits(None, 4))
    for seq, record in enumerate((*opening, *records), 1):
        state = evolve(state, record, Place(STREAM, seq, 1_000 + seq, "system:engine", None, 10))
    return state


@pytest.mark.parametrize(
    "given",
    [
        Flow(key="", limit=1),
        Flow(key="k" * 201, limit=1),
        Flow(key="k", limit=0),
        Flow(key="k", limit=1, priority=2_000_000),
        Flow(key="k", limit=1, group="g" * 201),
        Flow(key="\ud800", limit=1),
        Flow(key="k", limit=1.5),  # type: ignore[arg-type]  # what a program without types may give
        Rate(key="k", limit=1, per_ms=0),
        Rate(key="", limit=1, per_ms=1),
    ],
)
def test_a_key_or_limit_that_can_not_be_is_refused_before_anything_is_written(given: Flow | Rate) -> None:
    flow, rate = (given, None) if isinstance(given, Flow) else (None, given)
    plan = Plan("op")

    @plan.state
    async def only() -> None: ...

    async def main() -> int:
        app = memory_app()
        with pytest.raises(InterlockError) as caught:
            await app.runs.start(plan, flow=flow, rate=rate)
        assert caught.value.code == "flow_invalid"
        return await app.store.events.position("default")

    with pytest.raises(InterlockError, match=r".") as caught:
        Plan("op").add("s", plan.build().states[0].state, flow=flow, rate=rate)
    assert caught.value.code == "flow_invalid"
    assert run(main()) == 0


def test_a_secret_is_no_key() -> None:
    with pytest.raises(InterlockError) as caught:
        needs_of(Flow(key="ghp_" + "a1B2" * 9, limit=1), None)
    assert caught.value.code == "secrets_detected"


def test_limits_of_states_are_no_part_of_the_plan_s_fingerprint() -> None:
    assert branches(DEVICE, None).fingerprint == branches(None, OTHER).fingerprint


def test_states_that_need_what_is_blocked_are_passed_over_and_others_are_entered() -> None:
    plan = branches(DEVICE, DEVICE, None, OTHER)
    state, blocked = folded(), [Needs(DEVICE, None)]
    ready = ReadyStates(plan, ())
    entered = []
    for _ in range(2):
        decision = decide(state, plan, ready, CONFIG, 2_000, 5, (), blocked)
        assert isinstance(decision, Enter)
        entered.append(decision.place)
        ready.enter(decision.place)

    assert entered == [2, 3]
    assert decide(state, plan, ready, CONFIG, 2_000, 5, ("x",), blocked) == Await()
    assert decide(state, plan, ready, CONFIG, 2_000, 5, (), blocked) == Stop((), "queued")
    assert isinstance(decide(state, plan, ready, CONFIG, 2_000, 5), Enter)


def test_a_run_that_waits_for_its_own_unit_enters_nothing() -> None:
    plan = branches(None, DEVICE)

    assert decide(folded(), plan, ReadyStates(plan, ()), CONFIG, 2_000, 5, (), [None]) == Stop((), "queued")


def test_a_run_is_queued_since_it_asked_and_until_the_state_is_entered() -> None:
    asked = (FlowRequested(DEVICE, None), UnitAwaited("flow/device", 3, "r:run:1.1", None))
    waiting = waiting_of(folded(*asked), None)
    entered = folded(*asked, e.StateEntered(0, EMPTY, "op.s0.main"))

    assert waiting is not None
    assert (waiting.kind, waiting.place, waiting.since_ms) == ("queued", 3, 1_004)
    assert entered.queued == []
    assert is_all_queued(folded(*asked), 2_000)


def test_a_run_of_branches_is_queued_though_one_of_them_is_parked() -> None:
    parked = (
        e.StateEntered(0, EMPTY, "op.s0.main"),
        closure("op.s0.main", "crash_budget_spent", "it crashed too often"),
        e.RunParked("crash_budget_spent", None, "op.s0.main"),
    )
    waiting = waiting_of(folded(*parked, UnitAwaited("flow/device", 2, "a", "op.s1.main")), None)

    assert waiting is not None
    assert (waiting.kind, waiting.state_id, waiting.place) == ("queued", "op.s1.main", 2)


def test_orphans_that_wait_for_units_let_nothing_else_have_their_places_and_the_run_stops() -> None:
    plan = branches(DEVICE, DEVICE, DEVICE, DEVICE, None)
    state = folded(*(e.StateEntered(0, EMPTY, f"op.s{number}.main") for number in range(4)))
    ready = ReadyStates(plan, (), state.steps)

    assert decide(state, plan, ready, CONFIG, 2_000, 5, (), [Needs(DEVICE, None)]) == Stop((), "queued")


def test_asking_again_for_the_same_takes_the_place_of_the_request_before() -> None:
    state = folded(UnitAwaited("flow/device", 3, "a", "op.s0.main"), UnitAwaited("flow/device", 1, "b", "op.s0.main"))

    assert [(each.request_id, each.place) for each in state.queued] == [("b", 1)]


def test_what_a_run_needs_is_recorded_once_before_it_begins() -> None:
    with pytest.raises(InterlockError) as caught:
        folded(FlowRequested(DEVICE, None), FlowRequested(DEVICE, None))
    assert caught.value.code == "run_corrupt"
