"""Random pipelines, contexts and tags against plain models of what they mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.errors import InterlockError
from interlock.base.merkle_map import MerkleMap
from interlock.engine.context import Context, RunContext
from interlock.engine.meta import DependencyStrategy, StateMeta
from interlock.engine.pipelines.namespaces import OpContext
from interlock.engine.pipelines.planner import dangling_tags, derive_edges, recovery_point
from interlock.engine.plan import DependencyEdge, ExecutionPlan, StateNode, run_order
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import run
from tests.simulation.histories import Idle
from tests.simulation.operations import Given, of

KEYS = ("x", "y", "x.y")
TAGS = ("red", "green", "blue")
LOCALS = ("a", "b", "c", "d")


@st.composite
def operations(draw: st.DrawFn, keys: tuple[str, ...] = ()) -> Given:
    states = LOCALS[: draw(st.integers(1, len(LOCALS)))]
    forward = [(one, two) for one in states for two in states if one < two]
    edges = draw(st.lists(st.sampled_from(forward), unique=True)) if forward else []
    chosen = st.lists(st.sampled_from(keys), unique=True).map(tuple) if keys else st.just(())
    return Given(states=draw(st.permutations(states)), edges=edges, imports=draw(chosen), exports=draw(chosen))


@given(st.lists(operations(), min_size=1, max_size=5))
def test_flattening_keeps_the_order_of_steps_and_the_edges_of_each(given_operations: list[Given]) -> None:
    plan = of(*given_operations)
    order = [plan.states[place].id for place in plan.order]
    own = {
        (f"m.s{number}.{one}", f"m.s{number}.{two}")
        for number, operation in enumerate(given_operations)
        for one, two in operation.edges
    }
    within = {(edge.before, edge.after) for edge in plan.edges if edge.before.split(".")[1] == edge.after.split(".")[1]}

    assert len(order) == sum(len(operation.states) for operation in given_operations)
    assert [state.split(".")[1] for state in order] == sorted(state.split(".")[1] for state in order)
    assert within == own


@given(st.lists(operations(), min_size=2, max_size=4))
def test_every_state_of_a_step_is_an_ancestor_of_every_state_of_the_next(given_operations: list[Given]) -> None:
    """So that no scheduler can begin a step before the one before it has completed, whatever the plan's order."""
    plan = of(*given_operations)
    after: dict[str, set[str]] = {node.id: set() for node in plan.states}
    for place in reversed(plan.order):
        state = plan.states[place].id
        for follower in plan.successors[place]:
            after[state] |= {plan.states[follower].id, *after[plan.states[follower].id]}
    numbers = {node.id: int(node.id.split(".")[1][1:]) for node in plan.states}

    assert all(later in after[state] for state in numbers for later in numbers if numbers[later] > numbers[state])


@given(st.lists(operations(KEYS), min_size=1, max_size=5))
def test_imports_are_read_from_the_last_earlier_exporter_or_refused(given_operations: list[Given]) -> None:
    exporters: dict[str, int] = {}
    expected: list[dict[str, str]] | None = []
    for number, operation in enumerate(given_operations):
        if expected is None or not set(operation.imports) <= set(exporters):
            expected = None
            break
        expected.append({key: f"m.s{exporters[key]}" for key in operation.imports})
        exporters.update(dict.fromkeys(operation.exports, number))
    if expected is None:
        with pytest.raises(InterlockError) as caught:
            of(*given_operations)
        assert caught.value.details["reason"] == "unsatisfied_import"
        return
    for node in of(*given_operations).states:
        wrapped: Any = node.state
        assert wrapped._exporters == expected[int(node.id.split(".")[1][1:])]


PATHS = ("m.one", "m.two", "m.one_two")
ACTIONS = st.lists(
    st.tuples(st.sampled_from(PATHS), st.sampled_from(KEYS), st.one_of(st.none(), st.integers(0, 9))), max_size=12
)


@given(ACTIONS, st.dictionaries(st.sampled_from(KEYS), st.sampled_from(PATHS)))
def test_what_an_operation_writes_is_seen_only_by_itself_and_by_those_that_import_it(
    actions: list[tuple[str, str, int | None]], imports: dict[str, str]
) -> None:
    """Against one dictionary for each op path; None deletes."""

    async def scenario() -> None:
        whole = Context(RunContext(MerkleMap.empty(), MemoryStore().artifacts))
        model: dict[str, dict[str, int]] = {path: {} for path in PATHS}
        for path, key, value in actions:
            context = OpContext(whole, path, imports)
            if value is None:
                context.delete(key)
                model[path].pop(key, None)
            else:
                context.write(key, value)
                model[path][key] = value
        for path in PATHS:
            context = OpContext(whole, path, imports)
            assert await context.dump() == model[path]
            for key in KEYS:
                assert await context.read(key) == model[imports.get(key, path)].get(key)
        assert await whole.dump() == {f"{path}.{key}": v for path in PATHS for key, v in model[path].items()}

    run(scenario())


@st.composite
def tagged(draw: st.DrawFn) -> tuple[list[StateNode], list[DependencyEdge]]:
    some = st.lists(st.sampled_from(TAGS), max_size=2).map(tuple)
    size = draw(st.integers(1, 7))
    states = [
        StateNode(
            f"m.s{number}.main",
            Idle(
                StateMeta(
                    tags=draw(some),
                    depends_on=draw(some),
                    depends_on_strategy=draw(st.sampled_from(list(DependencyStrategy))),
                )
            ),
        )
        for number in range(size)
    ]
    # Edges along a hidden order, which need not be the order in which the states are listed.
    hidden = draw(st.permutations(range(size)))
    pairs = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda pair: pair[0] < pair[1])
    drawn = draw(st.lists(pairs, max_size=4)) if size > 1 else []
    return states, [DependencyEdge(states[hidden[one]].id, states[hidden[two]].id) for one, two in drawn]


@given(tagged())
def test_derived_edges_never_close_a_cycle_and_mean_states_that_carry_the_tag(
    graph: tuple[list[StateNode], list[DependencyEdge]],
) -> None:
    states, edges = graph
    by_id = {node.id: node for node in states}
    if dangling_tags(states, edges):
        with pytest.raises(InterlockError, match="plan_invalid"):
            derive_edges(states, edges)
        return
    derived = derive_edges(states, edges)
    plan = ExecutionPlan("m", "1", tuple(states), derived)

    assert set(edges) <= set(derived)
    assert sorted(plan.order) == list(range(len(states)))
    for edge in set(derived) - set(edges):
        assert not set(by_id[edge.before].meta.tags).isdisjoint(by_id[edge.after].meta.depends_on)
    needing = {node.id for node in states if node.meta.depends_on}
    assert needing <= {edge.after for edge in derived}


@given(tagged())
def test_a_tag_dangles_exactly_when_no_state_before_carries_it(
    graph: tuple[list[StateNode], list[DependencyEdge]],
) -> None:
    states, edges = graph
    order = [states[place] for place in run_order([node.id for node in states], edges)]
    expected = {
        (node.id, tag)
        for place, node in enumerate(order)
        for tag in node.meta.depends_on
        if not any(tag in before.meta.tags for before in order[:place])
    }

    assert {(each.state_id, each.missing_tag) for each in dangling_tags(states, edges)} == expected


@given(tagged(), st.sets(st.integers(0, 6)), st.sampled_from(list(DependencyStrategy)))
def test_a_recovery_point_has_completed_and_runs_before_the_state(
    graph: tuple[list[StateNode], list[DependencyEdge]], done: set[int], strategy: DependencyStrategy
) -> None:
    states, edges = graph
    plan = ExecutionPlan("m", "1", tuple(states), tuple(edges))
    order = [plan.states[place].id for place in plan.order]
    completed = {f"m.s{number}.main" for number in done}
    for node in states:
        found = recovery_point(plan, completed, node.id, strategy)
        candidates = [
            each
            for each in order[: order.index(node.id)]
            if not set(plan.states[plan.index[each]].meta.tags).isdisjoint(node.meta.depends_on)
        ]
        if found is not None:
            assert found in completed
            assert found in candidates
        if strategy is DependencyStrategy.LATEST_SUCCESSFUL:
            assert (found is None) == completed.isdisjoint(candidates)
