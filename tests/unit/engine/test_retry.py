"""How long a failed state waits: by its policy, to the millisecond (P9)."""

from __future__ import annotations

import pytest

from interlock.engine.config import Backoff, Duration, ExponentialBackoff, FixedBackoff, RetryPolicy
from interlock.engine.retry import DELAY_MS_MAX, delay_ms


def test_a_fixed_delay_is_the_same_after_every_failure() -> None:
    """P9."""
    policy = RetryPolicy.fixed(5, 1_500)

    assert [delay_ms(policy, failed) for failed in range(4)] == [1_500] * 4


def test_an_exponential_delay_doubles_from_its_base_up_to_its_cap() -> None:
    """P9."""
    policy = RetryPolicy.exponential(9, 100, 1_000)

    assert [delay_ms(policy, failed) for failed in range(6)] == [100, 200, 400, 800, 1_000, 1_000]


def test_a_policy_says_nothing_of_a_delay_by_default() -> None:
    assert delay_ms(RetryPolicy(), 0) == 0


@pytest.mark.parametrize("failed", [53, 54, 1_000, 2**31])
def test_an_exponential_delay_saturates_instead_of_growing_without_bound(failed: int) -> None:
    """P9."""
    assert delay_ms(RetryPolicy.exponential(2, 1, 60_000), failed) == 60_000
    assert delay_ms(RetryPolicy.exponential(2, 1, 2**60), failed) == DELAY_MS_MAX


def test_no_base_is_no_delay_however_often_it_is_doubled() -> None:
    """P9."""
    assert delay_ms(RetryPolicy.exponential(2, 0, 1_000), 1_000) == 0


def test_a_cap_below_the_base_wins() -> None:
    """P9."""
    assert delay_ms(RetryPolicy.exponential(2, 5_000, 1_000), 0) == 1_000


def test_durations_of_the_contract_count_whole_milliseconds() -> None:
    backoff = Backoff(Exponential=ExponentialBackoff(Duration(0, 1_999_999), Duration(secs=1, nanos=999_999_999)))

    assert [delay_ms(RetryPolicy(9, backoff), failed) for failed in (0, 20)] == [1, 1_999]
    assert delay_ms(RetryPolicy(9, Backoff(Fixed=FixedBackoff(Duration(2, 999_999)))), 0) == 2_000
