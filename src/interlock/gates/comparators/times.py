"""Texts as moments and as days.

What it does: reads RFC 3339 date-times and calendar dates onto scales of whole numbers. What it does not do: it knows
no local time: a date-time without an offset is none, and a day is no moment.

Rules (seed 000): moments are compared as instants, to the nanosecond; further digits are cut off; a leap second, which
only the end of a month can have, is the last nanosecond before it; between date and time any one ASCII character may
stand, as RFC 3339 leaves it to the application. A day is three whole numbers of a real calendar date, of which none
needs leading zeros.
"""

from __future__ import annotations

import re
from datetime import date

_DAY = re.compile(r"\A\+?0*([0-9]{1,4})-\+?0*([0-9]{1,2})-\+?0*([0-9]{1,2})\Z")
_MOMENT = re.compile(
    r"\A([0-9]{4})-([0-9]{2})-([0-9]{2})[\x00-\x7f]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))\Z"
)
_NANOSECONDS = 10**9
_DAY_SECONDS = 86_400
# The calendar repeats itself after so many years, which have so many days.
_CYCLE_YEARS = 400
_CYCLE_DAYS = 146_097


def day(value: object) -> int | None:
    """The number of a text's day; None where the text is no date."""
    found = _DAY.match(value) if isinstance(value, str) else None
    return None if found is None else _day(int(found[1]), int(found[2]), int(found[3]))


def moment(value: object) -> int | None:
    """The nanosecond of a text's moment; None where the text is no RFC 3339 date-time."""
    found = _MOMENT.match(value) if isinstance(value, str) else None
    if found is None:
        return None
    on = _day(int(found[1]), int(found[2]), int(found[3]))
    hour, minute, second = int(found[4]), int(found[5]), int(found[6])
    offset_minutes = _offset_minutes(found[8], found[9], found[10])
    if on is None or offset_minutes is None or hour > 23 or minute > 59 or second > 60:
        return None
    seconds = on * _DAY_SECONDS + (hour * 60 + minute - offset_minutes) * 60 + second
    if second == 60:
        return seconds * _NANOSECONDS - 1 if _begins_month(seconds) else None
    return seconds * _NANOSECONDS + int((found[7] or "")[:9].ljust(9, "0"))


def _offset_minutes(sign: str | None, hours: str | None, minutes: str | None) -> int | None:
    if sign is None or hours is None or minutes is None:
        return 0
    if int(hours) > 23 or int(minutes) > 59:
        return None
    return (int(hours) * 60 + int(minutes)) * (-1 if sign == "-" else 1)


def _day(year: int, month: int, of_month: int) -> int | None:
    """The number of a day of any year, also of the year 0."""
    try:
        within = date(year % _CYCLE_YEARS + _CYCLE_YEARS, month, of_month).toordinal()
    except ValueError:
        return None
    return within + year // _CYCLE_YEARS * _CYCLE_DAYS


def _begins_month(seconds: int) -> bool:
    on, within = divmod(seconds, _DAY_SECONDS)
    return within == 0 and date.fromordinal(on % _CYCLE_DAYS + _CYCLE_DAYS).day == 1
