"""The list of subscriptions: one row each, written from the feed.

What it does: folds the events of subscriptions into rows. What it does not do: no decision rests on it, and it does not
tell how far a subscription is (`subscription show`).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from interlock.base.events import Place
from interlock.base.part import View
from interlock.journal.streams import parse_stream
from interlock.journal.subscriptions import events as e


class SubscriptionRow(Struct, frozen=True):
    """A subscription in the list. `state` is `active` or `paused`, `dead` counts its dead letters."""

    name: str
    state: str
    sink: str
    kinds: tuple[str, ...]
    types: tuple[str, ...]
    dead: int
    added_ms: int


def _evolve(row: SubscriptionRow | None, place: Place, record: Struct) -> SubscriptionRow | None:
    if isinstance(record, e.SubscriptionAdded):
        name, chosen = parse_stream(place.stream).id, record.filter
        return SubscriptionRow(name, "active", record.sink, chosen.kinds, chosen.types, 0, place.at_ms)
    if row is None or isinstance(record, e.SubscriptionRemoved):
        return None
    state, dead = row.state, row.dead
    match record:
        case e.SubscriptionPaused():
            state = "paused"
        case e.SubscriptionResumed():
            state = "active"
        case e.DeliveryDead():
            dead += not record.again
        case e.DeliveryRedone():
            dead -= 1
    return msgspec.structs.replace(row, state=state, dead=dead)


def _terms(row: SubscriptionRow) -> Mapping[str, str]:
    return {"state": row.state}


SUBSCRIPTIONS = View(
    name="subscriptions",
    version=1,
    row=SubscriptionRow,
    key=lambda place, _record: parse_stream(place.stream).id,
    evolve=_evolve,
    order=lambda row: row.added_ms,
    terms=_terms,
    types=frozenset(kind.name for kind in e.EVENTS) - {"journal.delivery_redriven"},
)
