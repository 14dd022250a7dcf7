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
_MISSING: Any = object()
_KEPT_BYTES: Final = 4096
"""What a value weighs at least whose size is kept: those of small ones would take more memory than they save time."""

_PLAIN: Final = frozenset({int, float, bool, type(None)})
"""Types whose values weigh all the same."""

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
    """A value: its size, its elements, and the most elements of anything in it."""

    size: Size
    elements: int = 1
    inner: int = 1


class Sizes:
    """The sizes of the values of one set of data: each is weighed when it is first asked for, with all below it.

    It knows values by their identity, and so holds the data that they are in, which nobody changes.
    """

    def __init__(self, data: Mapping[str, Json]) -> None:
        self.data = data
        self._known: dict[int, tuple[int, int]] = {}

    def of(self, value: Json) -> tuple[int, int]:
        """The bytes that a value weighs, and the most elements that any collection in it has."""
        if isinstance(value, str):
            return VALUE_BYTES + len(value) * (1 if value.isascii() else 4), 1
        if not isinstance(value, dict | list | tuple):
            return VALUE_BYTES, 1
        found = self._known.get(id(value))
        if found is None:
            found = self._of_all(value)
            if found[0] >= _KEPT_BYTES:
                self._known[id(value)] = found
        return found

    def _of_all(self, value: dict[str, Json] | list[Json] | tuple[Json, ...]) -> tuple[int, int]:
        total, most = VALUE_BYTES, max(1, len(value))
        if isinstance(value, dict):
            total += sum(VALUE_BYTES + 4 * len(key) for key in value)
        for each in value.values() if isinstance(value, dict) else value:
            if type(each) in _PLAIN:
                total += VALUE_BYTES
            else:
                weighed, elements = self.of(each)
                total, most = total + weighed, max(most, elements)
        return total, most


def cost(tree: Expr, data: Mapping[str, Json] | Sizes) -> int:
    """The bytes that an expression can come to. With `Sizes`, what was weighed for one serves those that follow."""
    return _Cost(data if isinstance(data, Sizes) else Sizes(data)).of(tree)


def least_cost(tree: Expr) -> int:
    """The same on small data: what it comes to where everything is one value, and each collection has one element."""
    return _Cost(Sizes({})).of(tree)


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

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._spent: Size = {}
        self._loops = 0

    def of(self, tree: Expr) -> int:
        bound = self._walk(tree, {})
        return _plus(self._spent, bound.size).get(_REST, 0)

    def _data(self, value: Json) -> _Bound:
        count = len(value) if isinstance(value, dict | list | tuple) else 1
        weighed, most = self._sizes.of(value)
        return _Bound({_REST: weighed}, count, most)

    def _spend(self, *sizes: Size) -> None:
        self._spent = _plus(self._spent, {_REST: VALUE_BYTES}, *sizes)

    def _walk(self, expr: Expr, names: Mapping[str, _Bound]) -> _Bound:
        match expr.kind:
            case "const":
                return _Bound({_REST: VALUE_BYTES + expr.size})
            case "ident":
                return names.get(expr.name) or self._found(self._sizes.data.get(expr.name, _MISSING))
            case "select":
                return self._member(expr, names)
            case "call":
                return self._call(expr, [self._walk(each, names) for each in expr.parts])
            case "fold":
                return self._fold(expr, names)
            case _:
                return self._collection([self._walk(each, names) for each in expr.parts])

    def _found(self, value: Any) -> _Bound:
        return _Bound({_REST: VALUE_BYTES}) if value is _MISSING else self._data(value)

    def _member(self, expr: Expr, names: Mapping[str, _Bound]) -> _Bound:
        """A member: of data the value itself, so that nothing is weighed on the way; what is not there is none."""
        path = [expr.name]
        whole = expr.parts[0]
        while whole.kind == "select":
            path.append(whole.name)
            whole = whole.parts[0]
        if whole.kind != "ident" or whole.name in names or whole.name not in self._sizes.data:
            around = self._walk(expr.parts[0], names)
            self._spend()
            return _Bound(around.size, around.inner, around.inner)
        value: Any = self._sizes.data[whole.name]
        for name in reversed(path):
            self._spend()
            value = value.get(name, _MISSING) if isinstance(value, dict) else _MISSING
        return self._found(value)

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
