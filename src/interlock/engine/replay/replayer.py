"""Offline replay: a run's recorded attempts, driven anew from its record and compared with it.

What it does: streams the events of a run, enacts each attempt under its own number on its recorded base, and compares
how it ends: outcome, error code, snapshot, writes of branches, domain events, waits. What it does not do: it writes
nothing, opens no transport, and reads no clock and no entropy (`io.replay`, `attempts`).

Rules: an attempt is enacted at its recorded end, with the facts recorded by then, so that the run is never loaded
whole; each attempt starts from what was recorded, so that one divergence causes no other; what the outside ended
without leaving a fact (a crash, a cancel, a time limit, a transport that failed) is named as not comparable, and is
neither a divergence nor a confirmation.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.merkle_map import MerkleMap
from interlock.engine import events as e
from interlock.engine.attachments import is_attachment
from interlock.engine.branches import Branches
from interlock.engine.config import RunConfig, read_manifest
from interlock.engine.context import RunContext
from interlock.engine.decide import EngineSettings, is_skipped, policy_of, timeout_of
from interlock.engine.errors import PLAN_DRIFTED, RUN_NOT_FOUND, UNCOUNTED
from interlock.engine.fold import RUN_FOLD, evolve
from interlock.engine.io.replay import MISSING_FACT, ReplayedAttempt
from interlock.engine.pipelines.boundaries import OP_BOUNDARY
from interlock.engine.plan import ExecutionPlan, StateNode
from interlock.engine.replay.artifacts import RecordedArtifacts
from interlock.engine.replay.attempts import COMPLETED, HUNG_MS, Enacted, Told, enacted, failed, told
from interlock.engine.replay.findings import Findings, snapshot_divergence, writes_divergence
from interlock.engine.replay.report import Divergence, ReplayReport, ReplayWarning
from interlock.engine.run_state import RunState
from interlock.journal.chain import Recorded
from interlock.journal.errors import EVENT_CORRUPT
from interlock.journal.journal import Journal
from interlock.journal.ports import EMPTY, Head

CONTEXTS_KEPT_MAX = 64
STATE_TIMED_OUT = "state_timeout"
_NOTHING: frozenset[str] = frozenset()

FindPlan = Callable[[RunState, RunConfig], Awaitable[ExecutionPlan]]
"""The plan that a run has at this point. Raises: `plan_not_found`."""
End = e.StateCompleted | e.StateFailed | e.StateSuspended


class _Open:
    """An attempt whose end has not been read yet."""

    __slots__ = ("base_id", "branch", "fresh", "node", "number", "skipped", "told")

    def __init__(self, node: StateNode, entered: e.StateEntered, *, skipped: bool) -> None:
        self.node = node
        self.number = entered.attempt
        self.base_id = entered.base_snapshot_id
        self.skipped = skipped
        self.branch: tuple[e.BranchCompleted, Recorded] | None = None
        self.fresh: set[str] | None = None
        self.told: list[Told] = []


class _Result(NamedTuple):
    """What a completed attempt leaves: the checkpoint, and with fan-out its view and what it wrote."""

    context: RunContext
    view: RunContext | None
    writes_id: str | None


class Replayer:
    """The replay of one run."""

    def __init__(
        self, journal: Journal, stream: str, run_id: str, settings: EngineSettings, find_plan: FindPlan
    ) -> None:
        self._journal = journal
        self._stream = stream
        self._settings = settings
        self._find_plan = find_plan
        self._artifacts = RecordedArtifacts(journal.store.artifacts)
        self._state = RUN_FOLD.initial(stream)
        self._config = RunConfig()
        self._plan: ExecutionPlan | None = None
        self._branches: Branches | None = None
        self._open: dict[str, _Open] = {}
        self._contexts: OrderedDict[str, RunContext] = OrderedDict()
        self._unread: dict[str, bool] = {}
        """Facts that nobody has asked for, and whether an attempt of the run recorded them."""
        self._findings = Findings(run_id)

    async def replay(self) -> ReplayReport:
        """Replay all that is recorded now. Raises: `run_not_found`, `plan_drifted`, what damage of the store raises."""
        [head] = await self._journal.store.events.heads([self._stream])
        if head == EMPTY:
            raise RUN_NOT_FOUND.error("there is no such run", run_id=self._findings.run_id)
        reached = EMPTY
        async with aclosing(self._journal.read(self._stream, until_seq=head.seq)) as pages:
            async for page in pages:
                self._expect(page)
                for event in page:
                    await self._take(event)
                reached = Head(page[-1].envelope.seq, page[-1].digest)
        if reached != head:
            raise EVENT_CORRUPT.error(f"stream {self._stream} ends at {reached.seq}, but its head is {head.seq}")
        for opened in list(self._open.values()):
            if not opened.skipped:
                await self._enact_cut_off(opened, "it is still open")
        self._findings.warn(self._warnings())
        return self._findings.report(self._state)

    def _expect(self, page: Sequence[Recorded]) -> None:
        for event in page:
            if type(event.record) is e.FactRecorded:
                self._artifacts.expect(event.record.payload_id)

    async def _take(self, event: Recorded) -> None:
        """One event of the run."""
        record = event.record
        match record:
            case None:
                return
            case e.StateEntered():
                self._fold(record, event)
                self._entered(record)
            case e.StateCompleted() | e.StateFailed() | e.StateSuspended():
                await self._ended(record, event)
            case e.BranchCompleted():
                # Folded with the end of its state, so that the join finds what the live one found.
                self._open[record.state_id].branch = record, event
            case e.FactRecorded():
                self._recorded(record)
                self._fold(record, event)
            case e.DomainEmitted() | e.ArtifactWritten():
                self._fold(record, event)
                self._told(record)
            case e.RunStarted():
                self._fold(record, event)
                [content] = await self._artifacts.get([record.manifest_id])
                self._config = read_manifest(record.manifest_id, content).run_config
            case e.PlanRecorded() | e.PlanMigrated():
                self._fold(record, event)
                await self._take_plan()
            case _:
                self._fold(record, event)

    def _fold(self, record: Struct, event: Recorded) -> None:
        self._state = evolve(self._state, record, event.place)

    async def _take_plan(self) -> None:
        self._plan = plan = await self._find_plan(self._state, self._config)
        self._branches = None
        if plan.fingerprint != self._state.fingerprint:
            why = "the plan differs from the one that was recorded in states, edges, metadata or policies"
            self._findings.warn([ReplayWarning("plan_differs", why)])

    def _node(self, state_id: str) -> StateNode:
        plan = self._plan
        place = None if plan is None else plan.index.get(state_id)
        if plan is None or place is None:
            raise PLAN_DRIFTED.error(f"the run has a state that the plan lacks: {state_id}", states=[state_id])
        return plan.states[place]

    def _entered(self, record: e.StateEntered) -> None:
        node = self._node(record.state_id)
        self._open[record.state_id] = _Open(node, record, skipped=is_skipped(node, self._config, self._state))

    def _recorded(self, record: e.FactRecorded) -> None:
        if record.key in self._state.facts or self._state.is_inheriting:  # an inherited fact was read in another run
            return
        self._unread[record.key] = bool(self._open)
        for opened in self._open.values():
            if opened.fresh is None:
                opened.fresh = set()
            opened.fresh.add(record.key)

    def _told(self, record: e.DomainEmitted | e.ArtifactWritten) -> None:
        """Events of states count; the engine's own marks of operations do not."""
        if isinstance(record, e.DomainEmitted) and record.name == OP_BOUNDARY:
            return
        if isinstance(record, e.ArtifactWritten) and is_attachment(record):  # whatever state was under way then
            return
        state_id = record.state_id or self._state.open_state
        opened = None if state_id is None else self._open.get(state_id)
        if opened is not None:
            opened.told.append(told(record))

    async def _ended(self, record: End, event: Recorded) -> None:
        """Enact the attempt that this event ended, as of just before it."""
        opened = self._open.pop(record.state_id)
        if opened.skipped or self._state.is_inheriting:
            self._findings.skipped += 1
        elif isinstance(record, e.StateFailed) and record.error.info.code in {*UNCOUNTED, STATE_TIMED_OUT}:
            await self._enact_cut_off(opened, record.error.info.code)
        else:
            await self._enact(opened, record)
        if opened.branch is not None:
            self._fold(*opened.branch)
        self._fold(record, event)

    async def _enact_cut_off(self, opened: _Open, code: str) -> None:
        """Enact an attempt that the outside ended: its facts count, its end is compared with nothing."""
        attempt = self._attempt(opened, _NOTHING)
        limit_ms = min(timeout_of(opened.node, self._state) or HUNG_MS, HUNG_MS)
        now = await enacted(attempt, self._context(opened.base_id), self._artifacts, limit_ms)
        self._note_read(attempt)
        self._findings.attempts += 1
        self._findings.incomparable(opened.node.id, opened.number, code, now, "the outside ended the attempt")

    async def _enact(self, opened: _Open, record: End) -> None:
        waiting = frozenset(w.name for w in record.waits) if isinstance(record, e.StateSuspended) else _NOTHING
        base = self._context(opened.base_id)
        limit_ms = timeout_of(opened.node, self._state)
        tries = 1
        if self._config.replay_missing_fact_retryable:
            tries = policy_of(opened.node, self._config, self._state).max_attempts
        while True:
            attempt = self._attempt(opened, waiting)
            now = await enacted(attempt, base, self._artifacts, limit_ms)
            self._note_read(attempt)
            tries -= 1
            if now.code != MISSING_FACT.code or tries <= 0:  # a fact does not appear by waiting: nothing is slept
                break
        self._findings.attempts += 1
        await self._compare(opened, base, record, attempt, now)

    async def _compare(
        self, opened: _Open, base: RunContext, record: End, attempt: ReplayedAttempt, now: Enacted
    ) -> None:
        if self._changed_nothing(opened, record, now):
            self._findings.compared += 1
            return
        result = None
        if now.outcome == COMPLETED:
            try:
                result = await self._result(opened, base, now)
            except InterlockError as fault:
                now = failed(fault, now.told)
        findings = self._findings
        if isinstance(record, e.StateCompleted) and result is not None:
            found = await self._snapshot_difference(opened, record, result)
            findings.compare_told(opened.node.id, opened.number, found, opened.told, now.told, self._config)
            if found is not None:
                self._branches = None  # what it knows of this state is not what was recorded
        else:
            findings.compare_ends(opened.number, record, attempt, now)
            self._branches = None if result is not None else self._branches

    def _changed_nothing(self, opened: _Open, record: End, now: Enacted) -> bool:
        """Whether an attempt completed without writing or telling anything, then as now: the common case."""
        return (
            type(record) is e.StateCompleted
            and now.outcome is COMPLETED
            and not now.writes
            and not now.told
            and not opened.told
            and record.context_snapshot_id == opened.base_id
            and self._state.max_concurrency == 1
        )

    async def _result(self, opened: _Open, base: RunContext, now: Enacted) -> _Result:
        """What an attempt that completed leaves behind. Raises: `context_write_conflict`."""
        if self._state.max_concurrency == 1:
            context, _ = await base.updated(now.writes)
            return _Result(context, None, None)
        plan, state = self._plan, self._state
        if plan is None:
            raise PLAN_DRIFTED.error("the run has no plan")
        if self._branches is None:
            self._branches = Branches(plan, self._artifacts, self._context(state.initial_snapshot_id))
        checkpoint = self._context(state.checkpoint)
        joined = await self._branches.join(plan.index[opened.node.id], base, checkpoint, now.writes, state)
        view, _ = await base.updated(now.writes)
        return _Result(joined.checkpoint, view, joined.record.writes_id)

    async def _snapshot_difference(self, opened: _Open, record: e.StateCompleted, result: _Result) -> Divergence | None:
        """Where what an attempt leaves behind differs from what it left then."""
        pairs = [(record.context_snapshot_id, result.context)]
        if opened.branch is not None and result.view is not None:
            pairs.insert(0, (opened.branch[0].view_id, result.view))
        for recorded_id, context in pairs:
            if context.snapshot_id != recorded_id:
                changes = await self._context(recorded_id).changes(context)
                differences = [(key, *values) for key, values in changes.items()]
                return snapshot_divergence(opened.node.id, opened.number, recorded_id, context.snapshot_id, differences)
        if opened.branch is not None and result.writes_id != opened.branch[0].writes_id:
            then = opened.branch[0].writes_id
            return writes_divergence(opened.node.id, opened.number, then, result.writes_id)
        for _, context in pairs:
            self._keep(context)
        return None

    def _attempt(self, opened: _Open, waiting: frozenset[str]) -> ReplayedAttempt:
        state = self._state
        return ReplayedAttempt(
            opened.node,
            opened.number,
            self._artifacts,
            state.facts,
            opened.fresh or _NOTHING,
            waiting,
            state.waits.get(opened.node.id, {}) if state.waits else {},
            self._settings,
            retryable=self._config.replay_missing_fact_retryable,
        )

    def _note_read(self, attempt: ReplayedAttempt) -> None:
        for key in attempt.read:
            self._unread.pop(key, None)

    def _context(self, snapshot_id: str) -> RunContext:
        known = self._contexts.get(snapshot_id)
        if known is None:
            known = RunContext(MerkleMap.load(snapshot_id), self._artifacts)
            self._keep(known)
        return known

    def _keep(self, context: RunContext) -> None:
        """Keep a context that is as recorded, because what follows probably starts from it."""
        if context.snapshot_id not in self._contexts:
            self._contexts[context.snapshot_id] = context
            if len(self._contexts) > CONTEXTS_KEPT_MAX:
                self._contexts.popitem(last=False)

    def _warnings(self) -> Iterator[ReplayWarning]:
        """Facts that were recorded and that no handler has asked for (R6)."""
        for key, by_attempt in self._unread.items():
            # What arrived from outside has a reader only where the run went on with it.
            if by_attempt or self._state.status is e.RunStatus.COMPLETED:
                yield ReplayWarning("fact_unread", f"no handler has asked for the recorded fact {key}", key)
