"""A plan is refused before a run can start from it, for a reason that its author can act on."""

from __future__ import annotations

import pytest

from interlock.base.errors import InterlockError
from interlock.engine.config import RetryPolicy
from interlock.engine.meta import SideEffectKind, StateMeta
from interlock.engine.plan import DependencyEdge, ExecutionPlan, StateNode
from tests.simulation.histories import A, B, C, Idle, chain_plan, node


def refusal(states: list[StateNode], edges: list[DependencyEdge] | None = None) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        ExecutionPlan("demo", "1", tuple(states), tuple(edges or ()))
    assert caught.value.code == "plan_invalid"
    return caught.value


def test_a_plan_without_states_is_refused() -> None:
    """P12."""
    assert refusal([]).details["reason"] == "empty_plan"


def test_a_state_id_stands_once() -> None:
    """P12."""
    fault = refusal([node(A), node(A)])

    assert (fault.details["reason"], fault.details["state_id"]) == ("duplicate_state_id", A)


def test_an_edge_to_a_state_that_is_not_there_is_refused_with_its_name() -> None:
    """P12."""
    fault = refusal([node(A)], [DependencyEdge(A, B)])

    assert (fault.details["reason"], fault.details["missing"]) == ("missing_state_for_edge", B)


def test_states_that_wait_for_each_other_are_named_in_the_order_in_which_they_wait() -> None:
    """P12: the cycle that is named is one, begins with its earliest state and leaves out what hangs below it."""
    below = node("demo.d.main")
    edges = [DependencyEdge(B, C), DependencyEdge(C, A), DependencyEdge(A, B), DependencyEdge(C, below.id)]

    assert refusal([node(A), node(B), node(C), below], edges).details["cycle"] == [A, B, C]


def test_a_state_that_waits_for_itself_is_a_cycle_of_one() -> None:
    """P12."""
    assert refusal([node(A), node(B)], [DependencyEdge(B, B)]).details["cycle"] == [B]


def test_a_malformed_state_id_is_refused() -> None:
    with pytest.raises(InterlockError, match="id_invalid"):
        ExecutionPlan("demo", "1", (node("demo.a"),))


def test_a_pure_state_has_no_idempotency_key() -> None:
    meta = StateMeta(side_effects=SideEffectKind.PURE, idempotency="key")

    assert refusal([StateNode(A, Idle(meta))]).details["reason"] == "pure_with_key"


def test_an_empty_idempotency_key_is_refused_since_nothing_could_absorb_a_repetition_by_it() -> None:
    meta = StateMeta(side_effects=SideEffectKind.APPLY_SIDE_EFFECT, idempotency="")

    refusal([StateNode(A, Idle(meta))])


@pytest.mark.parametrize("timeout_ms", [0, -1])
def test_a_time_limit_is_positive(timeout_ms: int) -> None:
    assert refusal([node(A, timeout_ms=timeout_ms)]).details["reason"] == "timeout_invalid"


def test_a_state_is_tried_at_least_once() -> None:
    """M11: zero attempts is not a policy."""
    refusal([node(A, retry=RetryPolicy.fixed(0))])


def test_states_keep_the_order_of_the_plan_wherever_edges_leave_a_choice() -> None:
    plan = ExecutionPlan("demo", "1", (node(C), node(A), node(B)), (DependencyEdge(B, C),))

    assert [plan.states[place].id for place in plan.order] == [A, B, C]


def test_an_edge_that_is_given_twice_counts_once() -> None:
    edge = DependencyEdge(A, B)
    plan = ExecutionPlan("demo", "1", (node(A), node(B)), (edge, edge))

    assert plan.order == (0, 1)


def test_equal_plans_have_equal_fingerprints_whatever_the_order_of_their_edges() -> None:
    """DR3."""
    one, two = DependencyEdge(A, B), DependencyEdge(A, C)
    states = (node(A), node(B), node(C))

    assert (
        ExecutionPlan("demo", "1", states, (one, two)).fingerprint
        == ExecutionPlan("demo", "1", states, (two, one)).fingerprint
    )


@pytest.mark.parametrize(
    "other",
    [
        ExecutionPlan("demo", "2", (node(A), node(B)), (DependencyEdge(A, B),)),
        ExecutionPlan("other", "1", (node(A), node(B)), (DependencyEdge(A, B),)),
        ExecutionPlan("demo", "1", (node(A), node(B))),
        ExecutionPlan("demo", "1", (node(A), node(C)), (DependencyEdge(A, C),)),
        ExecutionPlan("demo", "1", (node(A), node(B, retry=RetryPolicy.fixed(2))), (DependencyEdge(A, B),)),
        ExecutionPlan("demo", "1", (node(A), node(B, timeout_ms=9)), (DependencyEdge(A, B),)),
        ExecutionPlan("demo", "1", (node(A), StateNode(B, Idle(StateMeta(tags=("t",))))), (DependencyEdge(A, B),)),
    ],
    ids=["version", "operation", "edges", "ids", "retry", "time limit", "tags"],
)
def test_a_plan_that_differs_in_anything_has_another_fingerprint(other: ExecutionPlan) -> None:
    """DR3."""
    assert chain_plan(node(A), node(B)).fingerprint != other.fingerprint
