"""Where an operation begins and ends stands on record once, beside the event that says so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import Struct

from interlock.engine import events as e
from interlock.engine.config import RunConfig
from interlock.engine.decide import Enter, completed_states, decide
from interlock.engine.pipelines.boundaries import OpBoundary, OpPhase, completion_boundaries, entry_boundaries
from interlock.engine.plan import DependencyEdge, ExecutionPlan
from interlock.engine.schedule import ReadyStates
from interlock.testing.loop import run
from tests.simulation.crashes import World, records
from tests.simulation.histories import (
    AFTER_A,
    AFTER_B,
    INITIAL,
    START_MS,
    completed,
    entered,
    failed,
    folded,
    node,
    orphaned,
    started,
)
from tests.simulation.operations import Given, of, sums

A, B, C = "demo.one.a", "demo.one.b", "demo.two.c"
PLAN = ExecutionPlan(
    "demo", "1", (node(A), node(B), node(C)), (DependencyEdge(A, B), DependencyEdge(B, C)), boundaries=True
)
OPENED = [started(), entered(A, 0, INITIAL)]
LAST = [*OPENED, completed(A, AFTER_A), entered(B, 0, AFTER_A)]


def said(records: tuple[Struct, ...]) -> list[tuple[str, str, bytes]]:
    return [
        (type(each).__name__, each.name, bytes(each.payload)) for each in records if isinstance(each, e.DomainEmitted)
    ]


def boundary(path: str, phase: str) -> list[tuple[str, str, bytes]]:
    return [("DomainEmitted", "op_boundary", f'{{"op_path":"{path}","phase":"{phase}"}}'.encode())]


def test_the_payload_is_that_of_the_contract() -> None:
    assert OpBoundary("m.s", OpPhase.STARTED) == OpBoundary("m.s", OpPhase("started"))
    assert [phase.value for phase in OpPhase] == ["started", "completed"]
    assert OpBoundary.__struct_fields__ == ("op_path", "phase")


@pytest.mark.parametrize(
    ("history", "state", "expected"),
    [
        ([started()], A, boundary("demo.one", "started")),
        ([*OPENED, completed(A, AFTER_A)], B, []),
        ([*LAST, completed(B, AFTER_B)], C, boundary("demo.two", "started")),
        ([*OPENED, failed(A)], A, []),
        ([*OPENED, orphaned(A)], A, []),
    ],
    ids=["the first state", "a later state", "the first of the next", "a retry", "a recovered orphan"],
)
def test_an_operation_has_started_with_the_first_entry_of_any_of_its_states(
    history: list[Struct], state: str, expected: list[object]
) -> None:
    assert said(entry_boundaries(folded(history), PLAN, state)) == expected


@pytest.mark.parametrize(
    ("history", "state", "expected"),
    [
        (OPENED, A, []),
        ([*OPENED, failed(A), entered(B, 0, INITIAL)], B, []),
        (LAST, B, boundary("demo.one", "completed")),
        ([*LAST, failed(B), entered(B, 1, AFTER_A)], B, boundary("demo.one", "completed")),
        ([*LAST, completed(B, AFTER_B), entered(C, 0, AFTER_B)], C, boundary("demo.two", "completed")),
    ],
    ids=[
        "the first of two",
        "the last beside one that failed",
        "the last",
        "the last, on a second attempt",
        "the only one",
    ],
)
def test_an_operation_has_completed_with_the_last_of_its_states(
    history: list[Struct], state: str, expected: list[object]
) -> None:
    assert said(completion_boundaries(folded(history), PLAN, state)) == expected


def test_a_plan_without_boundaries_and_a_minimal_run_have_none() -> None:
    plain = replace(PLAN, boundaries=False)

    assert entry_boundaries(folded([started()]), plain, A) == ()
    assert completion_boundaries(folded(LAST), plain, B) == ()
    assert entry_boundaries(folded([started()]), PLAN, A, "Minimal") == ()
    assert completion_boundaries(folded(LAST), PLAN, B, "Minimal") == ()
    assert plain.fingerprint == PLAN.fingerprint


def test_the_entry_of_a_state_and_the_start_of_its_operation_are_one_decision() -> None:
    state = folded([started()])
    decision = decide(state, PLAN, ReadyStates(PLAN, completed_states(state)), RunConfig(), START_MS, 3)

    assert isinstance(decision, Enter)
    assert [type(each) for each in decision.records] == [e.StateEntered, e.DomainEmitted]


def shape(config: RunConfig | None = None) -> list[str]:
    """What a run of two operations of two states and one records, in short."""

    async def scenario() -> list[str]:
        world = World(lambda: of(Given(states=("a", "b"), edges=[("a", "b")]), Given()), config=config)
        await world.live()
        return [short(record) for record in records(world.log)]

    return run(scenario())[3:]


def short(record: Struct) -> str:
    match record:
        case e.StateEntered():
            return f"enter {record.state_id}"
        case e.StateCompleted():
            return f"complete {record.state_id}"
        case e.DomainEmitted():
            return f"{record.name} {bytes(record.payload).decode()}"
        case _:
            return type(record).__name__


STARTED, COMPLETED = (f'op_boundary {{"op_path":"m.%s","phase":"{phase}"}}' for phase in ("started", "completed"))


def test_boundaries_stand_within_the_attempts_that_cause_them() -> None:
    assert shape() == [
        "enter m.s0.a",
        STARTED % "s0",
        "complete m.s0.a",
        "enter m.s0.b",
        COMPLETED % "s0",
        "complete m.s0.b",
        "enter m.s1.only",
        STARTED % "s1",
        COMPLETED % "s1",
        "complete m.s1.only",
        "RunCompleted",
    ]


def test_a_minimal_run_is_the_same_without_its_boundaries() -> None:
    assert shape(RunConfig(event_profile="Minimal")) == [each for each in shape() if "op_boundary" not in each]


def test_an_operation_whose_last_state_is_skipped_has_completed_all_the_same() -> None:
    async def scenario() -> list[str]:
        config = RunConfig(skip_tags=("apply_side_effect",))
        world = World(sums, {"count": 1}, config=config)
        await world.live()
        return [short(record) for record in records(world.log)]

    lines = run(scenario())
    assert lines[-5:] == [
        "enter sums.end.announce",
        'state_skipped {"state_id":"sums.end.announce","tags":["apply_side_effect"]}',
        'op_boundary {"op_path":"sums.end","phase":"completed"}',
        "complete sums.end.announce",
        "RunCompleted",
    ]
