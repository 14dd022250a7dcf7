"""From outlines and steps to a graph: what a node says of a run."""

from __future__ import annotations

import msgspec
import pytest

from interlock.engine.graph.model import Graph, Node, plan_graph, run_graph
from interlock.engine.plan import DependencyEdge, ExecutionPlan, PlanOutline
from interlock.engine.reports.records import StepReport, Waiting
from tests.simulation.histories import node


def outline(*state_ids: str, edges: tuple[tuple[str, str], ...] = ()) -> PlanOutline:
    plan = ExecutionPlan("op", "1", tuple(map(node, state_ids)), tuple(DependencyEdge(*edge) for edge in edges))
    return msgspec.json.decode(plan.outline, type=PlanOutline)


TWO = outline("op.b.main", "op.a.main", edges=(("op.a.main", "op.b.main"),))


def live(*steps: StepReport, waiting: Waiting | None = None, until: str = "") -> Graph:
    return run_graph("op", "run r", "running", TWO, steps, waiting=waiting, until=until, now_ms=5000)


def step(**more: object) -> StepReport:
    return StepReport(**({"name": "a", "state_id": "op.a.main", "status": "running", "attempts": 1} | more))  # type: ignore[arg-type]


def test_nodes_stand_in_execution_order_and_edges_go_to_later_ones() -> None:
    graph = live()

    assert [each.name for each in graph.nodes] == ["a", "b"]
    assert graph.edges == ((0, 1),)
    assert [each.status for each in graph.nodes] == ["pending", "pending"]


def test_a_plan_without_a_run_is_planned() -> None:
    graph = plan_graph("op", "plan, version 1", TWO)

    assert {each.status for each in graph.nodes} == {"planned"}
    assert graph.summary == "plan, version 1 · 2 states"


@pytest.mark.parametrize(
    ("given", "took_ms"),
    [
        (step(started_ms=1000), 4000),
        (step(started_ms=1000, ended_ms=900), 4000),  # a retry: it was the attempt before that ended
        (step(status="failed", started_ms=1000, ended_ms=1200), 200),
        (step(status="pending"), None),
    ],
)
def test_the_duration_is_that_of_the_last_attempt(given: StepReport, took_ms: int | None) -> None:
    assert live(given).nodes[0].took_ms == took_ms


@pytest.mark.parametrize("kind", ["backoff", "parked", "queued", "suspended"])
def test_what_the_run_waits_for_is_the_status_of_its_state(kind: str) -> None:
    graph = live(step(status="failed", error_code="late"), waiting=Waiting(kind, "op.a.main"), until="tomorrow")

    assert graph.nodes[0].status == kind
    assert graph.nodes[0].notes == (("late", "again tomorrow") if kind == "backoff" else ("late",))
    assert graph.summary == f"run r · running, {kind} · 1 {kind}, 1 pending"


def test_every_attempt_that_a_dead_process_left_open_is_queued() -> None:
    """With fan-out there are several; only the one that the run waits for was, and the others looked as if they ran."""
    steps = (step(), step(name="b", state_id="op.b.main"))

    assert [each.status for each in live(*steps, waiting=Waiting("queued", "op.a.main")).nodes] == ["queued", "queued"]
    assert [each.status for each in live(*steps).nodes] == ["running", "running"]


def test_a_state_that_completed_after_failures_shows_no_old_error() -> None:
    assert live(step(status="completed", attempts=2, error_code="late")).nodes[0].notes == ()


def test_states_of_one_step_are_told_apart_by_their_local_part() -> None:
    graph = plan_graph("op", "plan", outline("op.a.one", "op.a.two", "op.b.main"))

    assert [each.name for each in graph.nodes] == ["a.one", "a.two", "b"]


def test_a_node_has_no_child_runs_unless_it_is_given_some() -> None:
    assert Node(id="op.a.main", name="a", status="running").children == ()
