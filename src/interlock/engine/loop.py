"""The one loop that drives a run: the only ordering of I/O in the engine.

What it does: takes what the inbox holds, asks `decide` what comes next, makes that durable, and lets attempts run: one
after the other in this very task where the run is sequential, else each in a task of its own. What it does not do: it
chooses nothing (`decide`, `schedule`), knows no store and claims nothing (`driving`).

The procedure, once per decision:
 1. the inbox, if it has moved; then decide; the end of one state and the entry of the next share one append
 2. `StateEntered` is durable before the handler starts (K1)
 3. the attempt folds its end (`perform`)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct

from interlock.engine import events as e
from interlock.engine.boundaries import entry_boundaries
from interlock.engine.context import RunContext
from interlock.engine.decide import Await, Decision, End, Enter, Stop, decide
from interlock.engine.io.router import Router
from interlock.engine.perform import perform, skip, skip_branch
from interlock.engine.session import Session
from interlock.engine.spawning import Spawner
from interlock.journal.ports import Blob

SKIPPED_RECORDS_MAX = 1000
"""Records of states that are skipped, or entered at once, that share an append."""

Inbox = Callable[[Session], Awaitable[None]]
"""Folds what the inbox of a session's run holds."""


class Loop:
    """Drives one session. A `clerk` enters no state: it stops where a handler would have to run."""

    def __init__(
        self, session: Session, router: Router, spawner: Spawner, inbox: Inbox, *, clerk: bool = False
    ) -> None:
        self._clerk = clerk
        self._session = session
        self._router = router
        self._spawner = spawner
        self._inbox = inbox
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._entering: dict[str, tuple[int, RunContext]] = {}

    def drive(self) -> Awaitable[Stop | End]:
        """Drive the run until it ends or waits. What the session has folded already goes with the first append.

        Raises: `run_held` when another owner took the run; storage errors; cancellation, leaving attempts open.
        """
        return self._one_by_one() if self._session.is_sequential else self._at_once()

    async def _one_by_one(self) -> Stop | End:
        """Drive a sequential run. Between its attempts nobody else can fold or append, so that no turn is taken."""
        session = self._session
        while True:
            if session.inbox_moved:
                await self._take_inbox()
            decision = self._decide()
            if not isinstance(decision, Enter):
                return await self._leave(decision)
            place = decision.place
            session.ready.enter(place)
            session.fold(decision.records)
            if not decision.skip:
                await session.flush()
                await perform(session, self._router, self._spawner, place, session.context)
                continue
            skip(session, place)
            if session.pending >= SKIPPED_RECORDS_MAX:
                await session.flush()

    async def _at_once(self) -> Stop | End:
        """Drive a run whose states run at once."""
        session = self._session
        try:
            while True:
                session.news.clear()
                async with session.turn:
                    if session.inbox_moved:
                        await self._take_inbox()
                    decision = await self._decided()
                    if not isinstance(decision, Await):
                        return await self._leave(decision)
                    session.fold(decision.records)
                    await session.flush()
                self._start_tasks()
                await self._wait(decision)
        finally:
            await self._stop_tasks()

    async def _decided(self) -> Stop | End | Await:
        """Enter whatever may be entered now. A state that is parked stops no other."""
        while True:
            decision = self._decide()
            if isinstance(decision, Enter):
                await self._enter(decision)
            elif isinstance(decision, Stop) and decision.records:
                self._session.fold(decision.records)
            else:
                return decision

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
            self._running() if self._tasks or self._entering else (),
        )
        return Stop((), "queued", now_ms) if self._stops_here(decision) else decision

    def _stops_here(self, decision: Decision) -> bool:
        """Whether somebody else has to go on: who has the handlers, or the plan that the run migrated to."""
        session = self._session
        if session.is_migrated and isinstance(decision, Enter | End):
            # What the old plan says of going on or ending counts no more; only orders of people still do.
            return session.state.cancelling is None and not session.state.timed_out and session.state.status is None
        return isinstance(decision, Enter) and self._clerk and not decision.skip

    def _running(self) -> list[str]:
        """States of attempts under way; not of those whose end is folded and whose task is about to be told of."""
        return [*(each for each in self._tasks if each in self._session.state.open), *self._entering]

    async def _enter(self, decision: Enter) -> None:
        """Fold the entry of a state of several that run at once; it starts when that is durable."""
        session, place = self._session, decision.place
        session.ready.enter(place)
        node = session.plan.states[place]
        base, blobs = await self._base(decision)
        session.fold([*decision.records, *self._fresh(decision, base)], blobs)
        if decision.skip:
            await skip_branch(session, place, base)
        else:
            self._entering[node.id] = place, base
        if session.pending >= SKIPPED_RECORDS_MAX:
            await session.flush()

    def _fresh(self, decision: Enter, base: RunContext) -> list[Struct]:
        if not decision.fresh:
            return []
        session = self._session
        node = session.plan.states[decision.place]
        boundaries = entry_boundaries(session.state, session.plan, node.id, session.config.event_profile)
        return [e.StateEntered(0, base.snapshot_id, node.id), *boundaries]

    async def _base(self, decision: Enter) -> tuple[RunContext, list[Blob]]:
        session, node = self._session, self._session.plan.states[decision.place]
        if decision.fresh:
            return await session.branches.base_of(decision.place, session.state)
        return session.context_at(session.state.steps[node.id].base), []

    def _start_tasks(self) -> None:
        """Let run what was entered, now that it is durable."""
        session = self._session
        entering, self._entering = self._entering, {}
        for state_id, (place, base) in entering.items():
            work = perform(session, self._router, self._spawner, place, base)
            task = asyncio.get_running_loop().create_task(work, name=state_id)
            task.add_done_callback(lambda _task: session.news.set())
            self._tasks[state_id] = task

    async def _wait(self, decision: Await) -> None:
        """Wait until an attempt ends, the inbox has news, or the time comes."""
        session = self._session
        if decision.interrupt is not None:
            session.interrupt(decision.interrupt)
        delay = None if decision.until_ms is None else max(decision.until_ms - session.clock.now_ms(), 0) / 1000
        # One that ended while the news before was looked at brings no more.
        if not any(task.done() for task in self._tasks.values()):
            try:
                async with asyncio.timeout(delay):
                    await session.news.wait()
            except TimeoutError:
                session.inbox_moved = True  # what was due is fired when the inbox is taken
        for state_id in [state_id for state_id, task in self._tasks.items() if task.done()]:
            self._tasks.pop(state_id).result()

    async def _stop_tasks(self) -> None:
        """Leave no attempt running: those that are under way stay open for the next owner."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
