"""What the events of a lease mean: who holds how much under which token, and who waits.

What it does: `evolve` gives the next state, `in_order` says in which order requests are granted. What it does not do:
it grants nothing and knows no time; `decide` does.

Rules: the state holds nothing of what has ended, so it is as large as what is held and queued now; `evolve` consumes
the state that it is given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush
from itertools import groupby

import msgspec
from msgspec import Struct

from interlock.base.events import Place
from interlock.journal.journal import Fold
from interlock.journal.leases import events as e


class Holder(Struct, frozen=True):
    """Who holds `units` until `expires_ms`."""

    expires_ms: int
    group: str
    holder: str
    request_id: str
    units: int


class Request(Struct, frozen=True):
    """Who waits for `units`; `arrival` counts the requests that ever waited."""

    arrival: int
    group: str
    holder: str
    lease_ms: int
    priority: int
    request_id: str
    units: int
    wake: str | None


class LeaseState(Struct):
    """One lease: holders by token, requests that wait by id in the order of arrival.

    `served` is the last token of each group, kept at least as long as the group holds or waits.
    """

    capacity: int = 0
    token: int = 0
    arrivals: int = 0
    holders: dict[int, Holder] = msgspec.field(default_factory=dict)
    queue: dict[str, Request] = msgspec.field(default_factory=dict)
    served: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def units_held(self) -> int:
        """How many units are held."""
        return sum(holder.units for holder in self.holders.values())

    def token_of(self, request_id: str) -> int | None:
        """The token under which a request is granted now."""
        return next((token for token, holder in self.holders.items() if holder.request_id == request_id), None)

    def places(self) -> list[Request]:
        """The requests that wait, in the order in which they are granted if nobody else comes or goes.

        Those of more units than there are stand last: nothing is granted to them until the capacity is raised.
        """
        fitting = [request for request in self.queue.values() if request.units <= self.capacity]
        others = [request for request in self.queue.values() if request.units > self.capacity]
        return [*in_order(fitting, held_by_group(self.holders.values()), self.served), *others]


def held_by_group(holders: Iterable[Holder]) -> dict[str, int]:
    """The units that each group holds."""
    held: dict[str, int] = {}
    for holder in holders:
        held[holder.group] = held.get(holder.group, 0) + holder.units
    return held


def in_order(requests: Iterable[Request], held: Mapping[str, int], served: Mapping[str, int]) -> Iterator[Request]:
    """Requests in the order in which they are granted, each as if those before it had been.

    Higher priority first; then the group that holds fewest units; of those the one that was served longest ago, so that
    groups take turns at a single unit, too; then who came first. Costs O(n log n).
    """
    units, turns = dict(held), dict(served)
    turn = max(turns.values(), default=0)
    by_priority = sorted(requests, key=lambda request: (-request.priority, request.arrival))
    for _, level in groupby(by_priority, key=lambda request: request.priority):
        waiting: dict[str, deque[Request]] = {}
        for request in level:
            waiting.setdefault(request.group, deque()).append(request)
        heap = [(units.get(group, 0), turns.get(group, 0), line[0].arrival, group) for group, line in waiting.items()]
        heapify(heap)
        while heap:
            *_, group = heappop(heap)
            line = waiting[group]
            request = line.popleft()
            yield request
            units[group] = units.get(group, 0) + request.units
            turn += 1
            turns[group] = turn
            if line:
                heappush(heap, (units[group], turn, line[0].arrival, group))


def evolve(state: LeaseState, record: Struct, _place: Place) -> LeaseState:
    """The state after one event."""
    match record:
        case e.LeaseCapacitySet():
            state.capacity = record.capacity
        case e.LeaseQueued():
            state.arrivals += 1
            state.queue[record.request_id] = Request(
                state.arrivals,
                record.group,
                record.holder,
                record.lease_ms,
                record.priority,
                record.request_id,
                record.units,
                record.wake,
            )
        case e.LeaseGranted():
            state.queue.pop(record.request_id, None)
            state.token = record.token
            state.served[record.group] = record.token
            state.holders[record.token] = Holder(
                record.expires_ms, record.group, record.holder, record.request_id, record.units
            )
        case e.LeaseRenewed() if record.token in state.holders:
            held = state.holders[record.token]
            state.holders[record.token] = msgspec.structs.replace(held, expires_ms=record.expires_ms)
        case e.LeaseReleased() | e.LeaseExpired() | e.LeaseSeized():
            state.holders.pop(record.token, None)
        case e.LeaseWithdrawn():
            state.queue.pop(record.request_id, None)
        case _:
            pass
    if len(state.served) > len(state.holders) + len(state.queue):
        groups = {each.group for each in state.holders.values()} | {each.group for each in state.queue.values()}
        state.served = {group: token for group, token in state.served.items() if group in groups}
    return state


save = msgspec.json.Encoder().encode
"""A state as bytes, for fold snapshots."""

restore = msgspec.json.Decoder(LeaseState).decode
"""A state from its bytes."""

LEASE_FOLD: Fold[LeaseState] = Fold(
    "journal.lease",
    2,
    lambda _stream: LeaseState(),
    evolve,
    save=save,
    restore=restore,
)
