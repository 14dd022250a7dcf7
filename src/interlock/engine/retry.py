"""How long to wait before the next attempt: a pure function of the policy and the number of failures."""

from __future__ import annotations

from msgspec import UNSET

from interlock.base.backoff import exponential_ms
from interlock.base.bounds import INTEGER_MAX
from interlock.engine.config import RetryPolicy

DELAY_MS_MAX = INTEGER_MAX


def delay_ms(policy: RetryPolicy, failed_attempt: int) -> int:
    """Milliseconds to wait after the failure with zero-based number `failed_attempt` among ordinary failures.

    Exponential: `min(base * 2^failed_attempt, max)`, saturating instead of growing without bound.
    """
    backoff = policy.backoff
    if backoff.Exponential is UNSET:
        return 0 if backoff.Fixed is UNSET else min(backoff.Fixed.delay.ms, DELAY_MS_MAX)
    return exponential_ms(backoff.Exponential.base_delay.ms, backoff.Exponential.max_delay.ms, failed_attempt)
