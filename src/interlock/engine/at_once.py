"""The attempts of one run that are under way at once, each in a task of its own.

What it does: folds entries, starts what was entered once it is durable, waits for what comes first, and stops all.
What it does not do: it chooses nothing and takes no turn; the loop does both.

Rule: an attempt counts as under way until its end is folded, and the units that it held are given back.
"""

from __future__ import annotations

import asyncio
from functools import partial

from msgspec import Struct

from interlock.engine import events as e
from interlock.engine.context import RunContext
from interlock.engine.decide import Await, Enter
from interlock.engine.flow.units import Units
from interlock.engine.io.router import Router
from interlock.engine.perform import perform, skip_branch
from interlock.engine.pipelines.boundaries import entry_boundaries
from interlock.engine.session import Session
from interlock.engine.spawning import Spawner
from interlock.journal.ports import Blob


class AtOnce:
    """Attempts under way of one session, and those that are about to start."""

    def __init__(self, session: Session, router: Router, spawner: Spawner, units: Units | None) -> None:
        self._session = session
        self._router = router
        self._spawner = spawner
        self._units = units
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._entering: dict[str, tuple[int, RunContext]] = {}

    def running(self) -> list[str]:
        """States of attempts under way, or that give units back; not of those whose task is about to be told of."""
        still = self._session.state.open
        tasks = (i for i, task in self._tasks.items() if i in still or (self._units is not None and not task.done()))
        return [*tasks, *self._entering]

    async def enter(self, decision: Enter) -> None:
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

    def start(self) -> None:
        """Let run what was entered, now that it is durable."""
        session = self._session
        entering, self._entering = self._entering, {}
        for state_id, (place, base) in entering.items():
            attempt = partial(perform, session, self._router, self._spawner, place, base)
            work = attempt() if self._units is None else self._units.around(state_id, attempt)
            task = asyncio.get_running_loop().create_task(work, name=state_id)
            task.add_done_callback(lambda _task: session.news.set())
            self._tasks[state_id] = task

    async def wait(self, decision: Await) -> None:
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

    async def stop(self) -> None:
        """Leave no attempt running: those that are under way stay open for the next owner."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
