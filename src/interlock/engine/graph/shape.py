"""Makes a graph small enough to be read: implied edges go, parallel siblings and whole layers become groups.

What it does: pure functions from graph to graph. What it does not do: it places nothing; a group keeps its members, so
nothing is lost.

Rules: an edge that follows from others is never drawn; siblings are states with the same predecessors and the same
successors; no result has more nodes, edges or layers crossed by edges than the bounds say, whatever came in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from interlock.engine.graph.model import Graph, counted, group

SIBLINGS_MAX = 12
"""Parallel siblings drawn one by one; more become a group."""
STATES_DRAWN_MAX = 400
"""States that are drawn one by one, also where all of them are asked for."""
EDGES_DRAWN_MAX = 2000
"""Edges of one drawing."""
CROSSED_LAYERS_MAX = 4000
"""Layers that edges cross, counted for each edge: what the layout has to place beside the nodes."""
STATES_REDUCED_MAX = 4000
"""States of a graph whose implied edges are looked for: the search takes a bit for each pair of states."""
_BANDS_MAX = 40
_PREFIX_CHARACTERS_MIN = 2


def fitted(graph: Graph, *, full: bool = False) -> Graph:
    """The graph as it is drawn; `full` keeps siblings apart where the bounds allow it."""
    plain = reduced(graph) if len(graph.nodes) <= STATES_REDUCED_MAX else graph
    if full and is_small(plain):
        return plain
    compact = collapsed(plain)
    if not is_small(compact):
        compact = banded(compact)
    return compact


def is_small(graph: Graph) -> bool:
    """Whether the graph keeps every bound of a drawing."""
    if len(graph.nodes) > STATES_DRAWN_MAX or len(graph.edges) > EDGES_DRAWN_MAX:
        return False
    layer = layers(len(graph.nodes), graph.edges)
    return sum(layer[after] - layer[before] - 1 for before, after in graph.edges) <= CROSSED_LAYERS_MAX


def layers(size: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The layer of each place: one below the lowest of those before it (the longest path). Edges go to later places."""
    found = [0] * size
    for before, after in sorted(edges):
        found[after] = max(found[after], found[before] + 1)
    return found


def reduced(graph: Graph) -> Graph:
    """The graph without the edges that others imply."""
    after, kept = graph.after, list[tuple[int, int]]()
    reach = [0] * len(graph.nodes)  # for each place, the set of all later places that it leads to, as bits
    for place in reversed(range(len(graph.nodes))):
        for follower in after[place]:  # nearest first: a path to a farther one leads over a nearer one
            if not reach[place] >> follower & 1:
                kept.append((place, follower))
                reach[place] |= 1 << follower | reach[follower]
    return Graph(title=graph.title, summary=graph.summary, nodes=graph.nodes, edges=tuple(sorted(kept)))


def collapsed(graph: Graph) -> Graph:
    """The graph with every set of more than `SIBLINGS_MAX` siblings as one node."""
    families = defaultdict[tuple[tuple[int, ...], tuple[int, ...]], list[int]](list)
    for place, (before, after) in enumerate(zip(graph.before, graph.after, strict=True)):
        families[tuple(before), tuple(after)].append(place)
    parts = list[list[int]]()
    for family in families.values():
        parts += [family] if len(family) > SIBLINGS_MAX else [[place] for place in family]
    if len(parts) == len(graph.nodes):
        return graph
    return _grouped(graph, parts)


def banded(graph: Graph) -> Graph:
    """The graph as a chain of groups, each of which holds some layers."""
    layer = layers(len(graph.nodes), graph.edges)
    thickness = -(-(max(layer) + 1) // _BANDS_MAX)
    bands = defaultdict[int, list[int]](list)
    for place, depth in enumerate(layer):
        bands[depth // thickness].append(place)
    drawn = _grouped(graph, list(bands.values()))
    return Graph(
        title=drawn.title,
        summary=f"{drawn.summary} · too many to draw one by one",
        nodes=drawn.nodes,
        edges=tuple((place, place + 1) for place in range(len(drawn.nodes) - 1)),
    )


def _grouped(graph: Graph, parts: list[list[int]]) -> Graph:
    """Each part as one node, in an order in which edges still go to later places."""
    part_of = {place: number for number, part in enumerate(parts) for place in part}
    layer = layers(len(graph.nodes), graph.edges)
    order = sorted(range(len(parts)), key=lambda number: (min(layer[p] for p in parts[number]), parts[number][0]))
    position = {number: at for at, number in enumerate(order)}
    nodes = [
        graph.nodes[parts[number][0]]
        if len(parts[number]) == 1
        else group(_shared_name([graph.nodes[p].name for p in parts[number]]), [graph.nodes[p] for p in parts[number]])
        for number in order
    ]
    edges = {(position[part_of[before]], position[part_of[after]]) for before, after in graph.edges}
    kept = tuple(sorted(edge for edge in edges if edge[0] != edge[1]))
    return Graph(title=graph.title, summary=graph.summary, nodes=tuple(nodes), edges=kept)


def _shared_name(names: list[str]) -> str:
    """What the names of a group have in common, else from which to which it goes."""
    first, last = min(names), max(names)
    alike = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    start = first[:alike].rstrip("0123456789")
    return f"{start}…" if len(start) >= _PREFIX_CHARACTERS_MIN else f"{names[0]} … {names[-1]}"


def described(graph: Graph) -> str:
    """What a drawing is called where it is spoken, not seen."""
    return f"{graph.title}: {graph.summary}; {counted(sum(node.size for node in graph.nodes), 'state')}"
