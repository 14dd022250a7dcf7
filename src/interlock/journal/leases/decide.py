"""The decider of leases: what each command makes of who holds and who waits.

What it does: grants, queues, renews and ends, and grants what came free to the queue in the same append. What it does
not do: it reads no clock; now is an argument, and an expiry is an event before anything rests on it.

Rules:
- never are more units granted than the newest stated capacity has;
- every grant has a token, one more than the grant before it: what is done under a lower one can be told apart;
- the queue is in one order (`fold.in_order`), and who does not fit lets nobody pass, so nobody starves for being large;
- every command first records what has expired, so no lease depends on a timer being fired in time;
- a decision costs O(holders + queue), which is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.part import DecideContext, Decider, DeciderSnapshots, Decision, Refusal, TimerTarget
from interlock.journal.errors import (
    COMMAND_ID_CONFLICT,
    LEASE_INVALID,
    LEASE_LOST,
    LEASE_QUEUE_FULL,
    LEASE_TOO_LARGE,
)
from interlock.journal.leases import events as e
from interlock.journal.leases.fold import (
    LEASE_FOLD,
    Holder,
    LeaseState,
    Request,
    held_by_group,
    in_order,
    restore,
    save,
)
from interlock.journal.streams import parse_stream

REQUESTS_MAX = 4_000
"""Holders and waiting requests of one lease; all of them can expire and be granted in one append."""

UNITS_MAX = 1_000_000_000
LEASE_MS_MAX = 10 * 366 * 86_400_000
TEXT_CHARACTERS_MAX = 200
PRIORITY_MAX = 1_000_000
SNAPSHOT_EVENTS = 200
_RETRY_AFTER_MS = 1_000


class Acquire(Struct, frozen=True, tag=True):
    """Ask for `units` of the lease; `capacity` is how many there are."""

    stream: str
    units: int
    holder: str
    request_id: str
    lease_ms: int
    capacity: int
    priority: int = 0
    group: str = ""
    wake: str | None = None
    over: int | None = None
    """A token of the same holder, whose units go on under the new one without passing through the queue."""


class Withdraw(Struct, frozen=True, tag=True):
    """End a request, whether it waits or has been granted meanwhile."""

    stream: str
    request_id: str


class Renew(Struct, frozen=True, tag=True):
    """Hold on for `lease_ms` from now."""

    stream: str
    token: int
    lease_ms: int


class RenewAll(Struct, frozen=True, tag=True):
    """Hold on to several tokens for `lease_ms` from now, in one append; those that hold nothing are left out."""

    stream: str
    tokens: tuple[int, ...]
    lease_ms: int


class Release(Struct, frozen=True, tag=True):
    """Give the units of a token back."""

    stream: str
    token: int


class Seize(Struct, frozen=True, tag=True):
    """Take the units of a token away from who holds them."""

    stream: str
    token: int
    reason: str


class Expire(Struct, frozen=True, tag=True):
    """The timer of a token has come due."""

    stream: str
    token: int
    due_ms: int


LeaseCommand: TypeAlias = Acquire | Withdraw | Renew | RenewAll | Release | Seize | Expire


class Granted(Struct, frozen=True):
    """Units are held under `token` until `expires_ms`."""

    token: int
    expires_ms: int


class Queued(Struct, frozen=True):
    """The request waits; `place` 1 is next."""

    place: int


LeaseAnswer: TypeAlias = Granted | Queued | frozenset[int] | bool | None


class _Desk:
    """One decision in the making: the events so far, and what they leave, on copies."""

    def __init__(self, state: LeaseState, now_ms: int) -> None:
        self.now_ms = now_ms
        self.events: list[Struct] = []
        self.capacity = state.capacity
        self.token = state.token
        self.holders = dict(state.holders)
        self.queue = dict(state.queue)
        self.served = dict(state.served)
        self.newcomer: Request | None = None
        for token, holder in state.holders.items():
            if holder.expires_ms <= now_ms:
                self.end(token, e.LeaseExpired(holder.expires_ms, token, holder.units))

    def end(self, token: int, event: Struct) -> None:
        """Take a holder out."""
        del self.holders[token]
        self.events.append(event)

    def set_capacity(self, capacity: int) -> None:
        if capacity != self.capacity:
            self.capacity = capacity
            self.events.append(e.LeaseCapacitySet(capacity))

    def known(self, request_id: str) -> Holder | Request | None:
        """What a request has come to, if it holds or waits."""
        holding = (holder for holder in self.holders.values() if holder.request_id == request_id)
        return self.queue.get(request_id) or next(holding, None)

    def hand_over(self, token: int, request: Request) -> None:
        """Let the units of a token go on under a new one."""
        self.end(token, e.LeaseReleased(token, self.holders[token].units))
        self.newcomer = request
        self._grant(request)

    def settle(self) -> None:
        """Grant what can be granted; a newcomer that gets nothing waits."""
        self.grant()
        new = self.newcomer
        if new is not None and new.request_id in self.queue:
            place = self._place(new.request_id)
            self.events.append(
                e.LeaseQueued(
                    new.group, new.holder, new.lease_ms, place, new.priority, new.request_id, new.units, new.wake
                )
            )

    def grant(self) -> None:
        """Grant to the queue in its order until one does not fit."""
        free = self.capacity - sum(holder.units for holder in self.holders.values())
        if free <= 0 or not self.queue:
            return
        fitting = [request for request in self.queue.values() if request.units <= self.capacity]
        for request in in_order(fitting, held_by_group(self.holders.values()), self.served):
            if request.units > free:
                return
            free -= request.units
            del self.queue[request.request_id]
            self._grant(request)

    def _grant(self, request: Request) -> None:
        self.token += 1
        self.served[request.group] = self.token
        expires_ms = self.now_ms + request.lease_ms
        group, holder, request_id, units = request.group, request.holder, request.request_id, request.units
        queued = request is not self.newcomer
        self.holders[self.token] = Holder(expires_ms, group, holder, request_id, units)
        self.events.append(
            e.LeaseGranted(expires_ms, group, holder, queued, request_id, self.token, units, request.wake)
        )

    def _place(self, request_id: str) -> int:
        state = LeaseState(self.capacity, holders=self.holders, queue=self.queue, served=self.served)
        return next(n for n, request in enumerate(state.places(), 1) if request.request_id == request_id)


def _decide(states: Mapping[str, Any], command: LeaseCommand, context: DecideContext) -> Decision:
    state: LeaseState = states[command.stream]
    # What has fired is due, even for a clock that was set back meanwhile.
    now_ms = max(context.now_ms, command.due_ms) if isinstance(command, Expire) else context.now_ms
    desk = _Desk(state, now_ms)
    fault: InterlockError | None = None
    match command:
        case Acquire():
            fault = _acquire(desk, command, state.arrivals + 1)
        case Withdraw():
            _withdraw(desk, command)
        case Renew():
            fault = _renew(desk, command)
        case RenewAll():
            fault = _renew_all(desk, command)
        case Release() if command.token in desk.holders:
            desk.end(command.token, e.LeaseReleased(command.token, desk.holders[command.token].units))
        case Seize() if command.token in desk.holders:
            desk.end(command.token, e.LeaseSeized(command.reason, command.token, desk.holders[command.token].units))
        case Expire() if not _expired(desk, command.token):
            holder = desk.holders.get(command.token)
            stands_ms = None if holder is None else holder.expires_ms
            desk.events.append(e.LeaseTimerPassed(command.due_ms, stands_ms, command.token))
        case _:
            pass
    desk.settle()
    return {command.stream: desk.events} if fault is None else Refusal(fault, {command.stream: desk.events})


def _expired(desk: _Desk, token: int) -> bool:
    return any(isinstance(event, e.LeaseExpired) and event.token == token for event in desk.events)


def _acquire(desk: _Desk, command: Acquire, arrival: int) -> InterlockError | None:
    fault = _unfit(command)
    if fault is not None:
        return fault
    known = desk.known(command.request_id)
    if known is not None:
        # The runner knows what a request id stands for; whoever decides without it is told here.
        same = (known.units, known.holder, known.group) == (command.units, command.holder, command.group)
        return None if same else COMMAND_ID_CONFLICT.error("this request id was used with other content")
    if len(desk.holders) + len(desk.queue) >= REQUESTS_MAX:
        return LEASE_QUEUE_FULL.error("too many hold or wait for this lease", retry_after_ms=_RETRY_AFTER_MS)
    desk.set_capacity(command.capacity)
    request = Request(
        arrival,
        command.group,
        command.holder,
        command.lease_ms,
        command.priority,
        command.request_id,
        command.units,
        command.wake,
    )
    over = None if command.over is None else desk.holders.get(command.over)
    if command.over is not None and over is not None and (over.holder, over.units) == (command.holder, command.units):
        desk.hand_over(command.over, request)
    else:
        desk.newcomer = desk.queue[command.request_id] = request
    return None


def _unfit(command: Acquire) -> InterlockError | None:
    """Why a request can never be granted as it is."""
    texts = (command.holder, command.request_id, command.group)
    numbers = (command.units, command.capacity, command.lease_ms)
    limits = (UNITS_MAX, UNITS_MAX, LEASE_MS_MAX)
    if not all(0 < number <= limit for number, limit in zip(numbers, limits, strict=True)):
        return LEASE_INVALID.error(f"units, capacity and duration are 1 to {UNITS_MAX}, {UNITS_MAX} and {LEASE_MS_MAX}")
    if abs(command.priority) > PRIORITY_MAX:
        return LEASE_INVALID.error(f"a priority is within {PRIORITY_MAX} of 0")
    if not (command.holder and command.request_id) or max(map(len, texts)) > TEXT_CHARACTERS_MAX:
        return LEASE_INVALID.error(f"holder and request id have 1 to {TEXT_CHARACTERS_MAX} characters, a group at most")
    if command.wake is not None:
        try:
            woken = parse_stream(command.wake)
        except InterlockError as fault:
            return fault
        if woken.tenant != parse_stream(command.stream).tenant:
            return LEASE_INVALID.error("a grant can wake only a stream of the lease's own tenant")
    if command.units > command.capacity:
        return LEASE_TOO_LARGE.error(
            f"{command.units} units are asked for, and there are {command.capacity}",
            units=command.units,
            capacity=command.capacity,
        )
    return None


def _withdraw(desk: _Desk, command: Withdraw) -> None:
    if command.request_id in desk.queue:
        del desk.queue[command.request_id]
        desk.events.append(e.LeaseWithdrawn(command.request_id))
        return
    for token, holder in list(desk.holders.items()):
        if holder.request_id == command.request_id:
            desk.end(token, e.LeaseReleased(token, holder.units))


def _renew(desk: _Desk, command: Renew) -> InterlockError | None:
    if not 0 < command.lease_ms <= LEASE_MS_MAX:
        return LEASE_INVALID.error(f"a duration is 1 to {LEASE_MS_MAX} ms")
    if command.token not in desk.holders:
        return LEASE_LOST.error("this token holds nothing any more", token=command.token)
    desk.events.append(e.LeaseRenewed(desk.now_ms + command.lease_ms, command.token))
    return None


def _renew_all(desk: _Desk, command: RenewAll) -> InterlockError | None:
    if not 0 < command.lease_ms <= LEASE_MS_MAX:
        return LEASE_INVALID.error(f"a duration is 1 to {LEASE_MS_MAX} ms")
    held = [token for token in dict.fromkeys(command.tokens) if token in desk.holders]
    desk.events += [e.LeaseRenewed(desk.now_ms + command.lease_ms, token) for token in held]
    return None


def _result(events: Mapping[str, Sequence[Struct]], command: LeaseCommand) -> LeaseAnswer:
    """What a command came to. None for a request that held or waited already."""
    records = events.get(command.stream, ())
    if isinstance(command, RenewAll):
        return frozenset(record.token for record in records if isinstance(record, e.LeaseRenewed))
    if isinstance(command, Acquire | Renew):
        return _answer(records, command)
    ended = e.LeaseReleased | e.LeaseSeized | e.LeaseWithdrawn
    return any(isinstance(record, ended) for record in records)


def _answer(records: Sequence[Struct], command: Acquire | Renew) -> Granted | Queued | None:
    request_id = command.request_id if isinstance(command, Acquire) else None
    for record in records:
        match record:
            case e.LeaseGranted() if record.request_id == request_id:
                return Granted(record.token, record.expires_ms)
            case e.LeaseQueued():
                return Queued(record.place)
            case e.LeaseRenewed():
                return Granted(record.token, record.expires_ms)
            case _:
                pass
    return None


DECIDER = Decider(
    name="journal.lease",
    streams=lambda command: (command.stream,),
    initial=LEASE_FOLD.initial,
    decide=_decide,
    evolve=LEASE_FOLD.evolve,
    result=_result,
    snapshots=DeciderSnapshots(
        LEASE_FOLD.name,
        LEASE_FOLD.version,
        restore,
        save,
        SNAPSHOT_EVENTS,
    ),
)

EXPIRY = TimerTarget(e.LEASE, DECIDER, lambda timer: Expire(timer.stream, e.token_of(timer), timer.due_ms))
