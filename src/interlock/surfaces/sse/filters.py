"""What a reader of the live feed asks for, as it stands in the query of its address. Pure.

What it does: reads `type`, `kind`, `stream` (each as often as wanted) and `after`. What it does not do: it reads no
cursor, and knows no event.

Rules: patterns are those of subscriptions, and mean the same; a parameter, or a whole type, that is not known is
refused, or a reader would take a filter that is spelled wrong for one that holds. A beginning of types may fit none
yet, and kinds of streams are no closed list: both are taken as they stand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.base.nearest import suggestion
from interlock.journal.streams import parse_stream
from interlock.journal.subscriptions.events import Filter
from interlock.journal.subscriptions.filters import PATTERNS_MAX, fault_of, takes
from interlock.surfaces.errors import EVENT_FILTER_INVALID


class Wanted(Struct, frozen=True):
    """Which events: those that `filter` takes, of one of `streams` if it names any; and behind which cursor."""

    filter: Filter = Filter()
    streams: frozenset[str] = frozenset()
    after: str | None = None

    def takes(self, stream: str, event_type: str) -> bool:
        """Whether an event is one of them."""
        if self.streams and stream not in self.streams:
            return False
        return takes(self.filter, parse_stream(stream).kind, event_type)


def wanted_of(query: Iterable[tuple[str, str]], tenant: str, types: Collection[str]) -> Wanted:
    """What a query asks for, where there are these types of events. Raises: `event_filter_invalid`."""
    given: dict[str, list[str]] = {"type": [], "kind": [], "stream": [], "after": []}
    for name, value in query:
        if name not in given:
            raise EVENT_FILTER_INVALID.error(f"a parameter that is none of {', '.join(given)}", place="query")
        given[name].append(value)
    if len(given["after"]) > 1 or len(given["stream"]) > PATTERNS_MAX:
        raise EVENT_FILTER_INVALID.error(f"`after` twice, or more than {PATTERNS_MAX} streams", place="query")
    chosen = Filter(kinds=tuple(given["kind"]), types=tuple(given["type"]))
    fault = fault_of(chosen)
    if fault is not None:
        raise EVENT_FILTER_INVALID.error(fault.message, **fault.details)
    for each in chosen.types:
        if not each.endswith("*") and each not in types:
            near = suggestion(each, types)
            raise EVENT_FILTER_INVALID.error(f"no type of events: {shown(each)}{near}", place="types")
    for stream in given["stream"]:
        _check_stream(stream, tenant)
    return Wanted(chosen, frozenset(given["stream"]), next(iter(given["after"]), None))


def _check_stream(stream: str, tenant: str) -> None:
    try:
        own = parse_stream(stream).tenant == tenant
    except InterlockError:
        own = False
    if not own:
        raise EVENT_FILTER_INVALID.error("not a stream of this tenant", place="stream")
