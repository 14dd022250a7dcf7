"""Compares evidence with what is expected: the sixteen comparators, at run time.

What it does: says for any value and any expectation whether the comparator holds, does not hold, or cannot say. What it
does not do: it checks no lane, no age and no type (`strict` checks those before), and it never raises for JSON.

Rules (seed 000, comparator table): evidence that is an error is unknown for every comparator; without a value, or
without an expectation, only `exists` and `not_exists` say something, and null is a value but no expectation; numbers
that stand alone are equal by their decimal value, and within containers by their kind too; what cannot be compared is
unknown and never false.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from interlock.gates.comparators.equality import spelled
from interlock.gates.comparators.numbers import is_number, number
from interlock.gates.comparators.times import day, moment
from interlock.gates.evidence.records import EvidenceResult
from interlock.gates.logic.status import Status
from interlock.gates.spec import Comparator
from interlock.gates.values import BytesValue, Value

_Relation = Callable[[Any, Any], bool]
_Comparison = Callable[[Any, Any], Status]
_STATUS: Final = {True: Status.TRUE, False: Status.FALSE}
_SCALES: Final[tuple[Callable[[object], Decimal | int | None], ...]] = (number, moment, day)


def status_of(comparator: Comparator, result: EvidenceResult, expected: Any) -> Status:
    """What a condition is by its evidence; unknown where the evidence is an error."""
    return Status.UNKNOWN if result.error is not None else compare(comparator, result.value, expected)


def compare(comparator: Comparator, value: Value | None, expected: Any) -> Status:
    """Whether a value, or None where there is none, is as expected; None expects nothing."""
    if comparator == "exists":
        return _STATUS[value is not None]
    if comparator == "not_exists":
        return _STATUS[value is None]
    if value is None or expected is None:
        return Status.UNKNOWN
    if isinstance(value, BytesValue):
        return _bytes(comparator, value.value, expected)
    return _COMPARISONS[comparator](value.value, expected)


def _bytes(comparator: Comparator, value: list[int], expected: Any) -> Status:
    """Bytes are equal to the list of their values, or not; nothing else can be said of them."""
    relation = _EQUALITIES.get(comparator)
    if relation is None or not isinstance(expected, list) or not all(map(_is_byte, expected)):
        return Status.UNKNOWN
    return _STATUS[relation(value, expected)]


def _is_byte(value: object) -> bool:
    return type(value) is int and 0 <= value <= 255


def _equal(relation: _Relation) -> _Comparison:
    """Numbers by their decimal value, everything else by its structure."""

    def compared(value: Any, expected: Any) -> Status:
        if not (is_number(value) and is_number(expected)):
            return _STATUS[relation(spelled(value), spelled(expected))]
        one, other = number(value), number(expected)
        return Status.UNKNOWN if one is None or other is None else _STATUS[relation(one, other)]

    return compared


def _ordered(relation: _Relation) -> _Comparison:
    """Two numbers, two moments or two days; a value of one kind is not comparable with one of another."""

    def compared(value: Any, expected: Any) -> Status:
        for scale in _SCALES:
            one, other = scale(value), scale(expected)
            if one is not None and other is not None:
                return _STATUS[relation(one, other)]
        return Status.UNKNOWN

    return compared


def _lexicographic(relation: _Relation) -> _Comparison:
    """Two texts by their bytes in UTF-8, whose order is that of their code points."""

    def compared(value: Any, expected: Any) -> Status:
        if isinstance(value, str) and isinstance(expected, str):
            return _STATUS[relation(value, expected)]
        return Status.UNKNOWN

    return compared


def _deep(relation: _Relation) -> _Comparison:
    """Two lists or two objects, by their structure."""

    def compared(value: Any, expected: Any) -> Status:
        if isinstance(value, list | dict) and type(value) is type(expected):
            return _STATUS[relation(spelled(value), spelled(expected))]
        return Status.UNKNOWN

    return compared


def _contains(value: Any, expected: Any) -> Status:
    """A text that stands in a text, or a list of which each element is in a list."""
    if isinstance(value, str) and isinstance(expected, str):
        return _STATUS[expected in value]
    if isinstance(value, list) and isinstance(expected, list):
        return _STATUS[{spelled(each) for each in expected} <= {spelled(each) for each in value}]
    return Status.UNKNOWN


def _in_set(value: Any, expected: Any) -> Status:
    """A value that is neither a list nor an object, and is an element of a list."""
    if isinstance(value, list | dict) or not isinstance(expected, list):
        return Status.UNKNOWN
    return _STATUS[spelled(value) in map(spelled, expected)]


_EQUALITIES: Final[dict[str, _Relation]] = {"equals": operator.eq, "not_equals": operator.ne}
_COMPARISONS: Final[dict[str, _Comparison]] = {
    "equals": _equal(operator.eq),
    "not_equals": _equal(operator.ne),
    "greater_than": _ordered(operator.gt),
    "greater_than_or_equal": _ordered(operator.ge),
    "less_than": _ordered(operator.lt),
    "less_than_or_equal": _ordered(operator.le),
    "lex_greater_than": _lexicographic(operator.gt),
    "lex_greater_than_or_equal": _lexicographic(operator.ge),
    "lex_less_than": _lexicographic(operator.lt),
    "lex_less_than_or_equal": _lexicographic(operator.le),
    "contains": _contains,
    "in_set": _in_set,
    "deep_equals": _deep(operator.eq),
    "deep_not_equals": _deep(operator.ne),
}
