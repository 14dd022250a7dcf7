"""What it takes at most to hold a value against a schema, known before it is done.

What it does: reads a schema with all that it refers to, and counts. What it does not do: it judges no value and says
nothing of places outside (`answer_schema` does both).

Rules: a bound is never too low. What stands at the same value (`allOf`, `$ref`, …) is added up; what stands below it is
added up for one element or member: of those with names of their own only the largest meets it, and a value is a list or
an object, never both. So what meets one value of a depth is known from the schema alone, level by level, and times the
values of that depth it is the whole. References lead to schemas of the one document, never through data, and never back
to themselves without a step down.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin

EXPANDED_MAX: Final = 10_000
"""Schemas in a schema, each counted as often as it is referred to; what refers back to itself is counted once."""

HEIGHT_MAX: Final = 200
"""Schemas that stand at the same value, one within the other."""

BEYOND: Final = "the schema is too large with all that it refers to"
ENDLESS: Final = "the schema refers to itself without end"
LOST: Final = "a reference of the schema leads to no schema of it"
NESTED: Final = "the schema has an $id below its root"

_DATA: Final = frozenset({"const", "enum", "default", "examples"})
_MAPS: Final = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"}
)
_HERE: Final = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies")
_MEMBERS: Final = ("patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames")
_ELEMENTS: Final = ("additionalItems", "unevaluatedItems", "contains")
_POINTERS: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_AGAIN: Final = 3
"""How often what stands at a value is gone through where a schema asks what is left over by it."""

_TEXT_CHARACTERS: Final = 64
"""Characters of a text that count as one more value: patterns look at each."""


class Unbounded(ValueError):
    """Why what a schema takes cannot be known, in words for people."""


@dataclass(slots=True)
class _Schema:
    """One schema: what it takes itself, and the numbers of those below it by how they meet a value."""

    own: int
    here: list[int]
    named: list[int]
    members: list[int]
    placed: list[int]
    elements: list[int]
    again: int


def schemas(root: object) -> Iterator[dict[str, Any]]:
    """Every schema that stands in a schema, the root first; what is data in it is none."""
    left = [root]
    while left:
        value = left.pop()
        if isinstance(value, list | tuple):
            left += value
        elif isinstance(value, dict):
            yield value
            for name, each in value.items():
                if name in _MAPS and isinstance(each, dict):
                    left += each.values()
                elif name not in _DATA:
                    left.append(each)


def target(root: Mapping[str, Any], reference: str) -> str | None:
    """The place in its own document that a reference names, as a fragment; None for one outside."""
    if reference.startswith("#"):
        return reference[1:]
    base = root.get("$id", root.get("id"))
    if not isinstance(base, str):
        return None
    try:
        place, fragment = urldefrag(urljoin(base, reference))
        return fragment if place == urldefrag(base)[0] else None
    except ValueError:  # no address at all
        return None


class Work:
    """What a schema takes. Raises: `Unbounded`."""

    def __init__(self, root: Any) -> None:
        self._root = root if isinstance(root, dict) else {}
        self._numbers = {id(each): number for number, each in enumerate(schemas(self._root))}
        self._plain = len(self._numbers)  # the number of true and false
        self._anchors = self._named_places()
        self._all = [self._read(each) for each in schemas(self._root)]
        self._all.append(_Schema(1, [], [], [], [], [], 1))
        self._order = self._inner_first()
        self.tells_branches = any("anyOf" in each or "oneOf" in each for each in schemas(self._root))

    def check_expanded(self) -> None:
        """Refuse a schema that is too large with all that it refers to. Raises: `Unbounded`."""
        if self._expanded() > EXPANDED_MAX:
            raise Unbounded(BEYOND)

    def on(self, value: Any, limit: int) -> int:
        """What the schema takes on a value; as soon as it is above `limit`, so much is given."""
        counts = _values(value)
        total = 0
        for taken, count in zip(self._levels(len(counts)), counts, strict=True):
            total += taken * count
            if total > limit:
                break
        return total

    def _named_places(self) -> dict[str, int]:
        """The schemas that have a name. One with an identity of its own below the root is refused: it moves others."""
        dialect = str(self._root.get("$schema", ""))
        names = {"draft-04": "id", "draft-06": "$id", "draft-07": "$id"}
        identity = next((name for draft, name in names.items() if draft in dialect), None)
        found: dict[str, int] = {}
        for each in schemas(self._root):
            named = [each.get("$anchor"), each.get("$dynamicAnchor")]
            for name in ("$id", "id") if identity == "id" else ("$id",):
                text = each.get(name)
                if isinstance(text, str) and each is not self._root:
                    if name != identity or not text.startswith("#"):
                        raise Unbounded(NESTED)
                    named.append(text[1:])
            for anchor in {text for text in named if isinstance(text, str)}:
                if anchor in found:
                    raise Unbounded(LOST)
                found[anchor] = self._numbers[id(each)]
        return found

    def _read(self, schema: dict[str, Any]) -> _Schema:
        items = schema.get("items")
        own = 1 + sum(1 + (len(each) if isinstance(each, dict | list) else 0) for each in schema.values())
        return _Schema(
            own,
            [*self._of(schema, _HERE), *self._referred(schema)],
            self._of(schema, ("properties",)),
            self._of(schema, _MEMBERS),
            [*self._of(schema, ("prefixItems",)), *(self._of(schema, ("items",)) if isinstance(items, list) else ())],
            [*self._of(schema, _ELEMENTS), *(self._of(schema, ("items",)) if not isinstance(items, list) else ())],
            _AGAIN if "unevaluatedProperties" in schema or "unevaluatedItems" in schema else 1,
        )

    def _of(self, schema: dict[str, Any], names: Sequence[str]) -> list[int]:
        """The numbers of the schemas under keywords."""
        found: list[Any] = []
        for name in names:
            value = schema.get(name)
            if isinstance(value, dict):
                found += value.values() if name in _MAPS else [value]
            elif isinstance(value, list):
                found += value
            elif value is not None:
                found.append(value)
        return [self._numbers.get(id(each), self._plain) for each in found]

    def _referred(self, schema: dict[str, Any]) -> Iterator[int]:
        for name in _POINTERS:
            reference = schema.get(name)
            fragment = target(self._root, reference) if isinstance(reference, str) else None
            if fragment is not None:
                yield self._number(unquote(fragment))

    def _number(self, fragment: str) -> int:
        if fragment and not fragment.startswith("/"):
            place = self._anchors.get(fragment)
        else:
            value = _pointed(self._root, fragment)
            place = self._plain if isinstance(value, bool) else self._numbers.get(id(value))
        if place is None:
            raise Unbounded(LOST)
        return place

    def _inner_first(self) -> list[int]:
        """All schemas, each behind those that stand at the same value in it."""
        heights: dict[int, int] = {}
        for first in range(len(self._all)):
            for number in _left(first, lambda number: self._all[number].here, heights, ends=True):
                heights[number] = 1 + max((heights[each] for each in self._all[number].here), default=0)
        if max(heights.values()) > HEIGHT_MAX:
            raise Unbounded(BEYOND)
        return list(heights)

    def _expanded(self) -> int:
        """The schemas in the schema, with each reference in the place of what it refers to."""
        sizes: dict[int, int] = {}
        for number in _left(0, self._within, sizes, ends=False):
            sizes[number] = 1 + sum(sizes.get(each, 1) for each in self._within(number))
        return sizes[0]

    def _within(self, number: int) -> list[int]:
        each = self._all[number]
        return [*each.here, *each.named, *each.members, *each.placed, *each.elements]

    def _levels(self, depth: int) -> Iterator[int]:
        """What meets one value, of each depth below the one that the root meets."""
        before = [0] * len(self._all)
        for level in range(depth):
            if level and not any(before):
                yield 0
                continue
            lists, objects, met = list(before), list(before), list(before)
            for number in self._order:
                each = self._all[number]
                if level == 0:
                    met[number] = each.again * (each.own + sum(met[inner] for inner in each.here))
                    continue
                placed = max((before[inner] for inner in each.placed), default=0)
                named = max((before[inner] for inner in each.named), default=0)
                placed += sum(before[inner] for inner in each.elements) + sum(lists[inner] for inner in each.here)
                named += sum(before[inner] for inner in each.members) + sum(objects[inner] for inner in each.here)
                lists[number], objects[number] = each.again * placed, each.again * named
                met[number] = max(lists[number], objects[number])
            yield met[0]
            before = met


def _left(first: int, within: Callable[[int], list[int]], done: Container[int], *, ends: bool) -> Iterator[int]:
    """The numbers that are reached from one, each when all within it are done; who is given one must do it then.

    One that is within itself is passed over; with `ends` there may be none. Raises: `Unbounded`.
    """
    path = [] if first in done else [(first, iter(within(first)))]
    entered = {first}
    while path:
        number, left = path[-1]
        inner = next((each for each in left if each not in done and (ends or each not in entered)), None)
        if inner is None:
            path.pop()
            entered.discard(number)
            yield number
        elif inner in entered:
            raise Unbounded(ENDLESS)
        else:
            entered.add(inner)
            path.append((inner, iter(within(inner))))


def _pointed(value: Any, fragment: str) -> Any:
    for part in (each.replace("~1", "/").replace("~0", "~") for each in fragment.split("/")[1:]):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _values(value: Any) -> list[int]:
    """How many values stand at each depth, a long text counted by its length."""
    counts: list[int] = []
    level = [value]
    while level:
        counts.append(len(level) + sum(len(each) // _TEXT_CHARACTERS for each in level if isinstance(each, str)))
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += each.values()
            elif isinstance(each, list):
                below += each
        level = below
    return counts
