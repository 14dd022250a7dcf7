"""Owning runs: claim one, drive it, and sit out what it waits for.

What it does: takes the claim of a run, makes the session that drives it, takes its inbox, drives its children beside
it, and goes on when a back-off, a deadline or a child is over; while another owner has the run, it watches. What it
does not do: it starts no run (`runs`), decides no step (`decide`) and orders no I/O inside a run (`loop`).

Rules: a run has one owner, whoever else asks watches and takes over when the claim ends; nothing is written by looking
at a run that waits. A clerk owns a run without its plan's code: it takes the inbox and records what needs no handler.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import NamedTuple

import msgspec

from interlock.base.errors import Conflict, InterlockError, StorageFailure
from interlock.base.events import Claim, Timer
from interlock.base.principal import ENGINE, Principal
from interlock.engine import events as e
from interlock.engine.budget import BudgetSettings
from interlock.engine.control import inbox_events as i
from interlock.engine.control.inbox import consequence
from interlock.engine.decide import EngineSettings, Stop, check_history, completed_states, orphans_closed
from interlock.engine.errors import RUN_CANCELLED, RUN_ENDED, RUN_HELD, RUN_NOT_FOUND
from interlock.engine.flow.turnstile import Turnstile
from interlock.engine.flow.units import Units
from interlock.engine.fold import RUN_FOLD
from interlock.engine.io.router import Router
from interlock.engine.lineage.inheriting import inherit
from interlock.engine.loop import Loop
from interlock.engine.owners.claims import ClaimKeeper
from interlock.engine.owners.notices import InboxWatcher
from interlock.engine.plan import ExecutionPlan, read_outline
from interlock.engine.reports.reader import RunReader
from interlock.engine.reports.records import RunResult, Waiting, is_all_queued, result_of, waiting_of
from interlock.engine.run_state import RunState
from interlock.engine.schedule import ReadyStates
from interlock.engine.session import Session
from interlock.engine.sources import Plans
from interlock.engine.spawning import Spawner
from interlock.engine.waits import NOTHING_BLOB, NOTHING_ID
from interlock.journal.journal import Journal, Loaded
from interlock.journal.ports import Held
from interlock.journal.streams import parse_stream, stream_id, tenant_of
from interlock.journal.timers import TimerService

_LOG = logging.getLogger("interlock.engine")
UNDRIVABLE_PAUSE_MS = 60_000
"""How long workers leave a run alone that could not be driven."""


def unless_lost(fault: Conflict) -> None:
    """Raise `fault`, unless it says that another owner has taken the run: then there is somebody to watch."""
    if fault.kind is not RUN_HELD:
        raise fault


def claimed(claim: Claim, epoch: int) -> e.OwnerClaimed:
    """The first event of an owner."""
    return e.OwnerClaimed(claim.epoch, epoch, claim.expires_ms, claim.owner)


def _due_timers(state: RunState, now_ms: int) -> list[Timer]:
    """The timers of a run's waits that are due."""
    return [
        Timer(wait.token, state.stream, wait.due_ms, e.timer_payload(state_id, name))
        for state_id, waits in state.waits.items()
        for name, wait in waits.items()
        if wait.due_ms is not None and wait.due_ms <= now_ms
    ]


class Left(NamedTuple):
    """How an owner left a run: what it came to, and the run as it stood then, for whoever goes on in this process."""

    result: RunResult
    loaded: Loaded[RunState]


class Driver:
    """Drives runs of one journal. `spawner` starts the children of the runs that it drives."""

    def __init__(
        self,
        journal: Journal,
        plans: Plans,
        router: Router,
        read: RunReader,
        timers: TimerService,
        settings: EngineSettings,
        turnstile: Turnstile,
        budget: BudgetSettings,
    ) -> None:
        self._journal = journal
        self._plans = plans
        self._router = router
        self._read = read
        self._timers = timers
        self._settings = settings
        self._turnstile = turnstile
        self._budget = budget
        self._keeper = ClaimKeeper(journal.store.activations, journal.clock, settings.claim_lease_ms, turnstile.renew)
        self._watcher = InboxWatcher(journal, settings.inbox_poll_ms)
        self._beside: dict[str, asyncio.Task[RunResult]] = {}
        self.spawner: Spawner

    @property
    def beside(self) -> list[asyncio.Task[RunResult]]:
        """What drives children beside their parents."""
        return list(self._beside.values())

    async def close(self) -> None:
        """Stop renewing and driving beside; runs under way stay open for their next owner."""
        tasks = list(self._beside.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._watcher.close()
        await self._turnstile.close()
        await self._keeper.close()

    async def begin(self, session: Session) -> RunResult | None:
        """Drive a run whose opening is folded and not yet written; None where it is to be looked at again."""
        with self._keeper.keep(session.claim):
            result = await self._drive(session)
        return await self._sat_out(result, session.state)

    async def drive_or_watch(
        self, stream: str, run_id: str, *, principal: Principal = ENGINE, steal: bool = False
    ) -> RunResult:
        """Drive the run as soon as nobody else does; return when it has ended or waits for somebody."""
        store, settings = self._journal.store, self._settings
        seen = store.doorbell.seen()
        loaded = await self._journal.load(RUN_FOLD, stream)
        look_ms = 0
        while True:
            now_ms = self._journal.now_ms()
            # Asked before the events are read: an owner that is gone because the run has ended shows in them.
            owner = await store.activations.holder(stream, now_ms)
            loaded = await self._journal.catch_up(RUN_FOLD, stream, loaded)
            if not loaded.state.exists:
                raise RUN_NOT_FOUND.error("there is no such run", run_id=run_id)
            if loaded.state.status is not None:
                return result_of(run_id, loaded.state, None)
            # Taking writes, so a watcher that its owner's appends wake up tries it only now and then.
            if owner is None or steal or now_ms >= look_ms:
                look_ms = now_ms + settings.watch_interval_ms
                claim = await store.activations.take(
                    stream, e.RUN, store.owner, now_ms, settings.claim_lease_ms, steal=steal
                )
                if not isinstance(claim, Held):
                    left = await self._owned(claim, loaded, run_id, principal)
                    if left is not None:
                        result = await self._sat_out(left.result, left.loaded.state)
                        if result is not None:
                            return result
                    steal = False
                    # Who sat something out goes on from where it left the run: its history is read once.
                    loaded = await self._journal.load(RUN_FOLD, stream) if left is None else left.loaded
                    continue
            seen = await store.doorbell.wait(seen, settings.watch_interval_ms)

    async def taken(
        self, claim: Claim, loaded: Loaded[RunState], run_id: str, principal: Principal
    ) -> RunResult | None:
        """Own a claimed run, and sit nothing out; None when it is to be looked at again."""
        left = await self._owned(claim, loaded, run_id, principal)
        return None if left is None else left.result

    async def _owned(self, claim: Claim, loaded: Loaded[RunState], run_id: str, principal: Principal) -> Left | None:
        """Own a claimed run until it is left; None where it was lost to another owner."""
        try:
            with self._keeper.keep(claim):
                return await self._own(claim, loaded, run_id, principal)
        except Conflict as fault:
            unless_lost(fault)
            return None

    async def settle(self, stream: str, run_id: str, loaded: Loaded[RunState] | None = None) -> None:
        """Let a run take what its inbox holds: its owner in this process at once, else a clerk if nobody owns it.

        What was put there is durable already, so a fault here is logged and left to the next owner.
        """
        session = self._watcher.session(stream)
        try:
            if session is not None:
                await self._watcher.look(session)
                return
            store, now_ms = self._journal.store, self._journal.now_ms()
            if loaded is None:
                loaded = await self._journal.load(RUN_FOLD, stream)
            [inbox] = await store.events.heads([f"{stream}/inbox"])
            if inbox.seq <= loaded.state.inbox_seq:
                return
            claim = await store.activations.take(stream, e.RUN, store.owner, now_ms, self._settings.claim_lease_ms)
            if isinstance(claim, Held):
                return
            with self._keeper.keep(claim):
                await self._own(claim, loaded, run_id, ENGINE, clerk=True)
        except InterlockError as fault:
            _LOG.warning("the inbox of %s is left to its next owner (%s)", run_id, fault.code)

    async def cancel_now(self, stream: str, run_id: str, reason: str, principal: Principal) -> RunResult:
        """Seize a run and end it as cancelled, fencing its owner out. Raises: `run_not_found`, `run_ended`."""
        store = self._journal.store
        now_ms = self._journal.now_ms()
        if not (await self._journal.load(RUN_FOLD, stream)).state.exists:
            raise RUN_NOT_FOUND.error("there is no such run", run_id=run_id)
        claim = await store.activations.take(
            stream, e.RUN, store.owner, now_ms, self._settings.claim_lease_ms, steal=True
        )
        if isinstance(claim, Held):
            raise RUN_HELD.error("another owner took the run meanwhile", run_id=run_id)
        loaded = await self._journal.load(RUN_FOLD, stream)
        if loaded.state.status is not None:
            await store.activations.release([claim], None)
            raise RUN_ENDED.error(f"the run has ended: {loaded.state.status.value}", run_id=run_id)
        mine = self._watcher.session(stream)
        if mine is not None:
            mine.interrupt(RUN_CANCELLED)
        with self._keeper.keep(claim):
            session = await self._session(claim, loaded, run_id, principal, clerk=True)
            order = e.RunCancelling(principal.id, reason)
            session.fold([claimed(claim, session.state.epoch + 1), order])
            return await self._drive(session, clerk=True)

    async def _own(
        self, claim: Claim, loaded: Loaded[RunState], run_id: str, principal: Principal, *, clerk: bool = False
    ) -> Left:
        """Take a claimed run from where its history stands, and drive it."""
        activations = self._journal.store.activations
        try:
            await self._fire_due(loaded.state)
            # Read after the claim, so that no wake is lost. `loaded` is consumed: the session goes on with it.
            loaded = await self._journal.catch_up(RUN_FOLD, claim.stream, loaded)
            entries = await self._journal.tail(f"{claim.stream}/inbox", loaded.state.inbox_seq)
            waiting = None if entries else waiting_of(loaded.state, None)
            if loaded.state.status is not None or (waiting and await self._is_still(loaded.state, waiting)):
                await activations.release([claim], None if waiting is None else waiting.until_ms)
                return Left(result_of(run_id, loaded.state, waiting), loaded)
            session = await self._session(claim, loaded, run_id, principal, clerk=clerk)
            session.fold([claimed(claim, loaded.state.epoch + 1)])
            await self._take_inbox(session)
        except BaseException as fault:
            await self._let_go(claim, fault)
            raise
        return Left(await self._drive(session, clerk=clerk), session.loaded)

    async def _fire_due(self, state: RunState, session: Session | None = None) -> None:
        """Whatever of the run's own timers is due reaches its inbox before the inbox is read.

        The append that records a wait sets its timer: if it fired before that, it would stay set for ever.
        """
        if not state.waits:  # the deadline of the run itself is seen by whoever decides
            return
        due = _due_timers(state, self._journal.now_ms())
        if due and session is not None and session.pending:
            await session.flush()
        await self._timers.fire(due)

    async def _is_still(self, state: RunState, waiting: Waiting) -> bool:
        """Whether a run has nothing to do now: then nothing is written by looking at it."""
        if waiting.kind == "queued":
            still = bool(state.queued) and is_all_queued(state, self._journal.now_ms())
            return still and await self._turnstile.still_waits(state)
        if state.max_concurrency > 1 and state.paused is None and await self._may_enter(state):
            return False
        if waiting.until_ms is not None:
            return waiting.until_ms > self._journal.now_ms()
        return waiting.kind in ("parked", "paused", "suspended")

    async def _may_enter(self, state: RunState) -> bool:
        """Whether a state could be entered for the first time, while others wait for something."""
        plan = await self._outline(state)
        return ReadyStates(plan, completed_states(state), state.steps).first() is not None

    async def _outline(self, state: RunState) -> ExecutionPlan:
        """The run's plan without its code."""
        [outline] = await self._journal.store.artifacts.get([state.fingerprint])
        return read_outline(outline).plan(state.fingerprint)

    async def _session(
        self, claim: Claim, loaded: Loaded[RunState], run_id: str, principal: Principal, *, clerk: bool
    ) -> Session:
        state = loaded.state
        manifest = await self._read.manifest(state)
        if clerk:
            plan = await self._outline(state)
        else:
            plan = (await self._plans.of_run(state, self._journal.store.artifacts)).under(manifest.run_config)
        check_history(state, plan)
        context = self._read.context_at(state.checkpoint)
        await context.check()  # a checkpoint that is damaged must stop the run before it goes on (S4)
        return Session(
            self._journal,
            loaded,
            plan,
            manifest.run_config,
            context,
            claim,
            self._settings,
            run_id,
            self._budget,
            principal.id,
        )

    async def _drive(self, session: Session, *, clerk: bool = False) -> RunResult:
        """Drive a session to its end or to a wait."""
        state = session.state
        limited = state.needs is not None or state.queued or session.plan.is_limited
        units = Units(session, self._turnstile) if limited else None
        loop = Loop(session, self._router, self.spawner, self._take_inbox, units, clerk=clerk)
        try:
            with self._watcher.watch(session):
                await inherit(session)
                decision = await loop.drive()
        except BaseException as fault:
            if session.begun:  # else the claim was never written, and one of that name is somebody else's
                await self._let_go(session.claim, fault)
            raise
        if not isinstance(decision, Stop):
            await self._settle_children(session.state)
            return result_of(session.run_id, session.state, None)
        await self._journal.store.activations.release([session.claim], decision.until_ms)
        waiting = waiting_of(session.state, None)
        if waiting is not None and waiting.kind == "queued" and waiting.until_ms is None:
            waiting = msgspec.structs.replace(waiting, until_ms=decision.until_ms)
        return result_of(session.run_id, session.state, waiting)

    async def _settle_children(self, state: RunState) -> None:
        """Children that were told to end with their parent do so at once, where nobody drives them."""
        for run_id, child in state.children.items():
            if child.status is None and child.cancel_with_parent:
                await self.settle(stream_id(tenant_of(state.stream), e.RUN, run_id), run_id)

    async def _take_inbox(self, session: Session) -> None:
        """Fold what the inbox holds; the session's next append records it as taken, with its consequences."""
        await self._fire_due(session.state, session)
        entries = await self._journal.tail(f"{session.state.stream}/inbox", session.state.inbox_seq)
        carried = [entry.record.payload_id for entry in entries if isinstance(entry.record, i.SignalSent)]
        contents = await self._journal.store.artifacts.get(carried) if carried else []
        payloads = dict(zip(carried, contents, strict=True))
        for entry in entries:
            if isinstance(entry.record, i.MigrationRequested) and not session.attempts:
                session.fold(orphans_closed(session.state))  # a plan changes between attempts only
            if entry.record is not None:
                records = consequence(session.state, entry.place, entry.record, payloads)
                nothing = any(isinstance(each, e.FactRecorded) and each.payload_id == NOTHING_ID for each in records)
                session.fold(records, [NOTHING_BLOB] if nothing else ())
                if isinstance(entry.record, i.ArtifactAttached):
                    session.count_attached(entry.record.bytes)
        if entries:
            session.fold([e.InboxTaken(entries[-1].envelope.seq)])

    async def _sat_out(self, result: RunResult, state: RunState) -> RunResult | None:
        """None once something that this process sits out is over; else the result.

        It sits out a back-off or deadline that is near, children that it can drive, and a queue: those before it in
        the queue are being driven by somebody, as is a run that it would watch. Nothing but an operator's decision
        moves a parked run of one state at a time.
        """
        if result.waiting is None:
            return result
        if result.waiting.kind == "queued":
            if state.queued:
                await self._turnstile.turn(state, result.waiting.until_ms)
            elif result.waiting.until_ms is not None:  # a queue that was full is tried again then
                await self._changed(state, set(), result.waiting.until_ms)
            return None
        tasks = self._drive_children(state) if result.waiting.kind == "suspended" else set()
        until_ms = result.waiting.until_ms
        if until_ms is not None and until_ms - self._journal.now_ms() > self._settings.backoff_held_ms_max:
            until_ms = None
        is_stuck = result.waiting.kind == "parked" and state.max_concurrency == 1
        if not tasks and (until_ms is None or is_stuck):
            return result
        return None if await self._changed(state, tasks, until_ms) else result

    async def _changed(self, state: RunState, tasks: set[asyncio.Task[RunResult]], until_ms: int | None) -> bool:
        """Wait for a run that nobody drives: True once it may go on, False when its children all wait as well."""
        store = self._journal.store
        seen = store.doorbell.seen()
        known = [state.seq, state.inbox_seq]
        while True:
            heads = await store.events.heads([state.stream, f"{state.stream}/inbox"])
            if [head.seq for head in heads] != known:
                return True
            left_ms = None if until_ms is None else until_ms - self._journal.now_ms()
            if left_ms is not None and left_ms <= 0:
                return True
            if left_ms is None and all(task.done() for task in tasks):
                return False
            pause_ms = self._settings.watch_interval_ms if left_ms is None else left_ms
            ring = asyncio.ensure_future(store.doorbell.wait(seen, min(pause_ms, self._settings.watch_interval_ms)))
            try:
                await asyncio.wait(
                    [ring, *(task for task in tasks if not task.done())], return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                if not ring.done():
                    ring.cancel()
            seen = ring.result() if ring.done() and not ring.cancelled() else seen

    def _drive_children(self, state: RunState) -> set[asyncio.Task[RunResult]]:
        """Tasks that drive the children that a run waits for, each in this process or watching another."""
        return {
            self.drive_beside(stream_id(tenant_of(state.stream), e.RUN, run_id), run_id)
            for run_id, child in state.children.items()
            if child.status is None and child.name in state.waits.get(child.state_id, {})
        }

    def drive_beside(self, stream: str, run_id: str) -> asyncio.Task[RunResult]:
        """Drive a run in a task of its own. One that has come to wait stays in its place until it is asked for anew."""
        task = self._beside.get(stream)
        if task is None:
            task = asyncio.get_running_loop().create_task(self.drive_or_watch(stream, run_id), name=f"child {run_id}")
            self._beside[stream] = task
            task.add_done_callback(lambda done: self._ended_beside(stream, done))
        return task

    def _ended_beside(self, stream: str, task: asyncio.Task[RunResult]) -> None:
        if self._beside.get(stream) is task:
            del self._beside[stream]
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            trace = fault if isinstance(fault, Exception) else None  # of a process that ends, the end alone is told
            _LOG.warning("the child %s is left to its next owner", parse_stream(stream).id, exc_info=trace)

    async def _let_go(self, claim: Claim, fault: BaseException) -> None:
        """Let the next owner in at once. One that has the claim by now is not touched by this.

        Where the run was lost and the claim is still ours, an earlier owner, whose claim had ended, was quicker: it
        can wake nobody, so that somebody has to look at what it left. A run that cannot be driven here (no plan,
        damage) does not come back to a worker at once.
        """
        lost = isinstance(fault, Conflict) and fault.kind is RUN_HELD
        undrivable = isinstance(fault, InterlockError) and not isinstance(fault, StorageFailure) and not lost
        with suppress(InterlockError):
            due_ms = self._journal.now_ms() + (UNDRIVABLE_PAUSE_MS if undrivable else 0)
            await asyncio.shield(self._journal.store.activations.release([claim], due_ms))
