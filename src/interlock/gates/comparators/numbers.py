"""JSON numbers as the decimals that they are written as.

What it does: gives numbers one scale, on which 1 and 1.0 are the same. What it does not do: it takes no text and no
truth value for a number.

Rule (seed 000): a double is the shortest decimal that reads back as it, so that 0.1 is a tenth.
"""

from __future__ import annotations

import math
from decimal import Decimal


def is_number(value: object) -> bool:
    """Whether a JSON value is a number."""
    return type(value) is int or type(value) is float


def number(value: object) -> Decimal | None:
    """The decimal of a JSON number; None for everything else, and for what is not finite."""
    if type(value) is int:
        return Decimal(value)
    if type(value) is float and math.isfinite(value):
        return Decimal(repr(value))
    return None
