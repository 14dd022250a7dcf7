"""The logical half of `interlock doctor`: is everything what it was when it was written, and does it agree?

What it does: walks every stream through its chain, the feed for density, every artifact for its digest, every id that
events name, command and fold rows against the events, and views against a rebuild. What it does not do: it mends
nothing, raises nothing for damage, and knows no database (the store's own `integrity` looks below the ports).

Rules: a finding names the exact place; one damage hides no other; cost is linear in the store, memory does not grow with
the length of a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import Struct

from interlock.base.bounds import PAGE_ITEMS_MAX
from interlock.base.errors import InterlockError
from interlock.base.ids import ArtifactId
from interlock.base.part import View
from interlock.journal.chain import ChainReader, Recorded
from interlock.journal.journal import FOLD_INDEX, PAGE_EVENTS, Fold, FoldSnapshot, Journal
from interlock.journal.ports import Head
from interlock.journal.runner import COMMAND_INDEX, CommandRow
from interlock.journal.views import touched

ARTIFACTS_PER_READ = 50


class Finding(Struct, frozen=True):
    """One damage: what kind of thing, exactly which, and what is wrong with it."""

    kind: str
    place: str
    message: str


class Report(Struct):
    """What was looked at, and what is damaged."""

    findings: list[Finding]
    counts: dict[str, int]

    def add(self, kind: str, place: str, message: str) -> None:
        """Note a damage."""
        self.findings.append(Finding(kind, place, message))


async def verify(
    journal: Journal,
    folds: Sequence[Fold[Any]] = (),
    views: Sequence[View] = (),
    progress: Callable[[str, int], None] = lambda _what, _done: None,
) -> Report:
    """Examine everything in the journal's store. `progress` is told what is looked at, and how many are done."""
    report = Report([], {"streams": 0, "events": 0, "artifacts": 0, "commands": 0})
    examination = _Examination(journal, {fold.name: fold for fold in folds}, report, progress)
    for partition in await journal.store.events.partitions():
        await examination.streams(partition)
        await examination.feed(partition)
        await examination.commands(partition)
        for view in views:
            await examination.view(partition, view)
    await examination.artifacts()
    return report


class _Examination:
    def __init__(
        self, journal: Journal, folds: dict[str, Fold[Any]], report: Report, progress: Callable[[str, int], None]
    ) -> None:
        self._journal = journal
        self._store = journal.store
        self._folds = folds
        self._report = report
        self._progress = progress

    async def streams(self, partition: str) -> None:
        after = ""
        while page := await self._store.events.streams(partition, after, PAGE_ITEMS_MAX):
            for stream, head in page:
                await self._stream(partition, stream, head)
                self._report.counts["streams"] += 1
                self._progress("streams", self._report.counts["streams"])
            after = page[-1][0]

    async def _stream(self, partition: str, stream: str, claimed: Head) -> None:
        """One stream through its chain, its named artifacts, and the fold snapshots that were taken of it."""
        reader = ChainReader(self._journal.catalogue, stream)
        snapshots = [s async for s in self._snapshots(partition, stream)]
        states = {fold.name: fold.initial(stream) for fold, _ in snapshots}
        while stored := await self._store.events.read(stream, reader.head.seq, PAGE_EVENTS):
            page: list[Recorded] = []
            try:
                for event in stored:
                    page.extend(reader.take([event]))
                    self._fold(stream, page[-1], snapshots, states)
            except InterlockError as fault:
                self._report.add("event", f"{stream}#{reader.head.seq + 1}", fault.message)
                return
            finally:
                self._report.counts["events"] += len(page)
                await self._named(stream, page)
            if len(stored) < PAGE_EVENTS:
                break
        if reader.head != claimed:
            message = f"it ends at {reader.head.seq}, but its head says {claimed.seq}"
            self._report.add("stream", stream, message)

    async def _snapshots(self, partition: str, stream: str) -> Any:
        for fold in self._folds.values():
            [row] = await self._store.index.get(partition, FOLD_INDEX, [f"{fold.name}:{stream}"])
            if row is None:
                continue
            try:
                snapshot = msgspec.json.decode(row, type=FoldSnapshot)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self._report.add("fold", f"{fold.name}:{stream}", "the fold snapshot cannot be read")
                continue
            if snapshot.version == fold.version:
                yield fold, snapshot

    def _fold(
        self,
        stream: str,
        event: Recorded,
        snapshots: Sequence[tuple[Fold[Any], FoldSnapshot]],
        states: dict[str, Any],
    ) -> None:
        """Fold along, and compare at the place of a snapshot: snapshot and full fold must agree."""
        for fold, snapshot in snapshots:
            if event.envelope.seq > snapshot.seq or event.record is None or fold.save is None:
                continue
            try:
                states[fold.name] = fold.evolve(states[fold.name], event.record, event.place)
            except InterlockError as fault:
                self._report.add("event", f"{stream}#{event.envelope.seq}", fault.message)
                continue
            if event.envelope.seq == snapshot.seq and fold.save(states[fold.name]) != bytes(snapshot.state):
                self._report.add("fold", f"{fold.name}:{stream}", "the fold snapshot differs from a full fold")

    async def _named(self, stream: str, page: Sequence[Recorded]) -> None:
        """Every artifact that events name must be there."""
        places: dict[str, int] = {}
        for event in page:
            for artifact in named_artifacts(event.record):
                places.setdefault(artifact, event.envelope.seq)
        for artifact, there in zip(places, await self._store.artifacts.exists(list(places)), strict=True):
            if not there:
                message = f"the artifact {artifact} that it names is missing"
                self._report.add("artifact", f"{stream}#{places[artifact]}", message)

    async def feed(self, partition: str) -> None:
        expected = 0
        while page := await self._store.events.feed(partition, expected, PAGE_EVENTS):
            for event in page:
                expected += 1
                if event.position != expected:
                    self._report.add("feed", f"{partition}@{expected}", f"the next position is {event.position}")
                    return
            self._progress("feed", expected)
        if expected != await self._store.events.position(partition):
            self._report.add("feed", f"{partition}@{expected}", "the feed ends before its position")

    async def commands(self, partition: str) -> None:
        after = ""
        while page := await self._store.index.scan(partition, COMMAND_INDEX, "", after, PAGE_ITEMS_MAX):
            for key, value in page:
                self._report.counts["commands"] += 1
                try:
                    row = msgspec.json.decode(value, type=CommandRow)
                    for stream, first, last in row.places:
                        await self._journal.records(stream, first, last, key)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    self._report.add("index", f"{COMMAND_INDEX}/{key}", "the row cannot be read")
                except InterlockError as fault:
                    self._report.add("index", f"{COMMAND_INDEX}/{key}", fault.message)
            after = page[-1][0]

    async def artifacts(self) -> None:
        after = ""
        while page := await self._store.artifacts.scan(after, ARTIFACTS_PER_READ):
            for artifact in page:
                try:
                    await self._store.artifacts.get([artifact])
                except InterlockError as fault:
                    self._report.add("artifact", artifact, fault.message)
                self._report.counts["artifacts"] += 1
            self._progress("artifacts", self._report.counts["artifacts"])
            after = page[-1]

    async def view(self, partition: str, view: View) -> None:
        """A view against a rebuild, up to the position that it has seen."""
        table = f"{view.name}@{view.version}"
        rows = await self._rebuilt(partition, view, await self._store.views.position(partition, table))
        keys = list(rows)
        for start in range(0, len(keys), PAGE_ITEMS_MAX):
            some = keys[start : start + PAGE_ITEMS_MAX]
            stored = await self._store.views.rows(partition, table, some)
            for key, document in zip(some, stored, strict=True):
                if document != (None if rows[key] is None else msgspec.json.encode(rows[key])):
                    self._report.add("view", f"{table}/{key}", "the row differs from a rebuild")
        count, before = 0, None
        while page := await self._store.views.query(partition, table, {}, before, PAGE_ITEMS_MAX):
            count += len(page)
            before = page[-1][:2]
        if count != sum(row is not None for row in rows.values()):
            self._report.add("view", table, f"it has {count} rows, a rebuild has {len(rows)}")

    async def _rebuilt(self, partition: str, view: View, until: int) -> dict[str, Any]:
        rows: dict[str, Any] = {}
        seen = 0
        while seen < until:
            page = await self._store.events.feed(partition, seen, min(PAGE_EVENTS, until - seen))
            if not page:
                break
            for event in page:
                try:
                    opened = touched(self._journal.catalogue, view, event)
                except InterlockError:
                    continue  # its stream's own examination names it
                if opened is not None:
                    key, place, record = opened
                    rows[key] = view.evolve(rows.get(key), place, record)
            seen = page[-1].position
        return rows


@lru_cache(maxsize=256)
def _artifact_members(record: type[Struct]) -> tuple[str, ...]:
    hints = get_type_hints(record, include_extras=True)
    return tuple(name for name, hint in hints.items() if hint == ArtifactId or ArtifactId in get_args(hint))


def named_artifacts(record: Struct | None) -> Iterator[str]:
    """The artifacts that an event's record names: its members whose type is `ArtifactId`."""
    if record is not None:
        for name in _artifact_members(type(record)):
            value = getattr(record, name)
            if value is not None:
                yield value
