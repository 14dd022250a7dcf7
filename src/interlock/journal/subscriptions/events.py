"""The events of a subscription's stream, and the rows that go with them.

What it does: declares the records; what is added stands in the index until it is removed, and what only the deliverer
may record is refused where a later one has taken over. What it does not do: it decides nothing, and no event says how
far a subscription is: that stands in its table (`progress`).

Rules: members are in alphabetical order; the number of the event that adds a subscription is its generation, so that
one that is removed and added again shares nothing with its forerunner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from interlock.base.events import Claim, EventType, Hold, IndexRow, Place, Row
from interlock.journal.streams import parse_stream, stream_id

SUBSCRIPTION = "subscription"
"""The kind of a subscription's stream, of its activation, and the name of the index of what is there."""


class Filter(Struct, frozen=True):
    """Which events are delivered: those of one of `kinds` of streams and one of `types`; empty takes all.

    A type is given whole, or by its beginning and `*`. With an `audience`, only events that say for whom they are, and
    are for one of it.
    """

    audience: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


class SubscriptionAdded(Struct, frozen=True):
    """Events after `after_position` go to a sink; None begins behind this event.

    `local` says that the user of this machine added it, so that `target` may name secrets.
    """

    after_position: int | None
    filter: Filter
    local: bool
    sink: str
    target: Raw


class SubscriptionPaused(Struct, frozen=True):
    """Nothing is delivered until it is resumed; `code` is that of the error if nobody asked for it."""

    code: str | None
    reason: str


class SubscriptionResumed(Struct, frozen=True):
    """It is delivered again from where it stood."""


class SubscriptionRemoved(Struct, frozen=True):
    """Nothing is delivered any more, and where it stood is forgotten."""


class DeliveryDead(Struct, frozen=True):
    """An event was given up after `attempts` deliveries: a dead letter, which its stream does not wait for.

    `again` says that it was one before, and had been redriven.
    """

    again: bool
    attempts: int
    code: str
    epoch: int
    expires_ms: int
    message: str
    owner: str
    seq: int
    stream: str


class DeliveryRedriven(Struct, frozen=True):
    """A dead letter is to be delivered again."""

    seq: int
    stream: str


class DeliveryRedone(Struct, frozen=True):
    """A dead letter that was redriven has arrived."""

    epoch: int
    expires_ms: int
    owner: str
    seq: int
    stream: str


class Present(Struct, frozen=True):
    """What the index keeps of a subscription that was added and not removed."""

    after_position: int | None
    generation: int


def subscription_stream(tenant: str, name: str) -> str:
    """The stream of a subscription. Raises: `id_invalid`, `stream_invalid`."""
    return stream_id(tenant, SUBSCRIPTION, name)


def key_of(stream: str, seq: int) -> str:
    """What a delivery of an event is known by."""
    return f"{stream}#{seq}"


def _row(place: Place, value: bytes | None) -> IndexRow:
    return IndexRow(SUBSCRIPTION, parse_stream(place.stream).id, value)


def _on_added(place: Place, record: Any) -> Sequence[Row]:
    return (_row(place, msgspec.json.encode(Present(record.after_position, place.seq))),)


def _on_removed(place: Place, _record: Any) -> Sequence[Row]:
    return (_row(place, None),)


def _as_deliverer(place: Place, record: Any) -> Sequence[Row]:
    return (Hold(Claim(place.stream, SUBSCRIPTION, record.owner, record.epoch, record.expires_ms)),)


EVENTS = (
    EventType("journal.subscription_added", 1, SubscriptionAdded, index=_on_added),
    EventType("journal.subscription_paused", 1, SubscriptionPaused),
    EventType("journal.subscription_resumed", 1, SubscriptionResumed),
    EventType("journal.subscription_removed", 1, SubscriptionRemoved, index=_on_removed),
    EventType("journal.delivery_dead", 1, DeliveryDead, index=_as_deliverer),
    EventType("journal.delivery_redriven", 1, DeliveryRedriven),
    EventType("journal.delivery_redone", 1, DeliveryRedone, index=_as_deliverer),
)
