"""Random graphs: whatever the plan, its drawing is sound, small enough, and always the same."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from interlock.engine.graph import shape
from interlock.engine.graph.layout import Layout, placed
from interlock.engine.graph.model import Graph, Node
from interlock.engine.graph.shape import banded, collapsed, fitted, is_small, reduced
from interlock.engine.graph.tree import tree_text

STATUSES = st.sampled_from(["pending", "running", "failed", "completed", "parked", "something_new"])


@st.composite
def graphs(draw: st.DrawFn, size_max: int = 24) -> Graph:
    size = draw(st.integers(1, size_max))
    pair = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda each: each[0] < each[1])
    edges = draw(st.sets(pair, max_size=2 * size)) if size > 1 else set()
    nodes = tuple(Node(id=f"g.s{at}.main", name=f"s{at}", status=draw(STATUSES)) for at in range(size))
    return Graph(title="g", summary="", nodes=nodes, edges=tuple(sorted(edges)))


@st.composite
def sized(draw: st.DrawFn) -> tuple[Graph, list[tuple[int, int]]]:
    graph = draw(graphs())
    return graph, [(draw(st.integers(20, 300)), draw(st.integers(20, 120))) for _ in graph.nodes]


def reach(graph: Graph) -> set[tuple[int, int]]:
    """Which place leads to which, by a search of our own."""
    found = set(graph.edges)
    while more := {(a, d) for a, b in found for c, d in graph.edges if b == c} - found:
        found |= more
    return found


def layout(given: tuple[Graph, list[tuple[int, int]]]) -> Layout:
    return placed(given[1], given[0].edges)


@given(sized())
def test_boxes_keep_their_size_do_not_overlap_and_lie_within(given: tuple[Graph, list[tuple[int, int]]]) -> None:
    found = layout(given)

    assert [(box.width, box.height) for box in found.boxes] == given[1]
    assert all(
        box.x >= 0 and box.y >= 0 and box.x + box.width <= found.width and box.y + box.height <= found.height
        for box in found.boxes
    )
    for one, other in combinations(found.boxes, 2):
        assert (
            one.x + one.width <= other.x
            or other.x + other.width <= one.x
            or one.y + one.height <= other.y
            or other.y + other.height <= one.y
        )


@given(sized())
def test_edges_go_down_from_box_to_box_and_pass_through_none(given: tuple[Graph, list[tuple[int, int]]]) -> None:
    found = layout(given)

    assert sorted((route.before, route.after) for route in found.routes) == list(given[0].edges)
    for route in found.routes:
        before, after = found.boxes[route.before], found.boxes[route.after]
        assert route.stops[0].top == before.y + before.height
        assert route.stops[-1].top == route.stops[-1].bottom == after.y
        assert before.x < route.stops[0].x < before.x + before.width
        assert after.x < route.stops[-1].x < after.x + after.width
        heights = [height for stop in route.stops for height in (stop.top, stop.bottom)]
        assert heights == sorted(heights)
        for stop in route.stops[1:-1]:
            assert not any(
                box.x < stop.x < box.x + box.width and box.y < stop.bottom and stop.top < box.y + box.height
                for box in found.boxes
            )
            assert 0 <= stop.x <= found.width


@given(sized())
def test_a_layout_is_always_the_same(given: tuple[Graph, list[tuple[int, int]]]) -> None:
    assert layout(given) == layout(given)


@given(graphs())
def test_edges_that_are_left_out_follow_from_those_that_are_drawn(graph: Graph) -> None:
    plain = reduced(graph)

    assert set(plain.edges) <= set(graph.edges)
    assert reach(plain) == reach(graph)
    for edge in plain.edges:
        without = Graph(title="", summary="", nodes=graph.nodes, edges=tuple(set(plain.edges) - {edge}))
        assert edge not in reach(without)


@given(graphs(), st.integers(1, 4))
def test_groups_hold_every_state_once_and_edges_still_go_to_later_ones(graph: Graph, siblings_max: int) -> None:
    before, shape.SIBLINGS_MAX = shape.SIBLINGS_MAX, siblings_max
    try:
        compact = collapsed(reduced(graph))
    finally:
        shape.SIBLINGS_MAX = before

    for found in (compact, banded(graph)):
        ids = [each.id for node in found.nodes for each in (node.members or (node,))]
        assert sorted(ids) == sorted(node.id for node in graph.nodes)
        assert all(one < other for one, other in found.edges)


@given(graphs(60), st.booleans(), st.integers(3, 20))
def test_a_drawing_keeps_its_bounds_whatever_is_drawn(graph: Graph, full: bool, states_max: int) -> None:
    saved = shape.STATES_DRAWN_MAX, shape._BANDS_MAX
    shape.STATES_DRAWN_MAX = shape._BANDS_MAX = states_max
    try:
        found = fitted(graph, full=full)
        assert is_small(found)
    finally:
        shape.STATES_DRAWN_MAX, shape._BANDS_MAX = saved
    assert sum(node.size for node in found.nodes) == len(graph.nodes)


@given(graphs())
def test_a_tree_has_one_line_for_each_state_below_all_that_it_waits_for(graph: Graph) -> None:
    lines = tree_text(reduced(graph)).splitlines()[3:]
    names = [next(word for word in line.split() if word[0] == "s" and word[1:].isdigit()) for line in lines]
    at = {name: number for number, name in enumerate(names)}

    assert sorted(at) == sorted(node.name for node in graph.nodes)
    assert len(lines) == len(graph.nodes)
    assert all(at[graph.nodes[one].name] < at[graph.nodes[other].name] for one, other in graph.edges)
