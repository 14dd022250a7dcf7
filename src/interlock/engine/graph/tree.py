"""Draws a graph as text: one line for each node, branches indented.

What it does: a node stands below the one that every way to it leads through (its immediate dominator). A single
follower, and the state where branches meet again, go on in the same column, so a long chain stays straight. What it
does not do: no colour, no I/O.

Rules: every node has exactly one line, and stands below everything that it waits for; where the states it waits for
cannot be seen from the shape, the line names them.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from interlock.base.ids import first_names
from interlock.engine.graph.looks import look_of
from interlock.engine.graph.model import Graph, Node
from interlock.engine.graph.words import label, notes, pieces, wide

ROOT = -1
_NAMED_MAX = 3
_ALIGNED_CHARACTERS_MAX = 56
_CONTROL = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), "?")


class _Line(Struct):
    place: int
    before: str


def tree_text(graph: Graph) -> str:
    """The graph as lines of text, each of which is ended."""
    above = dominators(graph)
    lines = list(_lines(graph, above))
    heads = [f"{line.before}{look_of(graph.nodes[line.place].status).symbol} {_label(graph, line)}" for line in lines]
    column = max((width for head in heads if (width := wide(head)) <= _ALIGNED_CHARACTERS_MAX), default=0)
    before = graph.before
    texts = [_plain(graph.title), f"  {_plain(graph.summary)}", ""]
    for line, head in zip(lines, heads, strict=True):
        node = graph.nodes[line.place]
        said = [" · ".join(pieces(node)), *notes(node), *_waits(graph, before[line.place], above[line.place])]
        texts.append(f"{head}{' ' * (column - wide(head))}  {_plain('  '.join(said))}")
    return "".join(f"{text}\n" for text in texts)


def dominators(graph: Graph) -> list[int]:
    """For each node, the last one that every way to it leads through; `ROOT` where there is none."""
    above: list[int] = []
    depth = {ROOT: 0}
    for place, before in enumerate(graph.before):
        shared = before[0] if before else ROOT
        for other in before[1:]:
            shared = _meet(shared, other, above, depth)
        above.append(shared)
        depth[place] = depth[shared] + 1
    return above


def _meet(one: int, other: int, above: list[int], depth: dict[int, int]) -> int:
    while one != other:
        if depth[one] >= depth[other]:
            one = above[one]
        else:
            other = above[other]
    return one


def _lines(graph: Graph, above: list[int]) -> Iterator[_Line]:
    """Every node once, with what is drawn before it: depth first, without recursion, since chains are long."""
    below: dict[int, list[int]] = {}
    for place, parent in enumerate(above):
        below.setdefault(parent, []).append(place)
    before = graph.before
    stack = [(ROOT, "", "")]
    while stack:
        place, own, rest = stack.pop()
        if place != ROOT:
            yield _Line(place, own)
        stack += reversed(_followers(below.get(place, []), rest, before))


def _followers(children: list[int], column: str, before: list[list[int]]) -> list[tuple[int, str, str]]:
    """The nodes below one: branches, then the one that goes on in the same column, if there is one."""
    joins = [child for child in children if len(before[child]) > 1]
    onward = children[0] if len(children) == 1 else joins[-1] if joins else None
    branches = [child for child in children if child != onward]
    found = []
    for number, child in enumerate(branches):
        ends = onward is None and number == len(branches) - 1
        found.append((child, column + ("└─ " if ends else "├─ "), column + ("   " if ends else "│  ")))
    if onward is not None:
        found.append((onward, column, column))
    return found


def _waits(graph: Graph, before: list[int], above: int) -> list[str]:
    """What a node waits for, where that is more than the node it stands below."""
    if before in ([], [above]):
        return []
    names = [graph.nodes[each].name for each in before]
    return [f"← {first_names(names, _NAMED_MAX)}"]


def _label(graph: Graph, line: _Line) -> str:
    node: Node = graph.nodes[line.place]
    return _plain(label(node))


def _plain(text: str) -> str:
    """Text that cannot move the cursor of a terminal."""
    return text.translate(_CONTROL)
