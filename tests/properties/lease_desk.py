"""A lease without a store: commands go through the pure decider, and its rows into tables of this test.

It plays a runner: decides, folds what was decided, and keeps the timers that the index functions of the events set. It
asserts what must hold after every decision.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.events import ClearTimer, Place, SetTimer, Timer, Wake
from interlock.base.part import DecideContext, Decided, Refusal
from interlock.base.principal import Principal
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.leases import events as e
from interlock.journal.leases.decide import DECIDER, EXPIRY, Acquire, Expire, Granted, LeaseCommand, Queued
from interlock.journal.leases.fold import LeaseState, Request, evolve, restore, save
from interlock.journal.leases.views import LEASES, LeaseRow

STREAM = e.lease_stream("default", "key")
ADA = Principal(id="local:ada")
CATALOGUE = EventCatalogue(e.EVENTS)


def naive_order(state: LeaseState) -> list[str]:
    """The order of the queue, as a person would work it out: look at all, take the best, look again."""
    waiting = [request for request in state.queue.values() if request.units <= state.capacity]
    held: dict[str, int] = {}
    for holder in state.holders.values():
        held[holder.group] = held.get(holder.group, 0) + holder.units
    order: list[str] = []
    turns = dict(state.served)

    def rank(each: Request) -> tuple[int, int, int, int]:
        return -each.priority, held.get(each.group, 0), turns.get(each.group, 0), each.arrival

    while waiting:
        best = min(waiting, key=rank)
        turns[best.group] = max(turns.values(), default=0) + 1
        waiting.remove(best)
        held[best.group] = held.get(best.group, 0) + best.units
        order.append(best.request_id)
    return order


class Desk:
    """One lease, its timers and its row in the view."""

    def __init__(self) -> None:
        self.state = LeaseState()
        self.now_ms = 1_000_000
        self.seq = 0
        self.records: list[Struct] = []
        self.timers: dict[str, Timer] = {}
        self.wakes: list[str] = []
        self.row: LeaseRow | None = None

    def give(self, command: LeaseCommand) -> Granted | Queued | bool | InterlockError | None:
        """Decide a command and fold its events; what a caller would get."""
        before = save(self.state)
        context = DecideContext(self.now_ms, ADA, bytes(32), "0" * 64)
        decision = DECIDER.decide({STREAM: self.state}, command, context)
        assert save(self.state) == before, "deciding changed the state"
        assert not isinstance(decision, Decided), "a lease names no artifact"
        events = (decision.record or {}) if isinstance(decision, Refusal) else decision
        records = events.get(STREAM, ())
        self._fold(records)
        now_ms = max(self.now_ms, command.due_ms) if isinstance(command, Expire) else self.now_ms
        self._hold_invariants(records, now_ms)
        answer: Granted | Queued | bool | None = DECIDER.result(events, command)
        return decision.error if isinstance(decision, Refusal) else answer

    def fire_due(self) -> None:
        """Fire every timer that is due, as the service of timers does."""
        while due := sorted((t.due_ms, t.timer_id) for t in self.timers.values() if t.due_ms <= self.now_ms):
            timer = self.timers[due[0][1]]
            assert EXPIRY.command is not None
            command = EXPIRY.command(timer)
            assert isinstance(command, Expire)
            self.give(command)
            assert self.timers.get(timer.timer_id) != timer, "a timer that was fired is still set"

    def _fold(self, records: Sequence[Struct]) -> None:
        for record in records:
            kind, data = CATALOGUE.encode(record)
            assert CATALOGUE.decode(kind.name, 1, data) == record
            self.seq += 1
            place = Place(STREAM, self.seq, self.now_ms, ADA.id, None)
            for row in kind.index(place, record) if kind.index else ():
                if isinstance(row, SetTimer):
                    self.timers[row.timer_id] = Timer(row.timer_id, row.stream, row.due_ms, row.payload)
                elif isinstance(row, ClearTimer):
                    self.timers.pop(row.timer_id, None)
                elif isinstance(row, Wake):
                    self.wakes.append(row.stream)
            self.state = evolve(self.state, record, place)
            if kind.name in LEASES.types:
                self.row = LEASES.evolve(self.row, place, record)
        self.records += records

    def _hold_invariants(self, records: Sequence[Struct], now_ms: int) -> None:
        state = self.state
        granted = [record for record in records if isinstance(record, e.LeaseGranted)]
        assert not granted or state.units_held <= state.capacity
        tokens = [record.token for record in self.records if isinstance(record, e.LeaseGranted)]
        assert tokens == list(range(1, len(tokens) + 1))
        assert all(holder.expires_ms > now_ms for holder in state.holders.values())
        assert sorted(timer.due_ms for timer in self.timers.values()) == sorted(
            holder.expires_ms for holder in state.holders.values()
        )
        order = [request.request_id for request in state.places()]
        naive = naive_order(state)
        assert order[: len(naive)] == naive
        assert sorted(order) == sorted(state.queue)
        if naive:  # what came free is granted at once
            assert state.queue[naive[0]].units > state.capacity - state.units_held
        if self.row is not None:
            held = (state.capacity, state.units_held, len(state.holders), len(state.queue))
            assert (self.row.capacity, self.row.units_held, self.row.holders, self.row.queued) == held
        assert save(restore(save(state))) == save(state)

    def folded(self) -> LeaseState:
        """The state by a fold of everything from the start."""
        state = LeaseState()
        for seq, record in enumerate(self.records, 1):
            state = evolve(state, record, Place(STREAM, seq, 0, ADA.id, None))
        return state


def asked(request_id: str, **given: int | str | None) -> Acquire:
    """A request for one unit of one, unless it says otherwise."""
    usual: dict[str, int | str | None] = {"units": 1, "holder": f"h-{request_id}", "lease_ms": 100, "capacity": 1}
    return msgspec.convert(
        {"type": "Acquire", "stream": STREAM, "request_id": request_id, **usual, **given}, type=Acquire
    )
