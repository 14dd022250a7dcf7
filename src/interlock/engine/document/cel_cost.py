"""What an expression can come to on its data, in bytes, before it is evaluated.

What it does: gives an upper bound of all that an expression makes, looks through and copies, from CEL's own syntax tree
and the real sizes of the data. What it does not do: it evaluates nothing.

Rules: a bound is never too low. A value weighs 16 bytes and its text. The size of what a loop makes is counted as a sum
of shares of its element and a rest: the elements of a range weigh no more than the range, the rest is made for each of
them; so each loop around or behind another multiplies. A call that is not known makes more than it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from interlock.base.canonical import Json
from interlock.engine.document.cel_ast import Expr

ITERATIONS_MAX: Final = 10_000
"""Iterations of all macros of an expression, which the library enforces."""

VALUE_BYTES: Final = 16
_REST = ""
_UNKNOWN: Any = object()
_CHOICES: Final = frozenset({"_?_:_", "_[_]", "dyn"})
"""Calls that give one of what they are given."""

_FREE: Final = frozenset({*_CHOICES, "_&&_", "_||_", "!_", "@not_strictly_false", "size", "type"})
"""Calls that do not look through what they are given."""

_SMALL: Final = frozenset(
    {
        "_&&_",
        "_||_",
        "!_",
        "@not_strictly_false",
        "size",
        "type",
        "_==_",
        "_!=_",
        "_<_",
        "_<=_",
        "_>_",
        "_>=_",
        "@in",
        "_-_",
        "-_",
        "_*_",
        "_/_",
        "_%_",
        "int",
        "uint",
        "double",
        "bool",
        "matches",
        "contains",
        "startsWith",
        "endsWith",
        "timestamp",
        "duration",
        "getFullYear",
        "getMonth",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getHours",
        "getMinutes",
        "getSeconds",
        "getMilliseconds",
    }
)
"""Calls whose result weighs no more than a number."""

Size = dict[str, int]
"""Bytes: shares of the variables of the loops around, and the rest under an empty name."""


class _Bound(NamedTuple):
    """A value: its size, its elements, the most elements of anything in it, and itself where it is data."""

    size: Size
    elements: int = 1
    inner: int = 1
    value: Any = _UNKNOWN


def cost(tree: Expr, data: Mapping[str, Json]) -> int:
    """The bytes that an expression can come to."""
    return _Cost(data).of(tree)


def least_cost(tree: Expr) -> int:
    """The same on small data: what it comes to where everything is one value, and each collection has one element."""
    return _Cost({}).of(tree)


def weight(value: Json) -> int:
    """The bytes that a value weighs."""
    if isinstance(value, str):
        return VALUE_BYTES + len(value) * (1 if value.isascii() else 4)
    if isinstance(value, dict):
        return VALUE_BYTES + sum(VALUE_BYTES + 4 * len(key) + weight(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return VALUE_BYTES + sum(map(weight, value))
    return VALUE_BYTES


def _deepest(value: Json) -> int:
    """The most elements that any collection of a value has."""
    if isinstance(value, dict):
        return max([len(value), *map(_deepest, value.values())])
    if isinstance(value, list | tuple):
        return max([len(value), *map(_deepest, value)])
    return 1


def _plus(*sizes: Size) -> Size:
    found: Size = {}
    for size in sizes:
        for name, share in size.items():
            found[name] = found.get(name, 0) + share
    return found


def _times(size: Size, factor: int) -> Size:
    return {name: share * factor for name, share in size.items()}


def _most(bounds: list[_Bound]) -> _Bound:
    size: Size = {}
    for bound in bounds:
        for name, share in bound.size.items():
            size[name] = max(size.get(name, 0), share)
    return _Bound(size, max(each.elements for each in bounds), max(each.inner for each in bounds))


class _Cost:
    """The walk through one expression; `_spent` is what the loop that is walked has come to so far."""

    def __init__(self, data: Mapping[str, Json]) -> None:
        self._known = {name: self._data(value) for name, value in data.items()}
        self._spent: Size = {}
        self._loops = 0

    def of(self, tree: Expr) -> int:
        bound = self._walk(tree, {})
        return _plus(self._spent, bound.size).get(_REST, 0)

    def _data(self, value: Json) -> _Bound:
        count = len(value) if isinstance(value, dict | list | tuple) else 1
        return _Bound({_REST: weight(value)}, count, max(1, _deepest(value)), value)

    def _spend(self, *sizes: Size) -> None:
        self._spent = _plus(self._spent, {_REST: VALUE_BYTES}, *sizes)

    def _walk(self, expr: Expr, names: Mapping[str, _Bound]) -> _Bound:
        match expr.kind:
            case "const":
                return _Bound({_REST: VALUE_BYTES + expr.size})
            case "ident":
                return names.get(expr.name) or self._known.get(expr.name) or _Bound({_REST: VALUE_BYTES})
            case "select":
                return self._member(self._walk(expr.parts[0], names), expr.name)
            case "call":
                return self._call(expr, [self._walk(each, names) for each in expr.parts])
            case "fold":
                return self._fold(expr, names)
            case _:
                return self._collection([self._walk(each, names) for each in expr.parts])

    def _member(self, whole: _Bound, name: str) -> _Bound:
        self._spend()
        if isinstance(whole.value, dict) and name in whole.value:
            return self._data(whole.value[name])
        return _Bound(whole.size, whole.inner, whole.inner)

    def _collection(self, parts: list[_Bound]) -> _Bound:
        size = _plus({_REST: VALUE_BYTES}, *(each.size for each in parts))
        self._spend(size)
        inner = max([1, *(max(each.elements, each.inner) for each in parts)])
        return _Bound(size, max(1, len(parts)), inner)

    def _call(self, expr: Expr, parts: list[_Bound]) -> _Bound:
        sizes = [each.size for each in parts]
        self._spend(*([] if expr.name in _FREE else sizes))
        if expr.name in _SMALL:
            return _Bound({_REST: 2 * VALUE_BYTES})
        if expr.name == "_[_]":
            return _Bound(parts[0].size, parts[0].inner, parts[0].inner)
        if expr.name == "_?_:_":
            return _most(parts[1:])
        count, inner = sum(each.elements for each in parts), max([1, *(each.inner for each in parts)])
        if expr.name in {"_+_", "trim", "dyn"}:
            return _Bound(_plus({_REST: VALUE_BYTES}, *sizes), count, inner)
        return _Bound(_plus({_REST: 4 * VALUE_BYTES}, *(_times(each, 4) for each in sizes)), count, inner)

    def _fold(self, expr: Expr, names: Mapping[str, _Bound]) -> _Bound:
        """A loop: its step is walked once, on an element that is a variable and a result that is still nothing."""
        element, second, result = expr.names
        over, begin, condition, step, end = expr.parts
        run = self._walk(over, names)
        times = min(run.elements, ITERATIONS_MAX)
        first = self._walk(begin, names)
        before, self._spent = self._spent, {}
        self._loops += 1
        variable = f"{self._loops}"
        each = _Bound({variable: 1}, run.inner, run.inner)
        inside = {**names, element: each, **({second: each} if second else {}), result: _Bound({}, 0, 0)}
        self._walk(condition, inside)
        made = self._walk(step, inside)
        spent, self._spent = self._spent, before
        self._spend(self._summed(spent, variable, run.size, times))
        total = _Bound(
            _plus(first.size, self._summed(made.size, variable, run.size, times)),
            first.elements + times * made.elements,
            max(first.inner, made.inner),
        )
        return self._walk(end, {**names, result: total})

    def _summed(self, size: Size, variable: str, run: Size, times: int) -> Size:
        """What a loop comes to: the shares of all elements are the range; the rest comes each time."""
        rest = {name: share for name, share in size.items() if name != variable}
        return _plus(_times(run, size.get(variable, 0)), _times(rest, times))
