"""Selects values of a JSON document by JSONPath (RFC 9535), within a bound of work.

What it does: compiles a path by the library `jsonpath_rfc9535` and evaluates it, counting. What it does not do: it
reads no file, and writes no value anywhere.

Rules: every node that is visited, every condition that is asked and every value that is compared costs work, and there
is so much and no more of it, whatever the machine: a hostile path ends with a fault and not with a timeout. Regular
expressions are I-Regexp (RFC 9485), matched by RE2, whose time is linear in the text. What is selected is bounded as
well: a path can name one value a million times.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from jsonpath_rfc9535 import JSONPathEnvironment
from jsonpath_rfc9535.exceptions import JSONPathError
from jsonpath_rfc9535.filter_expressions import (
    ComparisonExpression,
    Expression,
    FilterContext,
    FilterQuery,
    FunctionExtension,
    LogicalExpression,
    PrefixExpression,
)
from jsonpath_rfc9535.function_extensions import ExpressionType, FilterFunction
from jsonpath_rfc9535.node import JSONPathNode
from jsonpath_rfc9535.query import JSONPathQuery
from jsonpath_rfc9535.selectors import FilterSelector, JSONPathSelector

PATH_CHARACTERS_MAX: Final = 4096
WORK_MAX: Final = 500_000
"""Steps of one evaluation: a second of one core, or less."""

PATTERN_CHARACTERS_MAX: Final = 512
_PATTERN_BYTES_MAX: Final = 1024 * 1024
_CHARACTERS_A_STEP: Final = 64
_MEMBERS_A_STEP: Final = 4
_STEPS_A_MATCH: Final = 8
_STEPS_A_PATTERN: Final = WORK_MAX // 32


class PathFault(Exception):
    """Why nothing is selected; safe to show."""


class _Work:
    """What is left of the work of one evaluation."""

    def __init__(self) -> None:
        self._left = WORK_MAX
        self._patterns: dict[str, Any] = {}

    def spend(self, steps: int = 1) -> None:
        """Count steps. Raises: `PathFault`."""
        self._left -= steps
        if self._left < 0:
            raise PathFault("the path asks for too much work")

    def pattern(self, text: str) -> Any:
        """A pattern, compiled once for the evaluation; None where it is none. Raises: `PathFault`."""
        if text not in self._patterns:
            self.spend(_STEPS_A_PATTERN)  # compiling takes milliseconds, whatever is matched then
            self._patterns[text] = _compiled(text)
        return self._patterns[text]

    def spend_on(self, value: Any) -> None:
        """Count what a value is made of, as far as there is work left for it."""
        left = [value]
        while left:
            each = left.pop()
            self.spend(1 + (len(each) // _CHARACTERS_A_STEP if isinstance(each, str) else 0))
            if isinstance(each, dict):
                left += each.values()
            elif isinstance(each, list):
                left += each


class _Node(JSONPathNode):
    """A node whose children cost work."""

    __slots__ = ("work",)

    def __init__(self, work: _Work, value: Any, root: Any) -> None:
        super().__init__(value=value, location=(), parent=None, root=root)
        self.work = work

    def new_child(self, value: object, key: int | str, parent: JSONPathNode | None) -> JSONPathNode:
        del key, parent  # where a value stands is not asked for
        self.work.spend()
        return _Node(self.work, value, self.root)


class _Query(JSONPathQuery):
    """A query whose nodes cost work."""

    __slots__ = ("work",)

    def __init__(self, query: JSONPathQuery, work: _Work) -> None:
        super().__init__(env=query.env, segments=query.segments)
        self.work = work

    def finditer(self, value: Any) -> Iterable[JSONPathNode]:
        nodes: Iterable[JSONPathNode] = [_Node(self.work, value, value)]
        for segment in self.segments:
            nodes = segment.resolve(nodes)
        return nodes


class _Selector(JSONPathSelector):
    """A selector that costs what it looks through."""

    __slots__ = ("inner", "work")

    def __init__(self, inner: JSONPathSelector, work: _Work) -> None:
        super().__init__(env=inner.env, token=inner.token)
        self.inner = inner
        self.work = work

    def resolve(self, node: JSONPathNode) -> Iterable[JSONPathNode]:
        value = node.value
        self.work.spend(1 + (len(value) // _MEMBERS_A_STEP if isinstance(value, dict | list) else 0))
        return self.inner.resolve(node)


class _Operand(Expression):
    """A part of a condition that costs work, and as a side of a comparison what its value is made of."""

    __slots__ = ("inner", "is_compared", "work")

    def __init__(self, inner: Expression, work: _Work, *, is_compared: bool) -> None:
        super().__init__(inner.token)
        self.inner = inner
        self.work = work
        self.is_compared = is_compared

    def evaluate(self, context: FilterContext) -> object:
        self.work.spend()
        found = self.inner.evaluate(context)
        if self.is_compared:
            self.work.spend_on([node.value for node in found] if isinstance(found, list) else found)
        return found


class _Matching(FilterFunction):
    """`match` and `search` by RE2."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - as the library declares it
    return_type = ExpressionType.LOGICAL

    def __init__(self, work: _Work, *, whole: bool) -> None:
        self._work = work
        self._whole = whole

    def __call__(self, text: object, pattern: object) -> bool:
        self._work.spend(_STEPS_A_MATCH)
        if not isinstance(text, str) or not isinstance(pattern, str):
            return False
        self._work.spend_on(text)
        compiled = self._work.pattern(pattern)
        if compiled is None:
            return False
        return (compiled.fullmatch(text) if self._whole else compiled.search(text)) is not None


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    """An I-Regexp for RE2; None where it is none, or too large."""
    import re2
    from iregexp_check import check

    if len(pattern) > PATTERN_CHARACTERS_MAX or not check(pattern):
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PATTERN_BYTES_MAX
    try:
        return re2.compile(_mapped(pattern), options)
    except re2.error:
        return None


def _mapped(pattern: str) -> str:
    """A dot of I-Regexp stands for anything but the ends of lines, of which RE2 knows one (RFC 9485, section 5)."""
    mapped, in_class, escaped = [], False, False
    for character in pattern:
        in_class = in_class if escaped else (character == "[" or (in_class and character != "]"))
        is_dot = character == "." and not escaped and not in_class
        mapped.append(r"[^\n\r]" if is_dot else character)
        escaped = character == "\\" and not escaped
    return "".join(mapped)


def selected(path: str, document: Any, bytes_max: int) -> list[Any]:
    """The values that a path selects. Raises: `PathFault`; `OverflowError` when they are more than `bytes_max`."""
    if len(path) > PATH_CHARACTERS_MAX:
        raise PathFault(f"the path has more than {PATH_CHARACTERS_MAX} characters")
    work = _Work()
    try:
        environment = JSONPathEnvironment()
        environment.function_extensions["match"] = _Matching(work, whole=True)
        environment.function_extensions["search"] = _Matching(work, whole=False)
        query = _counted(environment.compile(path), work)
        values = [node.value for node in query.finditer(document)]
    except (JSONPathError, RecursionError, OverflowError, ValueError):
        raise PathFault("the path is none of RFC 9535, or nested too deep") from None
    _check_size(values, bytes_max)
    return values


def _counted(query: JSONPathQuery, work: _Work) -> _Query:
    """A query in which everything costs work."""
    for segment in query.segments:
        for selector in segment.selectors:
            if isinstance(selector, FilterSelector):
                selector.expression.expression = _counting(selector.expression.expression, work)
        segment.selectors = tuple(_Selector(selector, work) for selector in segment.selectors)
    return _Query(query, work)


def _counting(expression: Expression, work: _Work) -> Expression:
    """A condition in which everything costs work."""
    match expression:
        case ComparisonExpression():
            expression.left = _Operand(_counting(expression.left, work), work, is_compared=True)
            expression.right = _Operand(_counting(expression.right, work), work, is_compared=True)
        case LogicalExpression():
            expression.left = _counting(expression.left, work)
            expression.right = _counting(expression.right, work)
        case PrefixExpression():
            expression.right = _counting(expression.right, work)
        case FunctionExtension():
            expression.args = [_counting(each, work) for each in expression.args]
        case FilterQuery():
            expression.query = _counted(expression.query, work)
            return _Operand(expression, work, is_compared=False)
        case _:
            pass
    return expression


def _check_size(values: list[Any], bytes_max: int) -> None:
    """Refuse values that take more than so many bytes as JSON, before anybody writes them."""
    size, left = 0, list(values)
    while left:
        each = left.pop()
        size += len(each) + 2 if isinstance(each, str) else 1
        if isinstance(each, dict):
            size += sum(map(len, each)) + 3 * len(each)
            left += each.values()
        elif isinstance(each, list):
            size += len(each)
            left += each
        if size > bytes_max:
            raise OverflowError
