"""The expression language CEL, behind the only two things that documents ask of it: compile and evaluate.

What it does: checks an expression, and evaluates it on JSON to JSON, with the library of the extra `cel`. What it does
not do: it resolves no bare path (`evaluate` does, without the library), and it is not imported before it is needed.

Rules: an expression sees `input`, `steps` and (in `outputs`) `output`, no clock, no environment and no function beyond
the language's own, but for `trim()` of a text, since what programs print ends a line. Its length is bounded, the
library bounds depth and iterations (and matches regular expressions in linear time), and the cost that size of data,
iterations and additions could come to is bounded before it is evaluated. A fault names the kind of trouble, never a
value.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from interlock.base.canonical import Json, canonical
from interlock.base.errors import InterlockError

COST_BYTES_MAX: Final = 256 * 1024 * 1024
"""What an expression could make of its data at most, in bytes: data, times iterations, times additions."""

ITERATIONS_MAX: Final = 10_000
"""Iterations of all macros of an expression, which the library enforces."""

PACKAGE: Final = "cel-expr-python"
_MACRO = re.compile(r"\.\s*(?:map|filter|exists|exists_one|all)\s*\(")
_KIND = re.compile(r"\A([A-Z_]+): (divide by zero|modulus by zero|integer overflow|Key not found|Index out of)?")
_LINE = re.compile(r"ERROR: <input>:(?P<line>-?\d+):(?P<column>-?\d+): (?P<text>[^\n\[]*)")


class CelFault(Exception):
    """Why an expression cannot be compiled or evaluated, in words without a value; `column` from 1, 0 if unknown."""

    def __init__(self, text: str, column: int = 0) -> None:
        super().__init__(text)
        self.text = text
        self.column = column


class CelMissingError(Exception):
    """The library is not installed."""


class Compiled(NamedTuple):
    """An expression that can be evaluated, and the name of its type."""

    program: Any
    kind: str


def version() -> str:
    """The version of the library. Raises: `CelMissingError`."""
    _library()
    from importlib.metadata import version as installed

    return installed(PACKAGE)


def compiled(source: str) -> Compiled:
    """The expression, checked. Raises: `CelFault`, `CelMissingError`."""
    _library()
    return _compiled(source)


@lru_cache(maxsize=1024)
def _compiled(source: str) -> Compiled:
    try:
        program = _environment().compile(source)
    except RuntimeError as fault:
        found = _LINE.search(str(fault))
        if found is None:
            raise CelFault("it is too deep or too long") from None
        column = max(int(found["column"]), 0) if found["line"] == "1" else 0
        raise CelFault(_safe(found["text"]), column) from None
    return Compiled(program, program.return_type().name())


def evaluated(source: str, data: dict[str, Json]) -> Json:
    """The value of an expression on its data. Raises: `CelFault`, `CelMissingError`."""
    program = compiled(source).program
    _check_cost(source, data)
    try:
        value = program.eval(data=data)
    except RuntimeError as fault:
        over = "budget" in str(fault)
        raise CelFault("it takes too many iterations" if over else "it cannot be evaluated") from None
    if value.type().name() == "ERROR":
        found = _KIND.match(str(value.plain_value()))
        raise CelFault((found[2] if found else None) or "it has no value on this data") from None
    result: Json = value.plain_value()
    try:
        canonical(result)
    except InterlockError as fault:
        raise CelFault(f"its value is not JSON ({fault.code}): convert it with string() or int()") from None
    return result


def _check_cost(source: str, data: dict[str, Json]) -> None:
    size, longest = len(canonical(data)), _longest(data)
    macros = len(_MACRO.findall(source))
    longest = max(longest, source.count(",") + 1)
    iterations = min(ITERATIONS_MAX, longest**macros) if macros else 1
    if size * iterations * (source.count("+") + 1) > COST_BYTES_MAX:
        raise CelFault("its data is too large for what it does with it")


def _longest(value: Json) -> int:
    """The most elements that any collection of a value has."""
    if isinstance(value, dict):
        return max([len(value), *(_longest(each) for each in value.values())])
    if isinstance(value, list | tuple):
        return max([len(value), *(_longest(each) for each in value)])
    return 1


def _safe(text: str) -> str:
    """The library's words about an expression, which is no secret, cut short."""
    return "".join(each if each.isprintable() else " " for each in text).strip()[:160]


@lru_cache(maxsize=1)
def _library() -> Any:
    try:
        from cel_expr_python import cel  # type: ignore[import-untyped]  # it has no marker
    except ImportError:
        raise CelMissingError from None
    return cel


@lru_cache(maxsize=1)
def _environment() -> Any:
    cel = _library()
    anything = cel.Type.DYN
    text = cel.Type.STRING
    trim = cel.Overload("string_trim", return_type=text, parameters=[text], is_member=True, impl=str.strip)
    return cel.NewEnv(
        variables={"input": anything, "steps": anything, "output": anything},
        functions=[cel.FunctionDecl("trim", [trim])],
    )
