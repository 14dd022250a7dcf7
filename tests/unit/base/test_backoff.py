"""How long is waited after failures: doubled up to a cap, and spread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.backoff import exponential_ms, jittered_ms
from interlock.base.bounds import INTEGER_MAX

Delay = st.integers(0, INTEGER_MAX)


@pytest.mark.parametrize(
    ("base", "cap", "failures", "expected"),
    [
        (100, 1_000, 0, 100),
        (100, 1_000, 1, 200),
        (100, 1_000, 3, 800),
        (100, 1_000, 4, 1_000),
        (100, 50, 0, 50),
        (0, 1_000, 99, 0),
        (1, 2**60, 10**9, INTEGER_MAX),
    ],
)
def test_a_delay_doubles_up_to_its_cap(base: int, cap: int, failures: int, expected: int) -> None:
    assert exponential_ms(base, cap, failures) == expected


@given(Delay, Delay, st.integers(0, 10_000))
def test_a_delay_never_falls_with_failures_and_never_passes_its_cap(base: int, cap: int, failures: int) -> None:
    delay = exponential_ms(base, cap, failures)

    assert delay <= min(cap, INTEGER_MAX)
    assert delay <= exponential_ms(base, cap, failures + 1)


@given(Delay, st.binary(min_size=0, max_size=16))
def test_a_spread_delay_is_between_the_half_and_the_whole(delay: int, entropy: bytes) -> None:
    assert delay // 2 <= jittered_ms(delay, entropy) <= delay


def test_a_spread_delay_reaches_both_ends() -> None:
    spread = {jittered_ms(10, bytes([each])) for each in range(256)}

    assert spread == {5, 6, 7, 8, 9, 10}
