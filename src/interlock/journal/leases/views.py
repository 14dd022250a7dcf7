"""The list of leases: one row a lease, written from the feed.

What it does: folds the events of leases into rows that can be filtered and paged. What it does not do: no decision
rests on it; who holds and who waits by name is in the lease's stream (`lease show`).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from interlock.base.events import Place
from interlock.base.part import View
from interlock.journal.leases import events as e
from interlock.journal.streams import parse_stream


class LeaseRow(Struct, frozen=True):
    """A lease in the list. `state` is `free` (nothing is held), `held`, or `waited_for`."""

    name: str
    state: str
    capacity: int
    units_held: int
    holders: int
    queued: int
    first_ms: int


def _key(place: Place, _record: Struct) -> str | None:
    name = parse_stream(place.stream)
    return name.id if name.kind == e.LEASE else None


def _evolve(row: LeaseRow | None, place: Place, record: Struct) -> LeaseRow | None:
    if row is None:
        row = LeaseRow(parse_stream(place.stream).id, "free", 0, 0, 0, 0, place.at_ms)
    capacity, units, holders, queued = row.capacity, row.units_held, row.holders, row.queued
    match record:
        case e.LeaseCapacitySet():
            capacity = record.capacity
        case e.LeaseQueued():
            queued += 1
        case e.LeaseWithdrawn():
            queued -= 1
        case e.LeaseGranted():
            units, holders, queued = units + record.units, holders + 1, queued - record.queued
        case e.LeaseReleased() | e.LeaseExpired() | e.LeaseSeized():
            units, holders = units - record.units, holders - 1
        case _:
            pass
    state = "waited_for" if queued else "held" if holders else "free"
    return msgspec.structs.replace(
        row, state=state, capacity=capacity, units_held=units, holders=holders, queued=queued
    )


def _terms(row: LeaseRow) -> Mapping[str, str]:
    return {"state": row.state}


LEASES = View(
    name="leases",
    version=1,
    row=LeaseRow,
    key=_key,
    evolve=_evolve,
    order=lambda row: row.first_ms,
    terms=_terms,
    types=frozenset(kind.name for kind in e.EVENTS) - {"journal.lease_renewed", "journal.lease_timer_passed"},
)
