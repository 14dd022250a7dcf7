"""The units of one run that is being driven: asked for before a state is entered, given back afterwards.

What it does: lets a state in (`admit`) once the run and it hold what they need, remembers what is waited for, and gives
back. What it does not do: it chooses no state (`decide` passes over what is `blocked`) and counts nothing (the leases).

Rules:
- a run holds its units from its first entry to where its owner stops driving it: whoever waits holds nothing;
- what is held cannot be waited for in a circle: whoever must wait gives back what the state has;
- nothing is asked for before the owner's claim is durable; the id of a request has the owner's epoch in it, so that
  the next owner goes on with the unit of the one before, under a new token, and never the other way round;
- a unit of a rate is never given back: it counts from the entry on, until it expires.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Struct

from interlock.base.errors import RateLimited
from interlock.engine.bound_events import UnitAwaited
from interlock.engine.decide import Await, Blocked, Decision, End, Stop
from interlock.engine.errors import RUN_HELD
from interlock.engine.flow.limits import Ask, Needs, asks_of_run, asks_of_state
from interlock.engine.flow.turnstile import Found, Turnstile
from interlock.engine.run_state import RunState
from interlock.engine.session import Session
from interlock.journal.errors import LEASE_LOST
from interlock.journal.leases import Granted, Queued
from interlock.journal.streams import tenant_of

FULL_PAUSE_MS = 1_000
"""When a queue that is full is tried again."""

ASKED_MAX = 10
"""How often a unit is asked for that was granted and expired at once."""


class _Held(NamedTuple):
    lease: str
    token: int


class Units:
    """What the run of a session holds and waits for."""

    def __init__(self, session: Session, turnstile: Turnstile) -> None:
        self._session = session
        self._turnstile = turnstile
        self._tenant = tenant_of(session.state.stream)
        self._held: dict[str | None, list[_Held]] = {}
        self._watched: list[tuple[str, str]] = []
        self._asked = 0
        self._again_ms: int | None = None
        self._moved = False
        self._blocked: set[Needs | None] = set()

    async def admit(self, place: int) -> bool:
        """Whether a state may be entered now. If not, what it waits for is blocked, and recorded with the next append.

        Raises: `run_held`; what a lease refuses with; storage errors.
        """
        session = self._session
        node, run = session.plan.states[place], session.state.needs
        if run is not None and not await self._has(None, asks_of_run(run, started=_has_started(session.state))):
            self._blocked.add(None)
            return False
        if node.needs is None:
            return True
        step = session.state.steps.get(node.id)
        attempt = 0 if step is None else step.attempts
        if await self._has(node.id, asks_of_state(node.needs, node.id, attempt)):
            return True
        self._blocked.add(node.needs)
        return False

    async def _has(self, owner: str | None, asks: Sequence[Ask]) -> bool:
        """Whether the units of a state, or of the run (None), are held; asks for those that are not.

        A unit that is lost while others are asked for is asked for again, at the next entry.
        """
        mine = self._held.setdefault(owner, [])
        for ask in asks:
            if any(each.lease == ask.lease for each in mine):
                continue
            try:
                standing = await self._ask(owner, ask)
            except RateLimited:
                self._again_ms = self._session.clock.now_ms() + FULL_PAUSE_MS
                standing = None
            if not isinstance(standing, Granted):
                await self.give_back(owner)
                return False
            if ask.kept_ms is None:
                mine.append(_Held(ask.lease, standing.token))
        if {ask.lease for ask in asks if ask.kept_ms is None} <= {each.lease for each in mine}:
            return True
        await self.give_back(owner)
        self._news()
        return False

    async def _ask(self, owner: str | None, ask: Ask) -> Granted | Queued:
        """A unit, or a place in the queue."""
        session = self._session
        await session.flush()
        prefix = f"{session.run_id}:{ask.purpose}:"
        for _ in range(ASKED_MAX):
            found = await self._turnstile.find(self._tenant, ask.lease, prefix)
            if found is not None and found.token is None:
                self._wait(owner, ask, found.request_id, found.place)
                return Queued(found.place)
            granted = await self._granted(owner, ask, prefix, found)
            if granted is not None:
                return granted
        raise LEASE_LOST.error("a unit that was granted expired before it was used")

    async def _granted(self, owner: str | None, ask: Ask, prefix: str, found: Found | None) -> Granted | Queued | None:
        """What asking came to; None if it has come to an end already."""
        session = self._session
        if found is not None and _epoch(found.request_id) > session.state.epoch:
            raise RUN_HELD.error("another owner goes on with this run", run_id=session.run_id)
        token = None if found is None else found.token
        if ask.kept_ms is not None and token is not None:
            return await self._used(ask, token)
        self._asked += 1
        request_id = f"{prefix}{session.state.epoch}.{self._asked}"
        granted = await self._turnstile.acquire(
            session.state.stream, ask, request_id, token, lambda: self._lost(owner, ask.lease)
        )
        if granted is None:
            return None
        if isinstance(granted, Queued):
            self._wait(owner, ask, request_id, granted.place)
            return granted
        # Granted at once, a rate's unit counts from now; its lease is longer only where it might have had to wait.
        longer = ask.kept_ms is not None and ask.kept_ms < session.settings.claim_lease_ms
        return await self._used(ask, granted.token) if longer else granted

    async def _used(self, ask: Ask, token: int) -> Granted | None:
        """A unit of a rate counts from now on."""
        kept_ms = ask.kept_ms or 0
        if not await self._turnstile.use(self._tenant, ask.lease, token, kept_ms):
            return None
        return Granted(token, self._session.clock.now_ms() + kept_ms)

    def _wait(self, owner: str | None, ask: Ask, request_id: str, place: int) -> None:
        session = self._session
        self._watched.append((ask.lease, request_id))
        self._turnstile.watch(self._tenant, ask.lease, request_id, self._news)
        if all(each.request_id != request_id for each in session.state.queued):
            session.fold([UnitAwaited(ask.lease, place, request_id, owner)])

    def _lost(self, owner: str | None, lease: str) -> None:
        """A unit ended that was not given back: it is asked for anew at the next entry."""
        held = self._held.get(owner, [])
        held[:] = [each for each in held if each.lease != lease]

    @property
    def blocked(self) -> Blocked:
        """What `decide` passes over. What was waited for and may have come is named, and asked for, again."""
        if self._blocked and (self._moved or self._is_due):
            self._forget()
        return self._blocked

    def _news(self) -> None:
        self._moved = True
        self._session.news.set()

    def _forget(self) -> None:
        self._moved = False
        self._blocked.clear()
        self._again_ms = None
        for lease, request_id in self._watched:
            self._turnstile.unwatch(self._tenant, lease, request_id)
        self._watched.clear()

    @property
    def _is_due(self) -> bool:
        """Whether a queue that was full is to be tried again."""
        return self._again_ms is not None and self._session.clock.now_ms() >= self._again_ms

    def timely(self, decision: Decision) -> Decision:
        """The decision with the time at which a queue that was full is tried again."""
        again_ms = self._again_ms
        if again_ms is None or not isinstance(decision, (Await, Stop)) or not self._blocked:
            return decision
        until_ms = again_ms if decision.until_ms is None else min(decision.until_ms, again_ms)
        return msgspec.structs.replace(decision, until_ms=until_ms)

    async def give_back(self, owner: str | None) -> None:
        """Give back the units of a state whose attempt has ended, or of the run (None)."""
        for each in self._held.pop(owner, ()):
            await self._turnstile.release(self._tenant, each.lease, each.token)

    async def around(self, owner: str, attempt: Callable[[], Awaitable[None]]) -> None:
        """Run an attempt at a state, and give back what the state held meanwhile."""
        await attempt()
        await self.give_back(owner)

    async def during(self, driving: Awaitable[Stop | End]) -> Stop | End:
        """Drive the run, and give back whatever it still holds."""
        decision: Stop | End | None = None
        try:
            decision = await driving
            return decision
        finally:
            await self._leave(decision)

    async def _leave(self, decision: Struct | None) -> None:
        """Give back everything; who is not queued, for want of units or of an owner, waits for no unit either."""
        self._forget()
        for owner in list(self._held):
            await self.give_back(owner)
        if decision is None or (isinstance(decision, Stop) and decision.kind == "queued"):
            return
        for each in self._session.state.queued:
            await self._turnstile.withdraw(self._tenant, each.lease, each.request_id)


def _has_started(state: RunState) -> bool:
    """Whether a state was entered that the run did not inherit."""
    return len(state.steps) > (0 if state.fork is None else state.fork.inherits)


def _epoch(request_id: str) -> int:
    return int(request_id.rpartition(":")[2].partition(".")[0])
