"""Draws a graph as SVG: one self-contained picture for light and dark.

What it does: measures the texts, has the boxes placed, and writes shapes. What it does not do: no script, no link, no
font and no picture from elsewhere.

Rules: every text is escaped and cut to its box, and stands whole in the tooltip; the size follows from the text alone,
at the width of a fixed-width font, so the same graph gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from interlock.engine.graph.layout import Box, Layout, Route, placed
from interlock.engine.graph.looks import name_of
from interlock.engine.graph.model import Graph, Node
from interlock.engine.graph.paint import ICON_SIZE, ICONS, SCOPE, style_sheet
from interlock.engine.graph.shape import described
from interlock.engine.graph.words import label, notes, pieces, wide

MARGIN = 28
_HEADER = 58
_NAME_CHARACTER, _SMALL_CHARACTER, _TITLE_CHARACTER, _SUMMARY_CHARACTER = 7.9, 6.7, 9.8, 7.3
_PAD, _ICON_SPACE = 13, ICON_SIZE + 11
_WIDTH_MIN, _WIDTH_MAX = 150, 330
_LINE, _NAME_LINE = 15, 20
_CARD_SHIFT = 5
_CELL_GAP, _CELL_HEIGHT, _COLUMNS_MAX = 10, 46, 6
_CELL_WIDTH_MIN, _CELL_WIDTH_MAX = 118, 210
_CURVE_SHARE = 0.55


class _Card(Struct, frozen=True):
    """A node that is to be drawn: its texts, its size, and for an opened group the columns and width of its cells."""

    node: Node
    texts: tuple[str, ...]
    width: int
    height: int
    columns: int = 0
    cell: int = 0


def svg_text(graph: Graph, *, open_groups: bool = False) -> str:
    """The graph as an SVG document; `open_groups` shows the members of a group inside of it."""
    least = max((_needed(node, 2) for node in graph.nodes), default=0)
    cards = [_card(node, least, open_groups=open_groups) for node in graph.nodes]
    layout = placed([(card.width, card.height) for card in cards], graph.edges)
    heads = (wide(graph.title) * _TITLE_CHARACTER, wide(graph.summary) * _SUMMARY_CHARACTER)
    width = round(max(layout.width, *heads)) + 2 * MARGIN
    left, height = (width - layout.width) // 2, layout.height + _HEADER + 2 * MARGIN
    used = {name_of(each.status) for node in graph.nodes for each in (node, *node.members)}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{SCOPE}" width="{width}" height="{height}"',
        f'  viewBox="0 0 {width} {height}" role="img" aria-label="{_escaped(described(graph))}">',
        f"<style>\n{style_sheet(used)}\n</style>",
        f'<rect class="ground" width="{width}" height="{height}" rx="12"/>',
        f'<text class="title" x="{MARGIN}" y="{MARGIN + 12}">{_escaped(graph.title)}</text>',
        f'<text class="summary" x="{MARGIN}" y="{MARGIN + 33}">{_escaped(graph.summary)}</text>',
        f'<g transform="translate({left} {MARGIN + _HEADER})">',
        *_edges(graph, layout),
        *(line for card, box in zip(cards, layout.boxes, strict=True) for line in _drawn(card, box)),
        "</g>",
        "</svg>",
        "",
    ]
    return "\n".join(lines)


def _needed(node: Node, lines: int | None = None, least: int = _WIDTH_MIN) -> int:
    """The width that the first lines of a node need."""
    name, *small = [label(node), " · ".join(pieces(node)), *notes(node)][:lines]
    texts = max(wide(name) * _NAME_CHARACTER, *(wide(text) * _SMALL_CHARACTER for text in small))
    return min(max(round(texts) + 2 * _PAD + _ICON_SPACE, least), _WIDTH_MAX)


def _card(node: Node, least: int, *, open_groups: bool) -> _Card:
    opened = open_groups and bool(node.members)
    texts = (label(node), " · ".join(pieces(node)), *(() if opened else notes(node)))
    height = 2 * _PAD + _NAME_LINE + _LINE * (len(texts) - 1) - 4
    if not opened:
        shift = _CARD_SHIFT if node.members else 0
        return _Card(node, texts, max(least, _needed(node)) + shift, height + shift)
    cell = min(max(_needed(member, 2, _CELL_WIDTH_MIN) for member in node.members), _CELL_WIDTH_MAX)
    columns = next(each for each in range(1, _COLUMNS_MAX + 1) if each == _COLUMNS_MAX or each**2 >= node.size)
    rows = -(-node.size // columns)
    inner = columns * (cell + _CELL_GAP) + _CELL_GAP
    return _Card(node, texts, max(inner, least), height + rows * (_CELL_HEIGHT + _CELL_GAP), columns, cell)


def _edges(graph: Graph, layout: Layout) -> Iterator[str]:
    for route in layout.routes:
        before, after = graph.nodes[route.before], graph.nodes[route.after]
        kind = "edge" if before.status in {"completed", "skipped", "planned"} else "edge ahead"
        names = _escaped(f"{label(before)} → {label(after)}")
        yield f'<path class="{kind}" d="{_way(route)}"><title>{names}</title></path>'
    for place in sorted({route.after for route in layout.routes}):
        box = layout.boxes[place]
        yield f'<path class="head" d="M{box.x + box.width // 2} {box.y - 1}l-5 -8.5q5 2.5 10 0z"/>'


def _way(route: Route) -> str:
    """Straight down through layers, and in curves that begin and end straight down between them."""
    first = route.stops[0]
    path = f"M{first.x} {first.top}V{first.bottom}"
    for upper, lower in pairwise(route.stops):
        end = lower.top - (7 if lower is route.stops[-1] else 0)
        bend = round((end - upper.bottom) * _CURVE_SHARE)
        if upper.x == lower.x:
            path += f"V{end}"
        else:
            path += f"C{upper.x} {upper.bottom + bend} {lower.x} {end - bend} {lower.x} {end}"
        if lower.bottom > lower.top:
            path += f"V{lower.bottom}"
    return path


def _drawn(card: _Card, box: Box) -> Iterator[str]:
    node, stacked = card.node, bool(card.node.members) and not card.columns
    shift = _CARD_SHIFT if stacked else 0
    width, height = box.width - shift, box.height - shift
    yield f'<g class="{name_of(node.status)}" transform="translate({box.x} {box.y})">'
    yield f"<title>{_escaped(_tooltip(node))}</title>"
    if stacked:
        yield f'<rect class="box" x="{shift}" y="{shift}" width="{width}" height="{height}" rx="9"/>'
    kind = "box frame" if card.columns else "box"
    yield f'<rect class="{kind}" width="{width}" height="{height}" rx="9"/>'
    yield from _icon(node.status, _PAD, height // 2 - ICON_SIZE // 2 if not card.columns else _PAD + 5)
    yield from _texts(card.texts, width)
    yield "</g>"
    if card.columns:
        top = box.y + box.height - -(-node.size // card.columns) * (_CELL_HEIGHT + _CELL_GAP)
        yield from _cells(card, box.x + _CELL_GAP, top)


def _cells(card: _Card, left: int, top: int) -> Iterator[str]:
    """The members of an opened group, row by row."""
    for number, member in enumerate(card.node.members):
        row, column = divmod(number, card.columns)
        x, y = left + column * (card.cell + _CELL_GAP), top + row * (_CELL_HEIGHT + _CELL_GAP)
        yield f'<g class="{name_of(member.status)}" transform="translate({x} {y})">'
        yield f"<title>{_escaped(_tooltip(member))}</title>"
        yield f'<rect class="box" width="{card.cell}" height="{_CELL_HEIGHT}" rx="7"/>'
        yield from _icon(member.status, 10, _CELL_HEIGHT // 2 - ICON_SIZE // 2)
        yield from _texts((member.name, " · ".join(pieces(member))), card.cell, top=20, left=10)
        yield "</g>"


def _icon(status: str, x: int, y: int) -> Iterator[str]:
    for kind, path in ICONS[name_of(status)]:
        yield f'<path class="{kind}" transform="translate({x} {y})" d="{path}"/>'


def _texts(texts: Sequence[str], width: int, *, top: int = _PAD + 11, left: int = _PAD) -> Iterator[str]:
    x, room = left + _ICON_SPACE, width - left - _ICON_SPACE - 8
    for number, text in enumerate(texts):
        kind = ("name", "said")[number] if number < 2 else "note"
        y = top if number == 0 else top + 3 + _LINE * number
        cut = _cut(text, int(room // (_NAME_CHARACTER if number == 0 else _SMALL_CHARACTER)))
        yield f'<text class="{kind}" x="{x}" y="{y}">{_escaped(cut)}</text>'


def _tooltip(node: Node) -> str:
    return "\n".join([node.name if node.members else node.id, " · ".join(pieces(node)), *notes(node)])


def _cut(text: str, columns: int) -> str:
    """The text, without its middle if it is too long: names differ at their ends."""
    if wide(text) <= columns:
        return text
    start, end = list(text[: len(text) // 2]), list(text[len(text) // 2 :])
    while start and wide("".join((*start, *end))) >= columns:
        (start if len(start) > len(end) else end).pop(-1 if len(start) > len(end) else 0)
    return f"{''.join(start)}…{''.join(end)}"


def _escaped(text: str) -> str:
    """Text for content and for attributes, without characters that XML does not know."""
    known = "".join(each if each in "\n\t" or _is_xml(each) else "?" for each in text)
    return known.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _is_xml(each: str) -> bool:
    code = ord(each)
    return 0x20 <= code < 0x7F or 0xA0 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code >= 0x10000
