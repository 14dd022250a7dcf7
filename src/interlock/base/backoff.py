"""How long to wait after failures: the arithmetic that every retry of the product shares.

What it does: doubles a delay up to a cap, and spreads it by entropy that it is given. What it does not do: it counts no
attempts, reads no clock and draws no chance; policies and deliveries do.
"""

from __future__ import annotations

from interlock.base.bounds import INTEGER_MAX

# Past 53 doublings the cap decides, whatever the base; the shift stays small.
_DOUBLINGS_MAX = 53


def exponential_ms(base_ms: int, cap_ms: int, failures: int) -> int:
    """`base_ms` doubled `failures` times, up to `cap_ms`; it saturates instead of growing without bound."""
    return min(base_ms << min(failures, _DOUBLINGS_MAX), cap_ms, INTEGER_MAX)


def jittered_ms(delay_ms: int, entropy: bytes) -> int:
    """Between half and all of `delay_ms`, so that those who failed together do not come back together."""
    least = delay_ms // 2
    return least + int.from_bytes(entropy) % (delay_ms - least + 1)
