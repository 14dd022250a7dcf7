"""The events of a lease's stream, and the timers and wakes that go with them.

What it does: declares the records; a grant sets the timer of its expiry and wakes who waited for it, an end clears the
timer. What it does not do: it decides nothing.

Rules: members are in alphabetical order; units return to the lease with the event that ends a holding, and with no
other; a payload of a timer names the event that set it, so that every setting of a timer is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from interlock.base.events import ClearTimer, EventType, Place, Row, SetTimer, Timer, Wake
from interlock.journal.streams import parse_stream, stream_id

LEASE = "lease"
"""The kind of a lease's stream."""


class LeaseCapacitySet(Struct, frozen=True):
    """The units that there are, as the newest request states them."""

    capacity: int


class LeaseQueued(Struct, frozen=True):
    """A request waits; `place` is its place in the queue when it came. A grant of it wakes the stream `wake`."""

    group: str
    holder: str
    lease_ms: int
    place: int
    priority: int
    request_id: str
    units: int
    wake: str | None


class LeaseGranted(Struct, frozen=True):
    """Units are held under a new token until `expires_ms`; `queued` if the request had to wait."""

    expires_ms: int
    group: str
    holder: str
    queued: bool
    request_id: str
    token: int
    units: int
    wake: str | None


class LeaseRenewed(Struct, frozen=True):
    """The units of a token are held until `expires_ms` instead."""

    expires_ms: int
    token: int


class LeaseReleased(Struct, frozen=True):
    """The holder gave the units of a token back."""

    token: int
    units: int


class LeaseExpired(Struct, frozen=True):
    """The units of a token came back because nobody renewed them by `expires_ms`."""

    expires_ms: int
    token: int
    units: int


class LeaseSeized(Struct, frozen=True):
    """An operator took the units of a token away."""

    reason: str
    token: int
    units: int


class LeaseWithdrawn(Struct, frozen=True):
    """A request that waited waits no longer."""

    request_id: str


class LeaseTimerPassed(Struct, frozen=True):
    """The timer of a token fired for `due_ms` and came to nothing; `expires_ms` is the expiry that stands, if any."""

    due_ms: int
    expires_ms: int | None
    token: int


def lease_stream(tenant: str, name: str) -> str:
    """The stream of the lease `name`. Raises: `id_invalid`, `stream_invalid`."""
    return stream_id(tenant, LEASE, name)


def token_of(timer: Timer) -> int:
    """The token whose expiry a timer is."""
    return int(timer.payload.partition(b" ")[0])


def _timer_id(place: Place, token: int) -> str:
    return f"{place.stream}@{token}"


def _expiry(place: Place, record: Any) -> SetTimer:
    payload = b"%d %d" % (record.token, place.seq)
    return SetTimer(_timer_id(place, record.token), place.stream, record.expires_ms, payload)


def _on_granted(place: Place, record: Any) -> Sequence[Row]:
    rows: list[Row] = [_expiry(place, record)]
    if record.queued and record.wake is not None:
        rows.append(Wake(record.wake, parse_stream(record.wake).kind, place.at_ms))
    return rows


def _on_renewed(place: Place, record: Any) -> Sequence[Row]:
    return (_expiry(place, record),)


def _on_ended(place: Place, record: Any) -> Sequence[Row]:
    return (ClearTimer(_timer_id(place, record.token)),)


def _on_passed(place: Place, record: Any) -> Sequence[Row]:
    return _on_ended(place, record) if record.expires_ms is None else (_expiry(place, record),)


EVENTS = (
    EventType("journal.lease_capacity_set", 1, LeaseCapacitySet),
    EventType("journal.lease_queued", 1, LeaseQueued),
    EventType("journal.lease_granted", 1, LeaseGranted, index=_on_granted),
    EventType("journal.lease_renewed", 1, LeaseRenewed, index=_on_renewed),
    EventType("journal.lease_released", 1, LeaseReleased, index=_on_ended),
    EventType("journal.lease_expired", 1, LeaseExpired, index=_on_ended),
    EventType("journal.lease_seized", 1, LeaseSeized, index=_on_ended),
    EventType("journal.lease_withdrawn", 1, LeaseWithdrawn),
    EventType("journal.lease_timer_passed", 1, LeaseTimerPassed, index=_on_passed),
)
