"""Equality of JSON values as it is inside of containers.

What it does: says whether two values are the same down to the kind of their numbers. What it does not do: it is not how
two numbers are compared with one another (`compare`), where 1 and 1.0 are equal.

Rules (seed 000): whole numbers and doubles differ, truth values are no numbers, 0.0 and -0.0 are the same, and the
order of members means nothing. A value is spelled once, so that what somebody sends costs its length and never its
square.
"""

from __future__ import annotations

import json
from typing import Any

_NEGATIVE_ZERO = "-0.0"


def spelled(value: Any) -> str:
    """A text that two JSON values share if they are the same, and only then."""
    text = json.dumps(value, sort_keys=True)
    return json.dumps(_unsigned(value), sort_keys=True) if _NEGATIVE_ZERO in text else text


def _unsigned(value: Any) -> Any:
    """A value whose zeros have no sign."""
    if isinstance(value, float):
        return value + 0.0
    if isinstance(value, dict):
        return {key: _unsigned(item) for key, item in value.items()}
    return [_unsigned(item) for item in value] if isinstance(value, list) else value
