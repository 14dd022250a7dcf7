"""The provider `time`: the time of the trigger, and whether it is after or before another.

What it does: answers from the time that the caller gave. What it does not do: it reads no clock.

Rules (seed 000): `after` and `before` do not count the threshold itself; a logical time is compared with an unsigned
number alone; of a date-time (RFC 3339) what is shorter than a millisecond is cut off.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from msgspec import Struct

from interlock.gates.evidence.port import Answered
from interlock.gates.evidence.providers.answers import json_value, params_of, refused
from interlock.gates.evidence.records import EvidenceAnchor, EvidenceContext
from interlock.gates.spec import EvidenceQuery
from interlock.gates.values import Logical, Timestamp

_DATE_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,40}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


class TimeConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How `time` is configured."""

    allow_logical: bool = True


class ThresholdParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a time is compared with: a number, or a date-time."""

    timestamp: int | str


class TimeProvider:
    """Answers from the trigger's time."""

    def __init__(self, config: TimeConfig) -> None:
        self._config = config

    async def query(self, query: EvidenceQuery, context: EvidenceContext, *, tenant: str) -> Answered:
        """As `EvidenceProvider.query`."""
        del tenant
        time = context.trigger_time
        is_logical = isinstance(time, Logical)
        if is_logical and not self._config.allow_logical:
            return Answered(refused("logical times are not answered"))
        kind = "trigger_time_logical" if is_logical else "trigger_time_unix_millis"
        anchor = EvidenceAnchor(kind, str(time.value))
        if query.check_id == "now":
            return Answered(json_value(time.value, anchor))
        threshold = _threshold(params_of(query, ThresholdParams).timestamp, time)
        if isinstance(threshold, str):
            return Answered(refused(threshold, anchor))
        holds = time.value > threshold if query.check_id == "after" else time.value < threshold
        return Answered(json_value(holds, anchor))

    async def close(self) -> None:
        """Nothing is held."""


def _threshold(given: int | str, time: Timestamp) -> int | str:
    """The threshold in the unit of a time; a text says why there is none."""
    if isinstance(time, Logical):
        if isinstance(given, str) or given < 0:
            return "a logical time is compared with an unsigned number"
        return given
    if isinstance(given, int):
        return given
    threshold = unix_millis(given)
    return "the threshold is no date-time by RFC 3339" if threshold is None else threshold


def unix_millis(text: str) -> int | None:
    """A date-time by RFC 3339 in milliseconds since 1970; None where it is none."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return None
    date, clock, fraction, offset = found.groups()
    zone = "+00:00" if offset in "Zz" else offset
    try:
        seconds = datetime.fromisoformat(f"{date}T{clock}{zone}").timestamp()
    except (ValueError, OverflowError):
        return None
    return int(seconds) * 1000 + int((fraction or "")[:3].ljust(3, "0"))
