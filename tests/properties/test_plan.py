"""Random graphs: a plan is accepted exactly when an independent search finds no cycle (P12)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.errors import InterlockError
from interlock.engine.plan import DependencyEdge, ExecutionPlan
from tests.simulation.histories import node

SIZES = st.integers(min_value=1, max_value=9)
Edges = set[tuple[int, int]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Edges]:
    size = draw(SIZES)
    place = st.integers(min_value=0, max_value=size - 1)
    return size, draw(st.sets(st.tuples(place, place), max_size=2 * size))


def name(place: int) -> str:
    return f"graph.s{place}.main"


def built(size: int, edges: Edges) -> ExecutionPlan:
    drawn = tuple(DependencyEdge(name(one), name(two)) for one, two in sorted(edges))
    return ExecutionPlan("graph", "1", tuple(node(name(place)) for place in range(size)), drawn)


def has_cycle(size: int, edges: Edges) -> bool:
    """A depth-first search of our own: white, grey, black."""
    colour = [0] * size

    def visit(place: int) -> bool:
        colour[place] = 1
        for one, two in edges:
            if one == place and (colour[two] == 1 or (colour[two] == 0 and visit(two))):
                return True
        colour[place] = 2
        return False

    return any(colour[place] == 0 and visit(place) for place in range(size))


@given(graphs())
def test_a_plan_is_accepted_exactly_when_a_search_finds_no_cycle(graph: tuple[int, Edges]) -> None:
    """P12, I9: an accepted plan runs in an order that its edges allow."""
    size, edges = graph
    if has_cycle(size, edges):
        with pytest.raises(InterlockError, match="plan_invalid"):
            built(size, edges)
        return
    order = built(size, edges).order
    assert sorted(order) == list(range(size))
    assert all(order.index(one) < order.index(two) for one, two in edges)


@given(graphs().filter(lambda graph: has_cycle(*graph)))
def test_the_cycle_that_is_named_is_one_and_the_same_each_time(graph: tuple[int, Edges]) -> None:
    """P12."""
    cycles = []
    for _ in range(2):
        with pytest.raises(InterlockError) as caught:
            built(*graph)
        cycles.append(caught.value.details["cycle"])
    cycle = cycles[0]
    assert isinstance(cycle, list)
    places = [int(str(each).split(".")[1][1:]) for each in cycle]

    assert cycles[0] == cycles[1]
    assert len(set(places)) == len(places)
    assert all(pair in graph[1] for pair in zip(places, [*places[1:], places[0]], strict=True))


@given(graphs().filter(lambda graph: not has_cycle(*graph)))
def test_the_order_takes_the_first_state_of_the_plan_that_may_run(graph: tuple[int, Edges]) -> None:
    size, edges = graph
    done: list[int] = []
    for _ in range(size):
        ready = (
            place
            for place in range(size)
            if place not in done and all(one in done for one, two in edges if two == place)
        )
        done.append(next(ready))

    assert built(size, edges).order == tuple(done)
