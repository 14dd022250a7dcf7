"""The one loop that drives a run: the only ordering of I/O in the engine.

What it does: takes what the inbox holds, asks `decide` what comes next, makes that durable, and lets attempts run: one
after the other in this very task where the run is sequential, else each in a task of its own. What it does not do: it
chooses nothing (`decide`, `schedule`), knows no store and claims nothing (`driving`).

The procedure, once per decision:
 1. the inbox, if it has moved; then decide; the end of one state and the entry of the next share one append
    (a state that needs a unit is let in only when it has it; meanwhile `decide` passes over it)
 2. `StateEntered` is durable before the handler starts (K1)
 3. the attempt folds its end (`perform`)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from interlock.engine.at_once import AtOnce
from interlock.engine.budget import COUNTED_STOP_BYTES
from interlock.engine.decide import Await, Decision, End, Enter, Stop, decide
from interlock.engine.flow.units import Units
from interlock.engine.io.router import Router
from interlock.engine.perform import perform, skip
from interlock.engine.session import Session
from interlock.engine.spawning import Spawner

SKIPPED_RECORDS_MAX = 1000
"""Records of states that are skipped, or entered at once, that share an append."""

Inbox = Callable[[Session], Awaitable[None]]
"""Folds what the inbox of a session's run holds."""


class Loop:
    """Drives one session. A `clerk` enters no state: it stops where a handler would have to run."""

    def __init__(
        self,
        session: Session,
        router: Router,
        spawner: Spawner,
        inbox: Inbox,
        units: Units | None = None,
        *,
        clerk: bool = False,
    ) -> None:
        self._clerk = clerk
        self._session = session
        self._router = router
        self._spawner = spawner
        self._inbox = inbox
        self._units = units
        self._under_way = None if session.is_sequential else AtOnce(session, router, spawner, units)

    def drive(self) -> Awaitable[Stop | End]:
        """Drive the run until it ends or waits. What the session has folded already goes with the first append.

        Raises: `run_held` when another owner took the run; storage errors; cancellation, leaving attempts open.
        """
        driving = self._one_by_one() if self._under_way is None else self._at_once(self._under_way)
        return driving if self._units is None else self._units.during(driving)

    async def _one_by_one(self) -> Stop | End:
        """Drive a sequential run. Between its attempts nobody else can fold or append, so that no turn is taken."""
        session = self._session
        while True:
            if session.inbox_moved:
                await self._take_inbox()
            decision = self._decide()
            if self._units is not None:
                decision = await self._let_in(self._units, decision)
            if not isinstance(decision, Enter):
                if isinstance(decision, Stop | End) and await self._has_news():
                    continue
                return await self._leave(decision)
            place = decision.place
            session.ready.enter(place)
            session.fold(decision.records)
            if not decision.skip:
                await session.flush()
                await perform(session, self._router, self._spawner, place, session.context)
                if self._units is not None:
                    await self._units.give_back(session.plan.states[place].id)
                continue
            skip(session, place)
            if session.pending >= SKIPPED_RECORDS_MAX:
                await session.flush()

    async def _at_once(self, under_way: AtOnce) -> Stop | End:
        """Drive a run whose states run at once."""
        session = self._session
        try:
            while True:
                session.news.clear()
                async with session.turn:
                    if session.inbox_moved:
                        await self._take_inbox()
                    decision = await self._decided(under_way)
                    if not isinstance(decision, Await):
                        if await self._has_news():
                            continue
                        return await self._leave(decision)
                    session.fold(decision.records)
                    await session.flush()
                under_way.start()
                await under_way.wait(decision)
        finally:
            await under_way.stop()

    async def _decided(self, under_way: AtOnce) -> Stop | End | Await:
        """Enter whatever may be entered now. A state that is parked stops no other."""
        while True:
            decision = self._decide()
            if self._units is not None:
                decision = await self._let_in(self._units, decision)
            if isinstance(decision, Enter):
                await under_way.enter(decision)
                if self._session.pending >= SKIPPED_RECORDS_MAX:
                    await self._session.flush()
            elif isinstance(decision, Stop) and decision.records:
                self._session.fold(decision.records)
            else:
                return decision

    async def _let_in(self, units: Units, decision: Decision) -> Decision:
        """The decision, once the state that it enters has its units; another one while it has not."""
        while isinstance(decision, Enter) and not decision.skip and not await units.admit(decision.place):
            decision = self._decide()
        return units.timely(decision)

    async def _has_news(self) -> bool:
        """Take what came since the inbox was looked at: who told it was told that this owner would."""
        before = self._session.state.inbox_seq
        await self._take_inbox()
        return self._session.state.inbox_seq != before

    async def _take_inbox(self) -> None:
        self._session.inbox_moved = False
        await self._inbox(self._session)

    async def _leave(self, decision: Stop | End | Await) -> Stop | End:
        """Append the last that this owner has to say."""
        session = self._session
        if isinstance(decision, Await):  # a sequential run decides between attempts, so that it awaits none
            raise RuntimeError(decision)  # noqa: TRY004 - a fault of the engine, not of a type
        session.fold(decision.records)
        if isinstance(decision, End):
            await session.tell_kin()
        else:
            session.count_artifacts(COUNTED_STOP_BYTES)
        await session.flush()
        return decision

    def _decide(self) -> Decision:
        session = self._session
        now_ms = session.now_ms()
        decision = decide(
            session.state,
            session.plan,
            session.ready,
            session.config,
            now_ms,
            session.settings.crash_budget,
            () if self._under_way is None else self._under_way.running(),
            () if self._units is None else self._units.blocked,
        )
        stops = (self._clerk or session.is_migrated) and self._stops_here(decision)
        return Stop((), "queued", now_ms) if stops else decision

    def _stops_here(self, decision: Decision) -> bool:
        """Whether somebody else has to go on: who has the handlers, or the plan that the run migrated to."""
        session = self._session
        if session.is_migrated and isinstance(decision, Enter | End):
            # What the old plan says of going on or ending counts no more; only orders of people still do.
            return session.state.cancelling is None and not session.state.timed_out and session.state.status is None
        return isinstance(decision, Enter) and self._clerk and not decision.skip
