"""Equality within containers, by the text that two values share."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.gates.comparators.equality import spelled


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": [True, None]}, {"b": [True, None], "a": 1}),
        (0.0, -0.0),
        ([{"a": -0.0}], [{"a": 0.0}]),
        (1e16, 10000000000000000.0),
    ],
    ids=repr,
)
def test_these_are_the_same(one: Any, other: Any) -> None:
    assert spelled(one) == spelled(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0, False),
        (0, None),
        (0, -0.0),
        ("1", 1),
        ("", []),
        ([], {}),
        ([[1], 2], [[1, 2]]),
        ({"a": "b"}, {"b": "a"}),
        ("-0.0", "0.0"),
        (["-0.0", -0.0], ["0.0", 0.0]),
        (1e16, 10000000000000000),
        ("é", "e\u0301"),
    ],
    ids=repr,
)
def test_these_are_not(one: Any, other: Any) -> None:
    assert spelled(one) != spelled(other)
