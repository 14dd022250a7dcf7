"""How long to wait before the next attempt: a pure function of the policy and the number of failures."""

from __future__ import annotations

from msgspec import UNSET

from interlock.engine.config import RetryPolicy

DELAY_MS_MAX = 2**53 - 1


def delay_ms(policy: RetryPolicy, failed_attempt: int) -> int:
    """Milliseconds to wait after the failure with zero-based number `failed_attempt` among ordinary failures.

    Exponential: `min(base * 2^failed_attempt, max)`, saturating instead of growing without bound.
    """
    backoff = policy.backoff
    if backoff.Exponential is UNSET:
        return 0 if backoff.Fixed is UNSET else min(backoff.Fixed.delay.ms, DELAY_MS_MAX)
    base, cap = backoff.Exponential.base_delay.ms, backoff.Exponential.max_delay.ms
    # Past 53 doublings the cap decides, whatever the base; the shift stays small.
    return min(base << min(failed_attempt, 53), cap, DELAY_MS_MAX)
