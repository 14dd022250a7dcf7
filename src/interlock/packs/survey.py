"""The walk over everything that a run consists of: the same for export and for verification.

What it does: walks the streams of a run and of its children, proves chains, artifacts, facts and folds with the checks
that examine a store, derives the views, and gives the manifest that belongs to it all. What it does not do: it writes
and compares nothing; a sink takes what is derived, and whoever asked judges what was found.

Rules: what is damaged is named, and what rests on it is not judged; a run is read page by page and only its folded
state is held, one run at a time; order is by discovery: a run, its inbox, and its children as they were started.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from interlock.base.canonical import canonical, is_canonical
from interlock.base.errors import Corruption, InterlockError, NotFound
from interlock.engine import events as e
from interlock.engine.config import read_manifest
from interlock.engine.contract import contract_of
from interlock.engine.fold import RUN_FOLD
from interlock.engine.io.secret_facts import SEALED
from interlock.engine.plan import read_outline
from interlock.engine.run_state import RunState
from interlock.gates.redecide.logs import NotRederivable
from interlock.journal.chain import Recorded
from interlock.journal.errors import EVENT_CORRUPT
from interlock.journal.journal import Journal
from interlock.journal.ports import EMPTY, Head, StoredEvent
from interlock.journal.streams import stream_id
from interlock.journal.verify.artifacts import NamedArtifacts
from interlock.journal.verify.report import PAGE, Examination, Progress
from interlock.journal.verify.streams import StreamWalk
from interlock.packs.errors import PACK_FACT_WRONG, PACK_MEMBER_MISSING, PACK_TOO_LARGE
from interlock.packs.lines import line_of
from interlock.packs.links import Kin, Spawned, check_links
from interlock.packs.manifest import (
    STREAMS_MAX,
    ArtifactsEntry,
    Inherited,
    MemberEntry,
    Root,
    RunEntry,
    StreamEntry,
    stream_member,
)
from interlock.packs.views import CONTRACT, TIMELINE, timeline_line, view_member, views_of


class MemberWriter(Protocol):
    """A member that is being made."""

    def write(self, content: bytes) -> None:
        """Add bytes."""
        ...

    def close(self) -> MemberEntry:
        """End it."""
        ...


class EventTaker(Protocol):
    """Takes the events of a stream as far as they can be believed."""

    def take(self, events: Sequence[Recorded]) -> None:
        """The next ones."""
        ...

    def give_up(self) -> None:
        """One is damaged: what rests on it is not judged."""
        ...


class Sink(Protocol):
    """Takes what is derived. Members of one channel are made one after the other."""

    def member(self, name: str, channel: str) -> MemberWriter:
        """Begin a member."""
        ...

    async def artifacts(self, nodes: set[bytes], others: set[bytes]) -> ArtifactsEntry:
        """All that was reached, once, at the end: nodes of maps, and other artifacts (some are both)."""
        ...


class Wanted(Struct, frozen=True):
    """What to walk: which run, with its children or without, with which views.

    `until_position` cuts every stream at one place of the feed, so that what is read is one moment of the store. The
    run of a scenario has neither children nor views.
    """

    tenant: str
    run_id: str
    children: bool = True
    contract: bool = False
    until_position: int | None = None
    kind: Literal["run", "scenario_run"] = "run"


class Surveyed(Struct):
    """What the walk came to: the parts of a manifest that follow from events and artifacts."""

    artifacts: ArtifactsEntry
    left_out: list[str]
    members: list[MemberEntry]
    root: Root
    runs: list[RunEntry]
    streams: list[StreamEntry]
    unjudged: set[str]
    """Runs that rest on damage: their entries and views say nothing."""
    unsealed: tuple[str, ...]
    not_rederivable: tuple[NotRederivable, ...] = ()


def _inherited(state: RunState) -> Inherited | None:
    fork = state.fork
    return None if fork is None else Inherited(fork.from_state, fork.run_id, fork.seq, fork.inherits)


class Survey:
    """One walk."""

    def __init__(self, journal: Journal, wanted: Wanted, sink: Sink, progress: Progress | None = None) -> None:
        self.examination = Examination(journal, progress)
        self._journal = journal
        self._wanted = wanted
        self._sink = sink
        self._nodes: set[bytes] = set()
        self._others: set[bytes] = set()
        self._named = NamedArtifacts(self.examination, reached=self._reached)
        self._members: list[MemberEntry] = []
        self._runs: list[RunEntry] = []
        self._streams: list[StreamEntry] = []
        self._left_out: list[str] = []
        self._unjudged: set[str] = set()
        self._unreadable: set[str] = set()
        self._kin: dict[str, Kin] = {}

    def _reached(self, artifact: str, is_node: bool) -> None:  # noqa: FBT001 - the shape of `Reached`
        (self._nodes if is_node else self._others).add(bytes.fromhex(artifact))

    async def run(self) -> Surveyed:
        """Walk everything. Raises: `pack_too_large`, and what is no damage, such as `store_closed`."""
        wanted = self._wanted
        waiting = deque([wanted.run_id])
        seen = {wanted.run_id}
        while waiting:
            run_id = waiting.popleft()
            kin = await self._run(run_id)
            self._kin[run_id] = kin
            fresh = [child for child in kin.children if child not in seen]
            seen.update(fresh)
            if wanted.children:
                waiting.extend(fresh)
            else:
                self._left_out += fresh
        check_links(self.examination, wanted.tenant, self._kin, self._unjudged)
        entry = await self._sink.artifacts(self._nodes, self._others)
        self._members.sort(key=lambda member: member.name)
        return Surveyed(
            entry,
            sorted(self._left_out),
            self._members,
            Root(wanted.run_id, "run", wanted.tenant),
            self._runs,
            self._streams,
            self._unjudged,
            tuple(run.run_id for run in self._runs if run.status is None),
        )

    async def _run(self, run_id: str) -> Kin:
        """Walk a run and its inbox."""
        stream = stream_id(self._wanted.tenant, e.RUN, run_id)
        walk = _RunWalk(self.examination, run_id, stream, self._sink, contract=self._wanted.contract)
        taken = await self._stream(stream, walk)
        self._members += walk.close()
        inbox = await self._stream(stream_id(self._wanted.tenant, e.RUN, run_id, inbox=True), None)
        state = walk.state
        if not taken and stream not in self._unreadable:
            self.examination.found(PACK_MEMBER_MISSING.code, stream, "the run is not there")
        elif taken and state is not None and not state.exists:
            self.examination.found("run_corrupt", stream, "no event starts it")
        if state is None or not state.exists or not await self._views(run_id, state):
            self._unjudged.add(run_id)
        if state is None or not state.exists:
            return Kin(children=walk.children)
        parent = state.parent
        self._runs.append(
            RunEntry(
                state.final_snapshot_id,
                _inherited(state),
                state.op_id,
                None if parent is None else parent.run_id,
                run_id,
                walk.sealed_facts,
                None if state.status is None else state.status.value,
            )
        )
        return Kin(
            manifest_id=state.manifest_id,
            status=state.status,
            final_snapshot_id=state.final_snapshot_id,
            parent=parent,
            inbox_taken=state.inbox_seq,
            inbox_end=inbox,
            children=walk.children,
        )

    async def _views(self, run_id: str, state: RunState) -> bool:
        """Derive the views of a run; False where its manifest or plan cannot be read."""
        artifacts = self._journal.store.artifacts
        try:
            [manifest, outline] = await artifacts.get([state.manifest_id, state.fingerprint])
            made = views_of(run_id, state, read_manifest(state.manifest_id, manifest), read_outline(outline))
        except (Corruption, NotFound) as fault:
            named = fault.details.get("artifact")
            self.examination.damaged(fault, named if isinstance(named, str) else state.stream)
            return False
        except (InterlockError, ValueError, KeyError, LookupError) as fault:
            self.examination.found("run_corrupt", state.stream, f"its plan cannot be read: {type(fault).__name__}")
            return False
        for name, content in made.items():
            member = self._sink.member(view_member(run_id, name), "views")
            member.write(content)
            self._members.append(member.close())
        return True

    async def _stream(self, stream: str, walk: EventTaker | None) -> int:
        """Walk one stream; return how many events it has. An inbox may have none, and is then no member."""
        [claimed] = await self._journal.store.events.heads([stream])
        if claimed == EMPTY:
            return 0
        if len(self._streams) >= STREAMS_MAX:
            raise PACK_TOO_LARGE.error(f"the run has more than {STREAMS_MAX} streams")
        name = stream_member(len(self._streams))
        lines = self._sink.member(name, "streams")
        chain = StreamWalk(self.examination, stream, claimed)
        events = erased = 0
        head = ""
        async for page, was_cut in self._pages(stream, claimed):
            believed: list[Recorded] = []
            for event in page:
                events, head = events + 1, event.digest
                erased += event.data is None
                lines.write(line_of(event))
                recorded = chain.take(event)
                if recorded is not None and self._is_canonical(event):
                    believed.append(recorded)
                elif walk is not None:
                    walk.give_up()
            if walk is not None:
                walk.take(believed)
            await self._named.check(believed)
            self.examination.counts["events"] += len(page)
            self.examination.step("events", len(page), of_events=False)
            if was_cut:
                claimed = Head(events, head)
        if events < claimed.seq and walk is not None:
            walk.give_up()
        if events != claimed.seq and stream not in self._unreadable:
            chain.finish(still=self._wanted.until_position is None)
        entry = lines.close()
        if events:
            self._members.append(entry)
            self._streams.append(StreamEntry(erased, events, head, name, stream))
        return events

    def _is_canonical(self, event: StoredEvent) -> bool:
        """Whether the bytes of an event have their one spelling; it is found if not: no version wrote others."""
        if is_canonical(event.envelope) and (event.data is None or is_canonical(event.data)):
            return True
        place = f"{event.stream}#{event.seq}"
        self.examination.found(EVENT_CORRUPT.code, place, f"event {place} is damaged: its bytes are not canonical")
        return False

    async def _pages(self, stream: str, claimed: Head) -> AsyncIterator[tuple[Sequence[StoredEvent], bool]]:
        """The events of a stream up to the cut, page by page, each with whether the cut came behind it."""
        seq, until = 0, self._wanted.until_position
        while True:
            read = self._journal.store.events.read(stream, seq, PAGE)
            try:
                page = await read
            except Corruption as fault:
                at = fault.details.get("seq")
                self.examination.damaged(fault, f"{stream}#{at if isinstance(at, int) else seq + 1}")
                self._unreadable.add(stream)
                return
            kept = page if until is None else [event for event in page if event.position <= until]
            if page:
                yield kept, len(kept) < len(page)
            if len(kept) < len(page) or not page or page[-1].seq <= seq:
                return
            seq = page[-1].seq
            if seq >= claimed.seq and len(page) < PAGE:
                return


class _RunWalk:
    """What the events of one run come to: its fold, its timeline, its contract envelopes."""

    def __init__(self, examination: Examination, run_id: str, stream: str, sink: Sink, *, contract: bool) -> None:
        self._examination = examination
        self._run_id = run_id
        self._folded: RunState | None = RUN_FOLD.initial(stream)
        self._timeline = sink.member(view_member(run_id, TIMELINE), "timeline")
        self._contract = sink.member(view_member(run_id, CONTRACT), "contract") if contract else None
        self._contract_seq = 0
        self._intended: dict[str, str] = {}
        self.sealed_facts = 0
        self.children: dict[str, Spawned] = {}

    @property
    def state(self) -> RunState | None:
        """The folded run; None where its events cannot all be believed."""
        return self._folded

    def give_up(self) -> None:
        """An event is damaged: what rests on it is not judged."""
        self._folded = None

    def take(self, events: Sequence[Recorded]) -> None:
        """The next events that can be believed."""
        for event in events:
            self._timeline.write(timeline_line(event))
            if event.record is not None:
                self._take(event, event.record)
        if self._contract is not None:
            for envelope in contract_of(self._run_id, events):
                self._contract_seq += 1
                self._contract.write(canonical({**envelope, "seq": self._contract_seq}) + b"\n")

    def _take(self, event: Recorded, record: Struct) -> None:
        if self._folded is not None:
            try:
                self._folded = RUN_FOLD.evolve(self._folded, record, event.place)
            except Corruption as fault:
                self._examination.damaged(fault, f"{event.envelope.stream}#{event.envelope.seq}")
                self._folded = None
        match record:
            case e.EffectIntended():
                self._intended[record.fact_key] = record.request_digest
            case e.FactRecorded():
                self._fact(event, record)
            case e.ChildRunSpawned():
                self.children[record.child_run_id] = Spawned(
                    record.child_manifest_id, record.parent_run_id, event.place
                )
            case e.ChildRunCompleted() if record.child_run_id in self.children:
                self.children[record.child_run_id].end = record

    def _fact(self, event: Recorded, record: e.FactRecorded) -> None:
        self.sealed_facts += record.kind == SEALED
        intended = self._intended.pop(record.key, None)
        if intended is not None and record.request_digest not in (None, intended):
            place = f"{event.envelope.stream}#{event.envelope.seq}"
            self._examination.found(PACK_FACT_WRONG.code, place, "the fact answers another request than was intended")

    def close(self) -> list[MemberEntry]:
        """End the members."""
        return [each.close() for each in (self._timeline, self._contract) if each is not None]
