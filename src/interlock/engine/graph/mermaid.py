"""Draws a graph as Mermaid, which many viewers of Markdown show.

What it does: a flowchart with one node a line, one edge a line, and one class for each status that occurs. What it does
not do: it asks for no theme and links nowhere.

Rules: a node's id is its place, never its name; every text is escaped with entity codes, so no name can end a label or
begin another statement.
"""

from __future__ import annotations

import json

from interlock.engine.graph.looks import LOOKS, Look, look_of, name_of
from interlock.engine.graph.model import Graph, Node
from interlock.engine.graph.words import label, notes, pieces

_CONTROL = (*range(0x20), *range(0x7F, 0xA0))
_ESCAPED = {ord(each): f"#{ord(each)};" for each in '"#&<>`;{}[]()|\\*~%'} | dict.fromkeys(_CONTROL, " ")


def mermaid_text(graph: Graph) -> str:
    """The graph as a Mermaid flowchart."""
    used = {name_of(node.status) for node in graph.nodes}
    return "\n".join(
        [
            "---",
            f"title: {json.dumps(f'{graph.title} · {graph.summary}', ensure_ascii=False)}",
            "---",
            "flowchart TD",
            *(f"    {_node(place, node)}" for place, node in enumerate(graph.nodes)),
            *(f"    n{before} --> n{after}" for before, after in graph.edges),
            *(f"    {_class(name, look)}" for name, look in LOOKS.items() if name in used),
            "",
        ]
    )


def _node(place: int, node: Node) -> str:
    look = look_of(node.status)
    opens, closes = look.shape
    lines = [f"{look.symbol} {label(node)}", " · ".join(pieces(node)), *notes(node)]
    text = "<br/>".join(line.translate(_ESCAPED) for line in lines)
    return f'n{place}{opens}"{text}"{closes}:::{name_of(node.status)}'


def _class(name: str, look: Look) -> str:
    line, ground = look.light
    dashes = f",stroke-dasharray:{look.dashes}" if look.dashes else ""
    return f"classDef {name} fill:{ground},stroke:{line},color:#1d232b{dashes}"
