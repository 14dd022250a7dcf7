"""Values as people read them on a terminal.

What it does: makes text safe for a terminal and gives each kind of value one short form. What it does not do:
it draws nothing.

Rule: no control character of a stored value reaches the terminal, since one could rewrite what is on the
screen.
"""

from __future__ import annotations

import re

import msgspec

from interlock.base.clock import rfc3339

# Both moments and durations are milliseconds; a duration of three years and more is a moment after 1973.
_MOMENT_MS_MIN = 10**11
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """`text` with every control and direction character written as an escape."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def is_absent(value: object) -> bool:
    """Whether there is nothing to show: no value, or a list of none."""
    return value is None or (isinstance(value, list | tuple) and not value)


def cell(name: str, value: object) -> str:
    """The short form of a member's value: times as RFC 3339, flags as yes and no, structure as JSON."""
    if is_absent(value):
        return "–"
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith("_ms"):
            return rfc3339(value) if value >= _MOMENT_MS_MIN else f"{value} ms"
        case str():
            return safe(value)
        case list() | tuple() if all(isinstance(each, str) for each in value):
            return safe("; ".join(value))
        case int():
            return str(value)
        case _:
            return safe(msgspec.json.encode(value).decode())


def title(name: str) -> str:
    """The name of a member as a heading; a unit that `cell` writes out is left away."""
    return name.removesuffix("_ms").replace("_", " ")
