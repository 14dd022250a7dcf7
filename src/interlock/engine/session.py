"""One owner driving one run: what it knows, and the only way it writes.

What it does: keeps the folded state in step with what was appended, one append at a time, and a fold snapshot every
so often. What it does not do: it decides nothing and calls no handler.

Rules: nothing is true before its append is durable; a conflict means that another owner has the run, and poisons the
session: no later append of it can succeed (ground rule G2). Whoever folds or appends has the session's turn; appends
of concurrent calls and attempts go one after the other. What an append posts to another run's inbox is in the same
append, at whatever head that inbox has by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Protocol
from weakref import WeakValueDictionary

from msgspec import Struct

from interlock.base.canonical import canonical, digest
from interlock.base.clock import Clock
from interlock.base.errors import InterlockError
from interlock.base.events import Claim, IndexRow, Place
from interlock.base.merkle_map import MerkleMap
from interlock.base.principal import ENGINE
from interlock.engine.bound_events import ArtifactsCounted, RunBudgetWarned
from interlock.engine.branches import Branches
from interlock.engine.budget import COUNTED_STEP_BYTES, BudgetSettings, check, is_past_warning, roomy
from interlock.engine.config import RunConfig
from interlock.engine.context import RunContext
from interlock.engine.control.inbox_events import CancelRequested, ChildEnded
from interlock.engine.decide import EngineSettings, completed_states
from interlock.engine.errors import RUN_HELD
from interlock.engine.events import RUN, EffectSettled, FactRecorded, RunCompleted
from interlock.engine.fold import RUN_FOLD, evolve
from interlock.engine.plan import ExecutionPlan
from interlock.engine.run_state import Parent, RunState
from interlock.engine.schedule import ReadyStates
from interlock.journal.chain import Authorship
from interlock.journal.errors import ARTIFACT_ID_MISMATCH, CLAIM_LOST, HEAD_MOVED
from interlock.journal.journal import Journal, Loaded, Post, StreamWriter
from interlock.journal.ports import Blob
from interlock.journal.streams import stream_id, tenant_of


def ended_child(state: RunState, run_id: str) -> tuple[ChildEnded, Blob]:
    """What a child run that has ended tells its parent, and the artifact that its parent's wait ends with."""
    parent, status, final = state.parent, state.status, state.final_snapshot_id
    if parent is None or status is None:
        raise ValueError("only a child that has ended tells its parent so")
    stream = stream_id(tenant_of(state.stream), RUN, parent.run_id)
    content = canonical({"child_run_id": run_id, "final_snapshot_id": final, "status": status.value})
    payload = Blob(digest(content), "FactPayload", content)
    return ChildEnded(run_id, final, parent.name, payload.id, stream, parent.state_id, status), payload


class Interruptible(Protocol):
    """An attempt under way, as the session knows it."""

    def interrupt(self, code: str) -> None:
        """End the attempt now, for the reason `code`; its handler sees a cancellation."""
        ...


class Session:
    """A run in the hands of its owner. `opened_by` is who started it: the actor of the first append alone."""

    def __init__(
        self,
        journal: Journal,
        loaded: Loaded[RunState],
        plan: ExecutionPlan,
        config: RunConfig,
        context: RunContext,
        claim: Claim,
        settings: EngineSettings,
        run_id: str,
        budget: BudgetSettings,
        opened_by: str | None = None,
    ) -> None:
        self.journal = journal
        self.state = loaded.state
        self.plan = plan
        self.config = config
        self.context = context
        self.claim = claim
        self.settings = settings
        self.budget = budget
        self.run_id = run_id
        self.ready = ReadyStates(plan, completed_states(loaded.state), loaded.state.steps)
        self.attempts: dict[str, Interruptible] = {}
        self.interrupted: str | None = None
        """Why attempts are to end, also those that begin after it was said."""
        self.inbox_moved = False
        self.news = asyncio.Event()
        """Set when the inbox has moved, or an attempt has ended."""
        author = Authorship(actor=ENGINE.id, correlation=run_id)
        self._writer = StreamWriter(journal, loaded.state.stream, loaded.head, loaded.at_ms, author)
        self._opener = None if opened_by is None else Authorship(actor=opened_by, correlation=run_id)
        self.turn = asyncio.Lock()
        self._keys: WeakValueDictionary[str, asyncio.Lock] | None = None
        self._lost: InterlockError | None = None
        self._snapshot_seq = loaded.head.seq
        self._folded: list[Struct] = []
        self._blobs: list[Blob] = []
        self._rows: list[IndexRow] = []
        self._posts: list[Post] = []
        self._at_ms = loaded.at_ms
        self._uncounted = 0
        """Bytes of artifacts that no event counts yet."""
        self._roomy_events, self._roomy_bytes = roomy(budget, loaded.state.max_concurrency)
        self.is_roomy = False
        """Whether whatever an attempt can append at once fits for sure, artifacts apart: nothing is measured."""

    @cached_property
    def branches(self) -> Branches:
        """The joining of states that run at once."""
        first = self.state.initial_snapshot_id
        # That of a run which is just beginning is not stored yet.
        initial = self.context if self.context.snapshot_id == first else self.context_at(first)
        return Branches(self.plan, self.journal.store.artifacts, initial)

    @property
    def clock(self) -> Clock:
        """The wall clock."""
        return self.journal.clock

    @property
    def loaded(self) -> Loaded[RunState]:
        """The state and its exact place, for whoever goes on later in this process. Only when nothing is pending."""
        return Loaded(self.state, self._writer.head, self._writer.at_ms)

    @property
    def begun(self) -> bool:
        """Whether anything of this session, or of an earlier owner, is durable."""
        return self._writer.head.seq > 0

    def now_ms(self) -> int:
        """The time of the next append: decisions are made for the time at which they are recorded (P9)."""
        return self._at_ms if self._folded else self.journal.now_ms(self.state.at_ms)

    @property
    def pending(self) -> int:
        """Records that wait for the next flush."""
        return len(self._folded)

    def fold(self, records: Sequence[Struct], blobs: Sequence[Blob] = (), posts: Sequence[Post] = ()) -> None:
        """Evolve over records that the next `flush` appends. Nobody else sees them before; if it fails, nobody will."""
        if posts:
            self._posts.extend(posts)
        if not self._folded:
            self._at_ms = self.journal.now_ms(self.state.at_ms)
            self._keep_snapshot()
        state, stream, run_id = self.state, self.state.stream, self.run_id
        actor = ENGINE.id if self._opener is None else self._opener.actor
        for seq, record in enumerate(records, state.seq + 1):
            state = evolve(state, record, Place(stream, seq, self._at_ms, actor, run_id))
        self.state = state
        self._folded.extend(records)
        if blobs:
            self._blobs.extend(blobs)
            for blob in blobs:
                self._uncounted += len(blob.content)

    async def flush(self) -> None:
        """Append what was folded, in one append. Raises: `run_held` once another owner has the run; storage errors."""
        if not self._folded:
            return
        if self._lost is not None:
            raise self._lost
        if self._uncounted >= COUNTED_STEP_BYTES or not self.is_roomy:
            self._account()
        records, blobs, rows, posts = self._folded, self._blobs, self._rows, self._posts
        self._folded, self._blobs, self._rows, self._posts = [], [], [], []
        try:
            await self._writer.append(records, self._at_ms, blobs, rows, self._opener, posts)
            self._opener = None
            self._used(self._writer.bytes)
        except BaseException as fault:
            # Also when cancelled: whether it was appended is unknown here, so this session must not go on.
            self._lost = self._translated(fault)
            if isinstance(fault, InterlockError):
                raise self._lost from fault
            raise

    def posted(self) -> Post:
        """What was folded, as a post: the run of this session begins with an append of another run."""
        self._account()
        records, blobs = tuple(self._folded), tuple(self._blobs)
        return Post(self.state.stream, records, blobs, self._opener, fresh=not self.begun)

    def _used(self, event_bytes: int) -> None:
        state = self.state
        state.event_bytes += event_bytes
        used = state.event_bytes + state.artifact_bytes
        self.is_roomy = state.seq < self._roomy_events and used < self._roomy_bytes

    def check_budget(self, records: Sequence[Struct] = (), blobs: Sequence[Blob] = ()) -> None:
        """Refuse what would make the run larger than it may be. Raises: `run_budget_exceeded`."""
        more, state = 0, self.state
        for blob in blobs:
            more += len(blob.content)
        if self.is_roomy and state.event_bytes + state.artifact_bytes + more < self._roomy_bytes:
            return

        def measure() -> int:
            encode = self.journal.catalogue.encode
            return sum(len(encode(record)[1]) for record in (*self._folded, *records))

        check(self.budget, self.state, self._uncounted, records, more, measure)

    def _account(self) -> None:
        """Record what artifacts take once it is much, and that the run is near its limit."""
        if self.state.status is not None:
            return
        if self._uncounted >= COUNTED_STEP_BYTES:
            self.count_artifacts()
        state = self.state
        if not state.budget_warned and is_past_warning(self.budget, state, self._uncounted):
            self.fold([RunBudgetWarned(state.event_bytes + state.artifact_bytes + self._uncounted, state.seq)])

    def count_attached(self, size_bytes: int) -> None:
        """An artifact that is stored already is the run's from now on."""
        self._uncounted += size_bytes

    def count_artifacts(self, at_least: int = COUNTED_STEP_BYTES) -> None:
        """Record what the run's artifacts take, if `at_least` so many bytes of them are not counted yet."""
        if self._uncounted >= at_least:
            counted, self._uncounted = self.state.artifact_bytes + self._uncounted, 0
            self.fold([ArtifactsCounted(counted)])

    async def record(
        self,
        records: Sequence[Struct] | Callable[[], Sequence[Struct]],
        blobs: Sequence[Blob] = (),
        check: Callable[[], None] = lambda: None,
        posts: Sequence[Post] = (),
    ) -> None:
        """Fold and append `records` with their artifacts, in turn with other calls. An empty list is nothing.

        A function makes them of the state as it is when it is this call's turn. `check` is called then, too, and may
        raise. A caller that is cancelled leaves only when the outcome is known: a handler may give up a call, but
        nobody may lose sight of an append.
        """
        append = asyncio.ensure_future(self._record(records, blobs, check, posts))
        try:
            await asyncio.shield(append)
        except asyncio.CancelledError:
            while not append.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([append])
            append.exception()
            raise

    async def _record(
        self,
        records: Sequence[Struct] | Callable[[], Sequence[Struct]],
        blobs: Sequence[Blob],
        check: Callable[[], None],
        posts: Sequence[Post],
    ) -> None:
        async with self.turn:
            check()
            if self._lost is not None:
                raise self._lost
            made = records() if callable(records) else records
            if not (callable(records) or self._is_outcome(made)):
                self.check_budget(made, blobs)
            self.fold(made, blobs, posts)
            await self.flush()

    def _is_outcome(self, records: Sequence[Struct]) -> bool:
        """Whether records tell what has happened outside already: that has to be kept, whatever room there is."""
        first = records[0] if records else None
        if isinstance(first, FactRecorded):
            return first.key in self.state.intents
        return isinstance(first, EffectSettled)

    def turn_of(self, key: str) -> asyncio.Lock:
        """The lock under which calls of one fact key go one after the other. Kept while anybody holds it."""
        if self._keys is None:
            self._keys = WeakValueDictionary()
        lock = self._keys.get(key)
        if lock is None:
            lock = self._keys[key] = asyncio.Lock()
        return lock

    def interrupt(self, code: str) -> None:
        """End every attempt under way, for the reason `code`."""
        self.interrupted = code
        for attempt in list(self.attempts.values()):
            attempt.interrupt(code)

    @property
    def is_sequential(self) -> bool:
        """Whether one state runs at a time."""
        return self.state.max_concurrency == 1

    @property
    def is_migrated(self) -> bool:
        """Whether the run has another plan by now."""
        return self.state.fingerprint != self.plan.fingerprint

    async def tell_kin(self) -> None:
        """Post the end of the run with the append that ends it: to its parent, and to children that end with it.

        A parent that has ended already is told nothing: nobody would take it.
        """
        state, tenant = self.state, tenant_of(self.state.stream)
        if state.status is None:
            return
        if state.parent is not None:
            await self._tell_parent(state.parent)
        for run_id, child in state.children.items():
            if child.status is None and child.cancel_with_parent:
                stream = stream_id(tenant, RUN, run_id)
                order = CancelRequested("its parent has ended", stream)
                self._posts.append(Post(f"{stream}/inbox", (order,)))

    async def _tell_parent(self, parent: Parent) -> None:
        stream = stream_id(tenant_of(self.state.stream), RUN, parent.run_id)
        if await self._has_ended(stream):
            return
        ended, payload = ended_child(self.state, self.run_id)
        self._blobs.append(payload)
        self._posts.append(Post(f"{stream}/inbox", (ended,)))

    async def _has_ended(self, stream: str) -> bool:
        """Whether a run's last event is the one that nothing follows."""
        [head] = await self.journal.store.events.heads([stream])
        last = await self.journal.tail(stream, head.seq - 1) if head.seq else []
        return bool(last) and isinstance(last[-1].record, RunCompleted)

    def context_at(self, snapshot_id: str) -> RunContext:
        """The context of a snapshot; nothing is loaded yet."""
        return RunContext(MerkleMap.load(snapshot_id), self.journal.store.artifacts)

    async def store(self, kind: str, content: bytes) -> str:
        """Make an artifact durable before the event that will name it; return its id."""
        blob = Blob(digest(content), kind, content)
        self.check_budget(blobs=[blob])
        self._uncounted += len(content)
        [stored] = await self.journal.store.artifacts.put([blob])
        if stored != blob.id:
            raise ARTIFACT_ID_MISMATCH.error("the store names an artifact otherwise than its bytes do (S11)")
        return stored

    def _translated(self, fault: BaseException) -> InterlockError:
        if isinstance(fault, InterlockError) and fault.kind not in (HEAD_MOVED, CLAIM_LOST):
            return fault
        return RUN_HELD.error("this owner no longer has the run", run_id=self.run_id)

    def _keep_snapshot(self) -> None:
        """Put a fold snapshot into the next append when enough events have come since the last one.

        The distance grows with what a snapshot holds, so that writing snapshots stays a small part of the work.
        """
        behind, state = self.state.seq - self._snapshot_seq, self.state
        if behind < self.settings.fold_snapshot_events:
            return
        size = len(state.steps) + len(state.facts) + len(state.effect_keys)
        if behind >= size // 4:
            self._snapshot_seq = self.state.seq
            self._rows.append(self.journal.fold_row(RUN_FOLD, self.state.stream, self.loaded))
