"""Values as people read them on a terminal.

What it does: makes text safe for a terminal and gives each kind of value one short form. What it does not do:
it draws nothing.

Rule: no control character of a stored value reaches the terminal, since one could rewrite what is on the
screen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeGuard

import msgspec
from msgspec import UNSET

from interlock.base.clock import rfc3339

# Both moments and durations are milliseconds; a duration of three years and more is a moment after 1973.
_MOMENT_MS_MIN = 10**11
# Counts of what should not be: where there is none, there is nothing to tell.
_ODD_COUNTS = {"not_judged", "unsettled"}
DIGEST_CHARACTERS = 16
_DIGEST = re.compile(r"\A[0-9a-f]{64}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """`text` with every control and direction character written as an escape."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def is_absent(value: object) -> bool:
    """Whether there is nothing to show: no value, or a list of none."""
    return value is None or value is UNSET or (isinstance(value, list | tuple) and not value)


def cell(name: str, value: object) -> str:
    """The short form of a member's value: times as RFC 3339, flags as yes and no, counts in words, else JSON."""
    if is_absent(value):
        return "–"
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith("_ms"):
            return rfc3339(value) if is_moment(value, name) else f"{value} ms"
        case dict() if name == "counts":
            return safe(_counted(value))
        case str():
            return safe(value)
        case list() | tuple() if all(isinstance(each, str) for each in value):
            return safe("; ".join(value))
        case int():
            return str(value)
        case _:
            return safe(msgspec.json.encode(value).decode())


def short_digest(text: str, room: int) -> str:
    """The text; a digest that has no room is cut to what people compare. Ids of keys are there to be copied, whole."""
    return f"{text[:DIGEST_CHARACTERS]}…" if len(text) > room and _DIGEST.match(text) else text


def short_time(at_ms: int, now_ms: int) -> str:
    """The part of a moment that tells it apart, in UTC: the time of today, else the day. At most 11 characters."""
    moment, now = rfc3339(at_ms), rfc3339(now_ms)
    if moment[:10] == now[:10]:
        return moment[11:19]
    return moment[5:16].replace("T", " ") if moment[:4] == now[:4] else moment[:10]


def is_moment(value: object, name: str) -> TypeGuard[int]:
    """Whether a member is a moment, not a duration."""
    return name.endswith("_ms") and isinstance(value, int) and value >= _MOMENT_MS_MIN


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(
        f"{count} {(name[:-1] if count == 1 and name.endswith('s') else name).replace('_', ' ')}"
        for name, count in counts.items()
        if count or name not in _ODD_COUNTS
    )


def title(name: str) -> str:
    """The name of a member as a heading; a unit that `cell` writes out is left away."""
    return name.removesuffix("_ms").replace("_", " ").replace(".", " ")
