"""Lengths of time as documents write them: `200ms`, `120s`, `5m`, `2h`, `7d`.

It is pure, and knows no clock.
"""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

from interlock.base.bounds import INTEGER_MAX

FORM = r"\A[0-9]{1,12}(ms|s|m|h|d)\Z"
Duration = Annotated[str, Meta(pattern=FORM)]
"""A length of time in the form of documents."""

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PARTS = re.compile(r"\A([0-9]{1,12})(ms|s|m|h|d)\Z", re.ASCII)


def milliseconds(text: str) -> int:
    """The length in milliseconds. Raises: `ValueError` if the text is not of the form."""
    found = _PARTS.match(text)
    if found is None:
        raise ValueError("no length of time")
    return min(int(found[1]) * _UNITS_MS[found[2]], INTEGER_MAX)
