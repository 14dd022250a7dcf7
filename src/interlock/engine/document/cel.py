"""The expression language CEL, behind the only two things that documents ask of it: compile and evaluate.

What it does: checks an expression, and evaluates it on JSON to JSON, with the library of the extra `cel`. What it does
not do: it resolves no bare path (`evaluate` does, without the library), and it is not imported before it is needed.

Rules: an expression sees `input`, `steps` and (in `outputs`) `output`, no clock, no environment and no function beyond
the language's own, but for `trim()` of a text, since what programs print ends a line. Its length is bounded, the
library bounds depth and iterations (and matches regular expressions in linear time), and what it could come to is
bounded before it is evaluated (`cel_cost`). Evaluating is the affair of a process of its own, which has little memory
and little time (`cel_worker`); `evaluated_here` is what that process does. A fault names the kind of trouble, never a
value.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from interlock.base.canonical import Json, canonical
from interlock.base.errors import InterlockError
from interlock.engine.document.cel_ast import Expr, read_ast
from interlock.engine.document.cel_cost import Sizes, cost, least_cost

COST_BYTES_MAX: Final = 256 * 1024 * 1024
"""What an expression could make of its data at most, in bytes: all that it makes, copies and looks through."""

PACKAGE: Final = "cel-expr-python"
TOO_LARGE: Final = "its data is too large for what it does with it"
TOO_LARGE_ALWAYS: Final = "what it makes is too large on any data"
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


class CelTroubleError(Exception):
    """What the machine did to an evaluation, in words for people; the expression may be sound."""


class Compiled(NamedTuple):
    """An expression that can be evaluated, the name of its type, and what it is made of."""

    program: Any
    kind: str
    tree: Expr


@lru_cache(maxsize=1)
def version() -> str:
    """The version of the library. Raises: `CelMissingError`."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed(PACKAGE)
    except PackageNotFoundError:
        raise CelMissingError from None


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
    try:
        tree = read_ast(program.serialize())
        if least_cost(tree) > COST_BYTES_MAX:
            raise CelFault(TOO_LARGE_ALWAYS)
    except (ValueError, RecursionError):
        raise CelFault("it is of a kind that is not known") from None
    return Compiled(program, program.return_type().name(), tree)


def evaluated_here(source: str, data: Sizes) -> Json:
    """The value of an expression on its data, computed in this process. Raises: `CelFault`, `CelMissingError`."""
    program, _, tree = compiled(source)
    if cost(tree, data) > COST_BYTES_MAX:
        raise CelFault(TOO_LARGE)
    try:
        value = program.eval(data=data.data)
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
