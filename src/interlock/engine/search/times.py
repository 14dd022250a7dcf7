"""Times and lengths of time as people write them.

What it does: reads `2h` and `2026-11-26T15:00:00Z`. What it does not do: it knows no clock; now is an argument.

Rule: what could mean two things is refused: a time needs its offset, a length its unit.
"""

from __future__ import annotations

import re
from datetime import datetime

from interlock.base.bounds import INTEGER_MAX
from interlock.engine.search.errors import TIME_INVALID

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_LENGTH = re.compile(r"\A([0-9]{1,15})(ms|s|m|h|d|w)\Z")
_TIME = re.compile(r"\A\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d.*(?:[Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)


def length_ms(text: str, what: str) -> int:
    """A length of time in milliseconds: a whole number with its unit. Raises: `time_invalid`."""
    found = _LENGTH.match(text)
    length = int(found[1]) * _UNITS_MS[found[2]] if found else INTEGER_MAX + 1
    if length > INTEGER_MAX:
        raise TIME_INVALID.error(f"`{what}` is no length of time, such as 90s, 30m, 2h or 7d", place=what)
    return length


def time_ms(text: str, now_ms: int, what: str) -> int:
    """A moment: RFC 3339, or a length of time before now. Raises: `time_invalid`."""
    if _LENGTH.match(text):
        return max(now_ms - length_ms(text, what), 0)
    try:
        moment = datetime.fromisoformat(text) if _TIME.match(text) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment.year < 1970:
        raise TIME_INVALID.error(
            f"`{what}` is no time: write 2026-11-26T15:00:00Z, or 2h for two hours ago", place=what
        )
    return max(int(moment.timestamp() * 1000), 0)
