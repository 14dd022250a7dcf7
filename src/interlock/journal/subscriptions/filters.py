"""Which events a subscription takes: by the type of an event and the kind of its stream. Pure.

What it does: checks a filter's patterns and matches events. What it does not do: it looks into no data, which alone
says for whom an event is, and knows no tenant: a subscription reads the feed of its own alone.

Rule: events of subscriptions themselves are never taken, or a dead letter would beget another without end.
"""

from __future__ import annotations

import re

from interlock.base.errors import InterlockError
from interlock.base.ids import SEGMENT, shown
from interlock.journal.errors import SUBSCRIPTION_INVALID
from interlock.journal.subscriptions.events import SUBSCRIPTION, Filter

PATTERNS_MAX = 100
"""Kinds, or types, that one filter names."""

_KIND = re.compile(rf"\A{SEGMENT}\Z")
_TYPE = re.compile(rf"\A(?:{SEGMENT}\.{SEGMENT}|[a-z][a-z0-9_.]{{0,125}}\*|\*)\Z")


def fault_of(given: Filter) -> InterlockError | None:
    """Why a filter can take nothing as it is written; None for a sound one."""
    if max(len(given.audience), len(given.kinds), len(given.types)) > PATTERNS_MAX:
        what = f"a filter names at most {PATTERNS_MAX} kinds, types and audiences"
        return SUBSCRIPTION_INVALID.error(what, place="filter")
    if "" in given.audience:
        return SUBSCRIPTION_INVALID.error("nobody has an empty name", place="audience")
    for kind in given.kinds:
        if _KIND.match(kind) is None or kind == SUBSCRIPTION:
            return SUBSCRIPTION_INVALID.error(f"no kind of streams that is delivered: {shown(kind)}", place="kinds")
    for pattern in given.types:
        if _TYPE.match(pattern) is None:
            return SUBSCRIPTION_INVALID.error(
                f"neither a type of events nor a beginning and *: {shown(pattern)}", place="types"
            )
    return None


def takes(given: Filter, kind: str, event_type: str) -> bool:
    """Whether an event of this type, in a stream of this kind, may be meant."""
    if kind == SUBSCRIPTION or (given.kinds and kind not in given.kinds):
        return False
    return not given.types or any(_fits(pattern, event_type) for pattern in given.types)


def _fits(pattern: str, event_type: str) -> bool:
    return event_type.startswith(pattern[:-1]) if pattern.endswith("*") else event_type == pattern
