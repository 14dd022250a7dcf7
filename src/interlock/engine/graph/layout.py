"""Places a graph in layers from top to bottom, in the way of Sugiyama.

What it does: layers by longest path, a point for each layer that an edge crosses, an order within layers that makes few
crossings, and coordinates near to the neighbours. What it does not do: it draws nothing and knows no text; it is given
sizes and edges and gives back boxes and routes.

Rules: no chance and a fixed number of passes, so the same graph always looks the same; boxes of a layer keep a
distance; a route goes through a layer only where no box is.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from msgspec import Struct

from interlock.engine.graph.model import neighbours
from interlock.engine.graph.shape import layers

BOX_GAP = 26
LANE_GAP = 18
LAYER_GAP = 50
SHELF_WIDTH_MAX = 1600
"""The width of a row of parts that no edge joins; a single part may be wider."""
_ORDER_PASSES = 12
_PLACE_PASSES = 16
# Straight lines are worth more than short ones where an edge passes several layers.
_LANE_PULL = 6.0
# What follows straight on and is followed by nothing else stands below it, whatever its layer would like.
_CHAIN_PULL = 50.0
_NO_PULLS: Mapping[int, float] = MappingProxyType({})


class Box(Struct, frozen=True):
    """Where a node is: its upper left corner and its size."""

    x: int
    y: int
    width: int
    height: int


class Stop(Struct, frozen=True):
    """Where a route passes a layer: straight down at `x`, from `top` to `bottom`."""

    x: int
    top: int
    bottom: int


class Route(Struct, frozen=True):
    """The way of an edge: its first stop is where it leaves a box, its last where it arrives."""

    before: int
    after: int
    stops: tuple[Stop, ...]


class Layout(Struct, frozen=True):
    """A placed graph; everything lies within `width` and `height`."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]


class _Net(Struct):
    """Nodes and, behind them, a point for each layer that an edge crosses; `chains` are the points of each edge."""

    layer: list[int]
    widths: list[int]
    size: int
    chains: list[list[int]]
    above: list[list[int]]
    below: list[list[int]]


def placed(sizes: Sequence[tuple[int, int]], edges: Sequence[tuple[int, int]]) -> Layout:
    """The layout of boxes of these sizes (width, height); an edge goes from one place to a later one."""
    parts = []
    for places in components(len(sizes), edges):
        at = {place: number for number, place in enumerate(places)}
        own = [(at[before], at[after]) for before, after in edges if before in at]
        parts.append((places, _placed([sizes[place] for place in places], own)))
    return _shelved(parts, len(sizes))


def _placed(sizes: Sequence[tuple[int, int]], edges: Sequence[tuple[int, int]]) -> Layout:
    net = _net(sizes, edges)
    rows = _ordered(net)
    centres = _centred(net, rows)
    return _layout(net, rows, centres, sizes, edges)


def _shelved(parts: Sequence[tuple[list[int], Layout]], size: int) -> Layout:
    """Layouts of parts that no edge joins, side by side, and below each other where that would be too wide."""
    boxes, routes = dict[int, Box](), list[Route]()
    x = y = tallest = width = 0
    for places, part in parts:
        if x and x + part.width > SHELF_WIDTH_MAX:
            x, y, tallest = 0, y + tallest + LAYER_GAP, 0
        for place, box in zip(places, part.boxes, strict=True):
            boxes[place] = Box(box.x + x, box.y + y, box.width, box.height)
        for route in part.routes:
            stops = tuple(Stop(stop.x + x, stop.top + y, stop.bottom + y) for stop in route.stops)
            routes.append(Route(places[route.before], places[route.after], stops))
        width, tallest = max(width, x + part.width), max(tallest, part.height)
        x += part.width + BOX_GAP
    return Layout(width, y + tallest, tuple(boxes[place] for place in range(size)), tuple(routes))


def components(size: int, edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The parts of a graph that no edge joins, each sorted, in the order of their first places."""
    near = neighbours(size, [*edges, *((after, before) for before, after in edges)])
    seen, found = set[int](), list[list[int]]()
    for start in range(size):
        part, stack = list[int](), [start]
        while stack:
            place = stack.pop()
            if place not in seen:
                seen.add(place)
                part.append(place)
                stack += near[place]
        if part:
            found.append(sorted(part))
    return found


def _net(sizes: Sequence[tuple[int, int]], edges: Sequence[tuple[int, int]]) -> _Net:
    layer = layers(len(sizes), edges)
    widths = [width for width, _ in sizes]
    chains, links = [], []
    for before, after in edges:
        points = list(range(len(layer), len(layer) + layer[after] - layer[before] - 1))
        layer += range(layer[before] + 1, layer[after])
        widths += [0] * len(points)
        chains.append([before, *points, after])
        links += list(pairwise(chains[-1]))
    below = neighbours(len(layer), links)
    above = neighbours(len(layer), ((after, before) for before, after in links))
    return _Net(layer, widths, len(sizes), chains, above, below)


def _ordered(net: _Net) -> list[list[int]]:
    """The layers, each in an order with few crossings: the best of a fixed number of passes."""
    rows: list[list[int]] = [[] for _ in range(max(net.layer) + 1)]
    for item in _in_depth(net):
        rows[net.layer[item]].append(item)
    best, least = [list(row) for row in rows], _crossings(net, rows)
    for number in range(_ORDER_PASSES):
        if least == 0:
            break
        _sweep(net, rows, downwards=number % 2 == 0)
        if (found := _crossings(net, rows)) < least:
            best, least = [list(row) for row in rows], found
    return best


def _in_depth(net: _Net) -> list[int]:
    """Every item once, followers right after what they follow: related items start near to each other."""
    seen, order = set[int](), list[int]()
    for start in range(net.size):
        stack = [] if net.above[start] else [start]
        while stack:
            item = stack.pop()
            if item not in seen:
                seen.add(item)
                order.append(item)
                stack += reversed(net.below[item])
    return order


def _sweep(net: _Net, rows: list[list[int]], *, downwards: bool) -> None:
    """Sort each layer by the mean place of its neighbours in the layer before it (the barycentre)."""
    near = net.above if downwards else net.below
    places: dict[int, int] = {}
    for row in rows if downwards else reversed(rows):
        at = {item: float(place) for place, item in enumerate(row)}
        for item in row:
            known = [places[each] for each in near[item]]
            if known:
                at[item] = sum(known) / len(known)
        row.sort(key=at.__getitem__)
        places = {item: place for place, item in enumerate(row)}


def _crossings(net: _Net, rows: list[list[int]]) -> int:
    """How many pairs of edges cross between neighbouring layers."""
    count = 0
    for upper, lower in pairwise(rows):
        place = {item: at for at, item in enumerate(lower)}
        ends: list[int] = []
        for item in upper:
            mine = sorted(place[each] for each in net.below[item])
            count += sum(len(ends) - bisect_right(ends, end) for end in mine)
            for end in mine:
                insort(ends, end)
    return count


def _centred(net: _Net, rows: list[list[int]]) -> list[float]:
    """The x of each item's centre: pulled to its neighbours, downwards and upwards in turn, at last by both."""
    x = [0.0] * len(net.layer)
    for row in rows:
        _settle(net, row, x, dict.fromkeys(row, 0.0))
    for number in range(_PLACE_PASSES):
        last = number >= _PLACE_PASSES - 2
        near = [net.above, net.below] if last else [net.above] if number % 2 == 0 else [net.below]
        for row in rows if number % 2 == 0 else reversed(rows):
            _settle(net, row, x, {item: _wanted(net, item, near, x) for item in row})
    for row in rows:  # at last chains are made straight, and what follows several moves below their middle
        straight = {item for item in row if _goes_straight_on(net, item)}
        moved = {item for item in row if item in straight or len(net.above[item]) > 1}
        wanted = {item: _wanted(net, item, [net.above], x) if item in moved else x[item] for item in row}
        _settle(net, row, x, wanted, dict.fromkeys(straight, _CHAIN_PULL))
    return x


def _goes_straight_on(net: _Net, item: int) -> bool:
    return len(net.above[item]) == 1 and len(net.below[net.above[item][0]]) == 1


def _wanted(net: _Net, item: int, near: Sequence[list[list[int]]], x: list[float]) -> float:
    pulls = [
        (x[each], _LANE_PULL if item >= net.size and each >= net.size else 1.0) for side in near for each in side[item]
    ]
    if not pulls:
        return x[item]
    return sum(at * pull for at, pull in pulls) / sum(pull for _, pull in pulls)


def _settle(
    net: _Net, row: list[int], x: list[float], wanted: dict[int, float], pulls: Mapping[int, float] = _NO_PULLS
) -> None:
    """Put a layer as near as possible to where it wants to be (least squares), in its order and with its distances.

    Less the distances, that is a regression to numbers that do not fall: neighbours that want to change sides are
    pooled at their mean.
    """
    offset, offsets = 0.0, list[float]()
    for at, item in enumerate(row):
        if at:
            offset += _distance(net, row[at - 1], item)
        offsets.append(offset)
    pools: list[list[float]] = []  # sum of pulls, sum of pulled places, number of items
    for item, shift in zip(row, offsets, strict=True):
        pull = pulls.get(item, _LANE_PULL if item >= net.size else 1.0)
        pools.append([pull, pull * (wanted[item] - shift), 1])
        while len(pools) > 1 and pools[-2][1] / pools[-2][0] >= pools[-1][1] / pools[-1][0]:
            joined = pools.pop()
            pools[-1] = [one + other for one, other in zip(pools[-1], joined, strict=True)]
    means = [place / pull for pull, place, number in pools for _ in range(int(number))]
    for item, mean, shift in zip(row, means, offsets, strict=True):
        x[item] = mean + shift


def _distance(net: _Net, left: int, right: int) -> float:
    """The least distance between the centres of two neighbours."""
    gap = LANE_GAP if left >= net.size or right >= net.size else BOX_GAP
    return (net.widths[left] + net.widths[right]) / 2 + gap


def _layout(
    net: _Net,
    rows: list[list[int]],
    centres: list[float],
    sizes: Sequence[tuple[int, int]],
    edges: Sequence[tuple[int, int]],
) -> Layout:
    """Whole numbers within the first quadrant. Rounding takes less than the gaps have."""
    heights = [max((sizes[item][1] for item in row if item < net.size), default=0) for row in rows]
    tops = [sum(heights[:at]) + at * LAYER_GAP for at in range(len(rows))]
    left = min(centre - width / 2 for centre, width in zip(centres, net.widths, strict=True))
    x = [round(centre - left) for centre in centres]
    boxes = tuple(
        Box(x[item] - width // 2, tops[net.layer[item]], width, height) for item, (width, height) in enumerate(sizes)
    )
    routes = tuple(
        Route(*edge, tuple(_stop(item, edge, net, x, tops, heights, boxes) for item in chain))
        for edge, chain in zip(edges, net.chains, strict=True)
    )
    width = max([box.x + box.width for box in boxes] + x)
    return Layout(width, tops[-1] + heights[-1], boxes, routes)


def _stop(
    item: int,
    edge: tuple[int, int],
    net: _Net,
    x: list[int],
    tops: list[int],
    heights: list[int],
    boxes: tuple[Box, ...],
) -> Stop:
    """How a route passes the layer of an item: from below the box that it leaves, to the top of the one it meets."""
    before, after = edge
    top, bottom = tops[net.layer[item]], tops[net.layer[item]] + heights[net.layer[item]]
    if item == before:
        return Stop(x[item], top + boxes[item].height, bottom)
    return Stop(x[item], top, top if item == after else bottom)
