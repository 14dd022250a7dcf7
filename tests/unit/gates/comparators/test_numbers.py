"""Numbers as the decimals that they are written as."""

from __future__ import annotations

from decimal import Decimal

import pytest

from interlock.gates.comparators.numbers import is_number, number


@pytest.mark.parametrize(
    ("value", "decimal"),
    [
        (0, "0"),
        (2**64 - 1, "18446744073709551615"),
        (-(2**63), "-9223372036854775808"),
        (0.1, "0.1"),
        (1e23, "1e23"),
        (1e16, "10000000000000000"),
        (5e-324, "5e-324"),
        (-0.0, "0"),
    ],
)
def test_a_number_is_the_decimal_that_it_is_written_as(value: float, decimal: str) -> None:
    assert number(value) == Decimal(decimal)
    assert is_number(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_has_no_decimal(value: float) -> None:
    assert is_number(value)
    assert number(value) is None


@pytest.mark.parametrize("value", [True, False, None, "1", [1], {"1": 1}], ids=repr)
def test_nothing_else_is_a_number(value: object) -> None:
    assert not is_number(value)
    assert number(value) is None
