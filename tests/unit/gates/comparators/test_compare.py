"""The comparator table, case by case (seed 000): T, F and ? for True, False and Unknown."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.base.canonical import parse
from interlock.gates.comparators.compare import compare, status_of
from interlock.gates.comparators.types import COMPARATORS
from interlock.gates.evidence.records import EvidenceError, EvidenceResult, failed
from interlock.gates.logic.status import Status
from interlock.gates.spec import Comparator
from interlock.gates.values import BytesValue, JsonValue

OF = {"T": Status.TRUE, "F": Status.FALSE, "?": Status.UNKNOWN}
OPPOSITE = {"T": "F", "F": "T", "?": "?"}
# What an order says where the value is less, equal, or greater than what is expected, or cannot be compared.
ORDERS = {
    "greater_than": {"<": "F", "=": "F", ">": "T", "?": "?"},
    "greater_than_or_equal": {"<": "F", "=": "T", ">": "T", "?": "?"},
    "less_than": {"<": "T", "=": "F", ">": "F", "?": "?"},
    "less_than_or_equal": {"<": "T", "=": "T", ">": "F", "?": "?"},
}
VALUE_COMPARATORS = [each for each in COMPARATORS if each not in {"exists", "not_exists"}]
U64_MAX, I64_MAX, I64_MIN = 2**64 - 1, 2**63 - 1, -(2**63)


def of(comparator: Any, value: Any, expected: Any) -> Status:
    """What a comparator says of a JSON value."""
    return compare(comparator, JsonValue(value), expected)


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}])
def test_any_value_exists_and_null_is_one(value: Any) -> None:
    assert of("exists", value, None) is Status.TRUE
    assert of("not_exists", value, None) is Status.FALSE


def test_what_is_absent_does_not_exist_and_bytes_do() -> None:
    assert compare("exists", None, None) is Status.FALSE
    assert compare("not_exists", None, None) is Status.TRUE
    assert compare("exists", BytesValue([]), None) is Status.TRUE
    assert compare("not_exists", BytesValue([]), None) is Status.FALSE


@pytest.mark.parametrize("comparator", VALUE_COMPARATORS)
@pytest.mark.parametrize("value", [None, 1, "2024-01-01", [1], {"a": 1}])
def test_without_a_value_or_an_expectation_nothing_else_can_be_said(comparator: Comparator, value: Any) -> None:
    """An expected null is no expectation."""
    assert of(comparator, value, None) is Status.UNKNOWN
    assert compare(comparator, None, value if value is not None else []) is Status.UNKNOWN
    assert compare(comparator, BytesValue([1]), None) is Status.UNKNOWN


@pytest.mark.parametrize("comparator", COMPARATORS)
@pytest.mark.parametrize("value", [None, JsonValue(1), BytesValue([1])])
def test_evidence_that_is_an_error_is_unknown_for_every_comparator(comparator: Comparator, value: Any) -> None:
    failing = EvidenceResult(value, error=EvidenceError("trust_lane", "below the lane"))

    assert status_of(comparator, failing, 1) is Status.UNKNOWN
    assert status_of(comparator, failed("provider_error", "down"), None) is Status.UNKNOWN


def test_evidence_without_an_error_is_compared() -> None:
    assert status_of("equals", EvidenceResult(JsonValue(1)), 1.0) is Status.TRUE
    assert status_of("not_exists", EvidenceResult(), None) is Status.TRUE


@pytest.mark.parametrize(
    ("value", "expected", "status"),
    [
        (1, 1, "T"),
        (1, 1.0, "T"),
        (1e3, 1000, "T"),
        (-0.0, 0.0, "T"),
        (-0.0, 0, "T"),
        (0.1, 0.1, "T"),
        (0.1, 0.10000000000000002, "F"),
        (1, 2, "F"),
        (U64_MAX, U64_MAX, "T"),
        (U64_MAX, I64_MAX, "F"),
        (U64_MAX, float(U64_MAX), "F"),
        (1234567890123456800, 1.2345678901234568e18, "T"),
        (1234567890123456768, 1.2345678901234568e18, "F"),
        (9007199254740993, 9007199254740992.0, "F"),
        (1.7976931348623157e308, 1.7976931348623157e308, "T"),
        (5e-324, 0, "F"),
        (float("nan"), 1, "?"),
        (1, float("inf"), "?"),
        (True, 1, "F"),
        (1, True, "F"),
        (False, 0, "F"),
        (True, True, "T"),
        (True, False, "F"),
        ("123", 123, "F"),
        (123, "123", "F"),
        ("NaN", 0, "F"),
        ("1,234.56", 1234.56, "F"),
        ("a", "a", "T"),
        ("a", "A", "F"),
        ("é", "e\u0301", "F"),
        (None, 1, "F"),
        (None, False, "F"),
        (None, "null", "F"),
        ([], [], "T"),
        ([1, 2], [1, 2], "T"),
        ([1, 2], [2, 1], "F"),
        ([1], [1.0], "F"),
        ([0.0], [-0.0], "T"),
        ([True], [1], "F"),
        ([1, [2, {"a": None}]], [1, [2, {"a": None}]], "T"),
        ([1], 1, "F"),
        ({}, [], "F"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "T"),
        ({"a": 1}, {"a": 1.0}, "F"),
        ({"a": 1}, {"a": 1, "b": 2}, "F"),
        ({"a": "-0.0"}, {"a": "0.0"}, "F"),
        ({"a": "-0.0", "b": -0.0}, {"a": "-0.0", "b": 0.0}, "T"),
    ],
    ids=repr,
)
def test_equality(value: Any, expected: Any, status: str) -> None:
    assert of("equals", value, expected) is OF[status]
    assert of("not_equals", value, expected) is OF[OPPOSITE[status]]
    assert of("equals", expected, value) is (Status.UNKNOWN if value is None else OF[status])


def test_numbers_that_read_as_the_same_double_are_equal() -> None:
    one, other = parse("18446744073709551616", wide=True), parse("18446744073709551617", wide=True)

    assert of("equals", one, other) is Status.TRUE
    assert of("equals", parse("18446744073709551615", wide=True), one) is Status.FALSE


@pytest.mark.parametrize("comparator", ORDERS)
@pytest.mark.parametrize(
    ("value", "expected", "order"),
    [
        (1, 2, "<"),
        (2, 1.5, ">"),
        (1, 1.0, "="),
        (-0.0, 0, "="),
        (0.1, 0.2, "<"),
        (U64_MAX, I64_MAX, ">"),
        (I64_MIN, I64_MAX, "<"),
        (9007199254740993, 9007199254740992.0, ">"),
        (1.7976931348623157e308, -1.7976931348623157e308, ">"),
        (5e-324, 0, ">"),
        (5e-324, 1e-323, "<"),
        (float("nan"), 1, "?"),
        (True, 0, "?"),
        (1, False, "?"),
        (None, 1, "?"),
        ("2", 1, "?"),
        ("2", "1", "?"),
        ("b", "a", "?"),
        ([2], [1], "?"),
        ({"a": 2}, {"a": 1}, "?"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z", "<"),
        ("2024-01-01T02:00:00+02:00", "2024-01-01T00:00:00Z", "="),
        ("2024-01-01T00:00:00-00:30", "2024-01-01T00:00:00+00:30", ">"),
        ("2024-01-01T00:00:00.5Z", "2024-01-01T00:00:00.25Z", ">"),
        ("2024-01-01", "2024-01-02", "<"),
        ("2024-1-5", "2024-01-05", "="),
        ("2024-10-01", "2024-9-30", ">"),
        ("2024-01-01", "2024-01-01T00:00:00Z", "?"),
        ("2024-01-01T00:00:00Z", "2024-01-01", "?"),
        ("2024-01-01T00:00:00", "2024-01-01T00:00:00Z", "?"),
        ("2024-02-30", "2024-01-01", "?"),
        ("2024-01-01", 1704067200, "?"),
        ("10:00:00Z", "09:00:00Z", "?"),
    ],
    ids=repr,
)
def test_order_of_numbers_moments_and_days(comparator: str, value: Any, expected: Any, order: str) -> None:
    assert of(comparator, value, expected) is OF[ORDERS[comparator][order]]


@pytest.mark.parametrize("comparator", ORDERS)
@pytest.mark.parametrize(
    ("value", "expected", "order"),
    [
        ("a", "b", "<"),
        ("a", "a", "="),
        ("10", "9", "<"),
        ("Z", "a", "<"),
        ("", "a", "<"),
        ("ab", "a", ">"),
        ("\uffff", "\U00010000", "<"),
        ("é", "z", ">"),
        (1, 2, "?"),
        ("1", 2, "?"),
        (None, "a", "?"),
        (["b"], ["a"], "?"),
        (True, "a", "?"),
    ],
    ids=repr,
)
def test_order_of_texts_is_that_of_their_utf8_bytes(comparator: str, value: Any, expected: Any, order: str) -> None:
    assert of(f"lex_{comparator}", value, expected) is OF[ORDERS[comparator][order]]
    if order != "?":
        assert (value.encode() < expected.encode(), value.encode() == expected.encode()) == (order == "<", order == "=")


@pytest.mark.parametrize(
    ("value", "expected", "status"),
    [
        ("abc", "b", "T"),
        ("abc", "", "T"),
        ("", "", "T"),
        ("abc", "B", "F"),
        ("abc", "abcd", "F"),
        ([1, 2, 3], [2], "T"),
        ([1, 2, 3], [3, 1, 1], "T"),
        ([1, 2], [3], "F"),
        ([1], [1.0], "F"),
        ([1], [True], "F"),
        ([0.0], [-0.0], "T"),
        ([None], [None], "T"),
        ([{"a": [1]}], [{"a": [1]}], "T"),
        ([{"a": [1]}], [{"a": [1.0]}], "F"),
        ([1], [], "T"),
        ([], [], "T"),
        ([], [1], "F"),
        (["a"], "a", "?"),
        ([1], 1, "?"),
        ("a", ["a"], "?"),
        ({"a": 1}, "a", "?"),
        ({"a": 1}, {"a": 1}, "?"),
        (12, 1, "?"),
        (None, "a", "?"),
        (True, True, "?"),
    ],
    ids=repr,
)
def test_contains(value: Any, expected: Any, status: str) -> None:
    assert of("contains", value, expected) is OF[status]


@pytest.mark.parametrize(
    ("value", "expected", "status"),
    [
        (1, [1, 2], "T"),
        (3, [1, 2], "F"),
        (1, [1.0], "F"),
        (1.0, [1.0], "T"),
        (True, [1], "F"),
        (1, [True], "F"),
        (-0.0, [0.0], "T"),
        (None, [None], "T"),
        (None, [0, False, ""], "F"),
        ("a", ["a"], "T"),
        ("a", "abc", "?"),
        ("a", [], "F"),
        ("a", [["a"]], "F"),
        (1, 1, "?"),
        (1, {"1": 1}, "?"),
        ([1], [[1]], "?"),
        ({}, [{}], "?"),
    ],
    ids=repr,
)
def test_in_set(value: Any, expected: Any, status: str) -> None:
    assert of("in_set", value, expected) is OF[status]


@pytest.mark.parametrize(
    ("value", "expected", "status"),
    [
        ([1, 2], [1, 2], "T"),
        ([1, 2], [2, 1], "F"),
        ([1], [1.0], "F"),
        ([], [], "T"),
        ({"a": {"b": [1]}}, {"a": {"b": [1]}}, "T"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "T"),
        ({"a": 1}, {"a": True}, "F"),
        ({"a": 0.0}, {"a": -0.0}, "T"),
        ({}, [], "?"),
        ([], {}, "?"),
        (1, 1, "?"),
        ("a", "a", "?"),
        (True, True, "?"),
        (None, [], "?"),
        ([1], 1, "?"),
        ({"a": 1}, "a", "?"),
    ],
    ids=repr,
)
def test_deep_equality(value: Any, expected: Any, status: str) -> None:
    assert of("deep_equals", value, expected) is OF[status]
    assert of("deep_not_equals", value, expected) is OF[OPPOSITE[status]]


@pytest.mark.parametrize(
    ("value", "expected", "status"),
    [
        ([1, 2], [1, 2], "T"),
        ([], [], "T"),
        ([0, 255], [255, 0], "F"),
        ([1], [1, 2], "F"),
        ([1], [1.0], "?"),
        ([1], [True], "?"),
        ([1], [256], "?"),
        ([1], [-1], "?"),
        ([1], ["1"], "?"),
        ([1], 1, "?"),
        ([97], "a", "?"),
        ([1], {"0": 1}, "?"),
    ],
    ids=repr,
)
def test_bytes_are_equal_to_the_list_of_their_values(value: list[int], expected: Any, status: str) -> None:
    assert compare("equals", BytesValue(value), expected) is OF[status]
    assert compare("not_equals", BytesValue(value), expected) is OF[OPPOSITE[status]]


@pytest.mark.parametrize("comparator", [each for each in VALUE_COMPARATORS if each not in {"equals", "not_equals"}])
def test_nothing_else_can_be_said_of_bytes(comparator: Comparator) -> None:
    assert compare(comparator, BytesValue([1, 2]), [1, 2]) is Status.UNKNOWN


def test_a_list_within_a_list_costs_its_length_and_not_its_square() -> None:
    """A mebibyte of evidence against a mebibyte of expectation: pair by pair it would outlast the limit of a test."""
    many = [[index, index] for index in range(60_000)]

    assert of("contains", many, list(reversed(many))) is Status.TRUE
    assert of("contains", many, [[-1, -1]]) is Status.FALSE
