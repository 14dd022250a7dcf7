"""Which state is next: by edges and what has completed, and by nothing else."""

from __future__ import annotations

from interlock.engine.plan import DependencyEdge, ExecutionPlan
from interlock.engine.schedule import ReadyStates
from tests.simulation.histories import A, B, C, chain_plan, node


def all_in_order(plan: ExecutionPlan, completed: set[str]) -> list[str]:
    ready = ReadyStates(plan, completed)
    order = []
    while (place := ready.first()) is not None:
        order.append(plan.states[place].id)
        ready.enter(place)
        ready.complete(place)
    return order


def test_states_run_in_the_order_of_the_plan_where_edges_leave_a_choice() -> None:
    """I9."""
    plan = ExecutionPlan("demo", "1", (node(C), node(B), node(A)), (DependencyEdge(A, C),))

    assert all_in_order(plan, set()) == [B, A, C]


def test_a_state_waits_for_all_of_its_predecessors() -> None:
    """I9."""
    plan = ExecutionPlan("demo", "1", (node(C), node(A), node(B)), (DependencyEdge(A, C), DependencyEdge(B, C)))
    ready = ReadyStates(plan, {A})

    assert ready.first() == 2
    ready.enter(2)
    ready.complete(2)
    assert ready.first() == 0


def test_a_reordered_plan_passes_over_no_state_that_has_not_completed() -> None:
    """D5, M20: what matters is what completed, not where the run had stopped."""
    reordered = ExecutionPlan("demo", "1", (node(C), node(B), node(A)), (DependencyEdge(B, C),))

    assert all_in_order(reordered, {B}) == [C, A]


def test_a_state_that_is_not_ready_does_not_run_because_it_stands_first() -> None:
    """M20."""
    reordered = ExecutionPlan("demo", "1", (node(C), node(A), node(B)), (DependencyEdge(A, B), DependencyEdge(B, C)))

    assert all_in_order(reordered, set()) == [A, B, C]


def test_when_all_have_completed_nothing_is_ready() -> None:
    assert ReadyStates(chain_plan(), {A, B, C}).first() is None
