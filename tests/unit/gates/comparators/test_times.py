"""Texts as moments and days: what is one, and which come first."""

from __future__ import annotations

from itertools import pairwise

import pytest

from interlock.gates.comparators.times import day, moment


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00"),
        ("1970-01-01T00:00:00Z", "1970-01-01t00:00:00z"),
        ("1970-01-01T00:00:00Z", "1970-01-01 00:00:00-00:00"),
        ("1970-01-01T00:00:00Z", "1970-01-01_00:00:00.000Z"),
        ("2024-01-01T00:30:00+01:00", "2023-12-31T23:30:00Z"),
        ("2024-12-31T23:30:00-23:59", "2025-01-01T23:29:00Z"),
        ("2024-02-29T12:00:00.123456789Z", "2024-02-29T12:00:00.1234567899999Z"),
        ("2024-02-29T12:00:00.1Z", "2024-02-29T12:00:00.100000000Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999999Z"),
        ("2017-01-01T00:59:60.5+01:00", "2016-12-31T23:59:60Z"),
        ("9999-12-31T23:59:60Z", "9999-12-31T23:59:59.999999999Z"),
        ("0000-01-01T00:00:00+00:01", "0000-01-01T00:00:00+00:01"),
    ],
)
def test_these_are_the_same_moment(one: str, same: str) -> None:
    assert moment(one) is not None
    assert moment(one) == moment(same)


def test_moments_come_one_after_the_other() -> None:
    ordered = [
        "0000-01-01T00:00:00+23:59",
        "0000-01-01T00:00:00Z",
        "0000-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "1582-10-15T00:00:00Z",
        "1999-12-31T23:59:59.999999999Z",
        "2000-01-01T00:00:00Z",
        "2000-01-01T00:00:00.000000001Z",
        "2016-12-31T23:59:59Z",
        "2016-12-31T23:59:60Z",
        "2017-01-01T00:00:00Z",
        "2024-02-29T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-23:59",
    ]
    found = [moment(text) for text in ordered]

    assert all(one is not None and other is not None and one < other for one, other in pairwise(found))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00,5Z",
        "2024-1-1T00:00:00Z",
        "24-01-01T00:00:00Z",
        "12024-01-01T00:00:00Z",
        "-2024-01-01T00:00:00Z",
        "2024-01-01é00:00:00Z",
        "2024-01-0100:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z",
        "2024-01-01T23:59:60Z",
        "2024-01-31T23:59:60+01:00",
        "2024-01-31T22:59:60Z",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+00:60",
        "2024-01-01T00:00:00+0100",
        "2024-01-01T00:00:00+1:00",
        "2024-01-01T00:00:00+01",
        "2024-00-01T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2024-01-01T00:00:00Z ",
        "2024-01-01T00:00:00Z\n",
        " 2024-01-01T00:00:00Z",
        "٢٠٢٤-01-01T00:00:00Z",
    ],
)
def test_these_are_no_moments(text: str) -> None:
    assert moment(text) is None


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("2024-01-05", "2024-1-5"),
        ("2024-01-05", "002024-001-005"),
        ("2024-01-05", "+2024-+1-+5"),
        ("0000-02-29", "0-2-29"),
        ("9999-12-31", "9999-12-31"),
    ],
)
def test_these_are_the_same_day(one: str, same: str) -> None:
    assert day(one) is not None
    assert day(one) == day(same)


def test_days_come_one_after_the_other() -> None:
    ordered = ["0-1-1", "0-12-31", "1-1-1", "399-12-31", "400-01-01", "2024-9-30", "2024-10-01", "9999-12-31"]
    found = [day(text) for text in ordered]

    assert all(one is not None and other is not None and one < other for one, other in pairwise(found))
    assert day("1-1-1") == (day("0-12-31") or 0) + 1
    assert day("400-1-1") == (day("399-12-31") or 0) + 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024",
        "2024-01",
        "2024-01-01-01",
        "-2024-01-01",
        "2024--01-01",
        "10000-01-01",
        "2024-0-1",
        "2024-13-1",
        "2024-2-30",
        "2023-2-29",
        "1900-2-29",
        "2024-1-123",
        "2024-1-1 ",
        "2024-1-1\n",
        "2024/1/1",
        "2_024-1-1",
        "٢٠٢٤-1-1",
        "2024-01-01T00:00:00Z",
        "9" * 100_000 + "-1-1",
        "0" * 100_000,
    ],
)
def test_these_are_no_days(text: str) -> None:
    assert day(text) is None


@pytest.mark.parametrize("value", [None, True, 20240101, 1.5, ["2024-01-01"], {"2024-01-01": 1}])
def test_what_is_no_text_is_neither(value: object) -> None:
    assert (day(value), moment(value)) == (None, None)
