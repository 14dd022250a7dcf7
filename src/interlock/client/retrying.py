"""When a request is sent again, and when it is not.

What it does: decides after a failed attempt how long to wait before the next one, if there is to be one. What it does
not do: it sends nothing, and reads no clock.

Rules: again is only after what was certainly not done: no connection, or a refusal (429, 503) that says when to come
back; what changes something, only under an idempotency key; attempts and time are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from interlock.base.backoff import exponential_ms, jittered_ms
from interlock.base.errors import InterlockError
from interlock.client.errors import CLIENT_CONNECT_FAILED

_BASE_MS: Final = 100
_CAP_MS: Final = 5_000
_AGAIN: Final = {429, 503}
_SECONDS_DIGITS_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Retrying:
    """How often a request is sent, and for how long: `attempts_max` 1 sends each once."""

    attempts_max: int = 4
    total_ms_max: int = 60_000

    def wait_ms(self, attempt: int, spent_ms: int, fault: Failure, entropy: bytes) -> int | None:
        """How long to wait after attempt number `attempt` (from 1); None where the failure is the answer."""
        if attempt >= self.attempts_max or not fault.may_repeat:
            return None
        if fault.status is None:
            if fault.error.kind is not CLIENT_CONNECT_FAILED:
                return None
            wait_ms = jittered_ms(exponential_ms(_BASE_MS, _CAP_MS, attempt - 1), entropy)
        elif fault.status not in _AGAIN or fault.retry_after_ms is None:
            return None
        else:
            wait_ms = fault.retry_after_ms + jittered_ms(_BASE_MS, entropy)
        return wait_ms if spent_ms + wait_ms <= self.total_ms_max else None


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt: `status` is None where nothing was answered; `may_repeat` is the caller's word."""

    error: InterlockError
    may_repeat: bool
    status: int | None = None
    retry_after_ms: int | None = None


def retry_after_ms(text: str | None) -> int | None:
    """The header `Retry-After` in seconds; None where there is none, or a date."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > _SECONDS_DIGITS_MAX:
        return None
    return int(text) * 1000
