"""P14: random work on a store, stale and malformed appends among it, against a model made of dictionaries."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from interlock.base.errors import InterlockError
from interlock.base.events import IndexRow
from interlock.journal.ports import EMPTY, Append, Blob, Head, Store, StoredEvent, StreamAppend, ViewRow
from interlock.stores.memory import MemoryStore
from interlock.stores.postgres import open_postgres
from interlock.stores.sqlite import open_sqlite
from interlock.testing.contracts.harness import blob, onto, refusal, stream
from interlock.testing.loop import run
from tests.postgres import EXAMPLES_ON_A_SERVER, fresh_schema

Result = TypeVar("Result")

STREAMS = (stream("a"), stream("b"), stream("c"), stream("a", "other"))
PARTITIONS = ("default", "other", "nowhere")
KEYS = ("", "k", "kk", "kä", "%", "k\U0001f512", "l")
INDEXES = ("closed", "open")
VIEWS = ("runs@1", "runs@2")
CONTENTS = (b"", b"\0", b"text", b"\xff\xfe", b"x" * 100_000)
TWISTS = ("older", "later", "another", "gap", "empty", "wrong_head", "moved", "twice")

contents = st.integers(0, len(CONTENTS) - 1).map(CONTENTS.__getitem__)
data_bytes = st.binary(max_size=20) | contents
index_rows = st.builds(
    IndexRow,
    index=st.sampled_from(INDEXES),
    key=st.sampled_from(KEYS[1:]),
    value=st.none() | st.binary(max_size=5),
    fresh=st.integers(0, 3).map(lambda number: number == 0),
)
blobs = contents.map(blob) | st.just(Blob(blob(b"other").id, "file", b"wrong"))
view_rows = st.builds(
    ViewRow,
    key=st.sampled_from(KEYS[1:]),
    order=st.integers(-2, 2),
    terms=st.dictionaries(st.sampled_from(["phase", "plan"]), st.sampled_from(["a", "b"])),
    document=st.none() | st.binary(max_size=5),
)
additions = st.tuples(
    st.sampled_from(STREAMS),
    st.lists(data_bytes, min_size=1, max_size=3),
    st.none() | st.none() | st.none() | st.sampled_from(TWISTS),
)
drafts = st.tuples(
    st.lists(additions, min_size=1, max_size=3, unique_by=lambda addition: addition[0]),
    st.lists(index_rows, max_size=3),
    st.lists(blobs, max_size=2),
)
Draft = tuple[list[tuple[str, list[bytes], str | None]], list[IndexRow], list[Blob]]
places = st.integers(0, 12)
offsets = st.sampled_from([0, 0, 0, 1])
limits = st.integers(0, 5)


class Model:
    """What a store should hold, in the plainest form."""

    def __init__(self) -> None:
        self.feeds: dict[str, list[StoredEvent]] = {}
        self.index: dict[tuple[str, str, str], bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.views: dict[str, tuple[int, dict[str, ViewRow]]] = {}

    def events(self, stream_id: str) -> list[StoredEvent]:
        return [each for feed in self.feeds.values() for each in feed if each.stream == stream_id]

    def partition_of(self, stream_id: str) -> str | None:
        found = (name for name, feed in self.feeds.items() for each in feed if each.stream == stream_id)
        return next(found, None)

    def heads(self, stream_id: str) -> list[Head]:
        return [EMPTY, *(Head(each.seq, each.digest) for each in self.events(stream_id))]

    def faults(self, append: Append) -> set[str]:
        """The codes by which an append may be refused; none: it must be taken."""
        partition = append.streams[0].partition
        faults = set()
        if len({each.stream for each in append.streams}) < len(append.streams):
            faults.add("append_malformed")
        if {each.partition for each in append.streams} != {partition}:
            faults.add("partition_mixed")
        for each in append.streams:
            seqs = [event.seq for event in each.events]
            first, last = each.expected.seq + 1, each.expected.seq + len(seqs)
            if not seqs or seqs != list(range(first, last + 1)) or each.head.seq != last:
                faults.add("append_malformed")
            if self.partition_of(each.stream) not in (None, each.partition):
                faults.add("partition_mixed")
            if each.expected != self.heads(each.stream)[-1]:
                faults.add("head_moved")
        if any(blob(each.content).id != each.id for each in append.blobs):
            faults.add("artifact_id_mismatch")
        if self._written(partition, append.rows) is None:
            faults.add("index_key_taken")
        return faults

    def _written(self, partition: str, rows: Sequence[object]) -> dict[tuple[str, str, str], bytes] | None:
        index = dict(self.index)
        for row in rows:
            assert isinstance(row, IndexRow)
            place = (partition, row.index, row.key)
            if row.fresh and place in index:
                return None
            index.pop(place, None)
            if row.value is not None:
                index[place] = row.value
        return index

    def append(self, append: Append) -> tuple[str, int]:
        """Take an append without faults; its partition and position."""
        partition = append.streams[0].partition
        feed = self.feeds.setdefault(partition, [])
        for each in sorted(append.streams, key=lambda each: each.stream):
            for event in each.events:
                feed.append(replace(event, position=len(feed) + 1))
        self.blobs |= {each.id: each.content for each in append.blobs}
        self.index = self._written(partition, append.rows) or {}
        return partition, len(feed)


class StoreMachine(RuleBasedStateMachine):
    """Works on a store of a backend and on the model, and compares."""

    def fresh(self) -> Coroutine[Any, Any, Store]:
        raise NotImplementedError

    def again(self) -> Coroutine[Any, Any, Store]:
        raise NotImplementedError

    def drive(self, work: Coroutine[Any, Any, Result]) -> Result:
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        self.model = Model()
        self.store = self.drive(self.fresh())

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.drive(self.store.close())

    # Appending

    def drafted(self, draft: Draft) -> Append:
        streams = [self.addition(*each) for each in draft[0]]
        if any(twist == "twice" for _, _, twist in draft[0]):
            streams.append(streams[0])
        return Append(streams, draft[1], draft[2])

    def addition(self, stream_id: str, data: list[bytes], twist: str | None) -> StreamAppend:
        heads = self.model.heads(stream_id)
        expected = {
            "older": heads[max(len(heads) - 2, 0)],
            "later": Head(heads[-1].seq + 1, "e" * 64),
            "another": Head(heads[-1].seq, "f" * 64) if len(heads) > 1 else EMPTY,
        }.get(twist or "", heads[-1])
        good = onto(expected, stream_id, *data)
        match twist:
            case "gap":
                return replace(good, events=[good.events[0], *good.events[2:], good.events[-1]])
            case "empty":
                return replace(good, events=[])
            case "wrong_head":
                return replace(good, head=Head(good.head.seq + 1, good.head.digest))
            case "moved":
                return replace(good, partition="other" if good.partition == "default" else "default")
        return good

    @rule(some=st.lists(drafts, min_size=1, max_size=3))
    def append(self, some: list[Draft]) -> None:
        appends, expected = [], []
        for draft in some:
            append = self.drafted(draft)
            faults = self.model.faults(append)
            appends.append(append)
            expected.append(faults or self.model.append(append))
        outcomes = self.drive(self.store.events.append(appends))
        for outcome, answer in zip(outcomes, expected, strict=True):
            if isinstance(outcome, InterlockError):
                assert outcome.code in answer
            else:
                assert (outcome.partition, outcome.position) == answer

    # Reading

    @invariant()
    def heads_agree(self) -> None:
        if hasattr(self, "store"):
            heads = self.drive(self.store.events.heads(STREAMS))
            assert heads == [self.model.heads(each)[-1] for each in STREAMS]

    @rule(stream_id=st.sampled_from(STREAMS), after=places, limit=limits)
    def read(self, stream_id: str, after: int, limit: int) -> None:
        found = self.drive(self.store.events.read(stream_id, after, limit))
        assert found == self.model.events(stream_id)[after : after + limit]

    @rule(partition=st.sampled_from(PARTITIONS), after=places, limit=limits)
    def feed(self, partition: str, after: int, limit: int) -> None:
        events = self.model.feeds.get(partition, [])
        assert self.drive(self.store.events.feed(partition, after, limit)) == events[after : after + limit]
        assert self.drive(self.store.events.position(partition)) == len(events)

    @rule(partition=st.sampled_from(PARTITIONS), after=st.sampled_from(["", *STREAMS]), limit=limits)
    def streams(self, partition: str, after: str, limit: int) -> None:
        heads = {each.stream: Head(each.seq, each.digest) for each in self.model.feeds.get(partition, [])}
        expected = [(name, heads[name]) for name in sorted(heads) if name > after][:limit]
        assert self.drive(self.store.events.streams(partition, after, limit)) == expected
        assert self.drive(self.store.events.partitions()) == sorted(self.model.feeds)

    @rule()
    def reopen(self) -> None:
        self.drive(self.store.close())
        self.store = self.drive(self.again())

    # Artifacts

    @rule(some=st.lists(blobs, max_size=3))
    def put(self, some: list[Blob]) -> None:
        if all(blob(each.content).id == each.id for each in some):
            assert self.drive(self.store.artifacts.put(some)) == [each.id for each in some]
            self.model.blobs |= {each.id: each.content for each in some}
        else:
            assert self.drive(refusal(self.store.artifacts.put(some))).code == "artifact_id_mismatch"

    @rule(some=st.lists(contents, max_size=4))
    def get(self, some: list[bytes]) -> None:
        ids = [blob(each).id for each in some]
        if all(each in self.model.blobs for each in ids):
            assert self.drive(self.store.artifacts.get(ids)) == some
        else:
            assert self.drive(refusal(self.store.artifacts.get(ids))).code == "artifact_not_found"

    @invariant()
    def artifacts_agree(self) -> None:
        if hasattr(self, "store"):
            ids = self.drive(self.store.artifacts.scan("", 100))
            assert ids == sorted(set(ids))
            assert set(self.model.blobs) <= set(ids)
            # An append that was refused may have left its artifacts behind.
            self.model.blobs |= {blob(each).id: each for each in CONTENTS if blob(each).id in ids}
            assert len(self.model.blobs) == len(ids)
            assert all(self.drive(self.store.artifacts.exists(ids)))

    # Index

    @rule(partition=st.sampled_from(PARTITIONS), index=st.sampled_from(INDEXES))
    def get_rows(self, partition: str, index: str) -> None:
        found = self.drive(self.store.index.get(partition, index, KEYS))
        assert found == [self.model.index.get((partition, index, key)) for key in KEYS]

    @rule(
        partition=st.sampled_from(PARTITIONS),
        index=st.sampled_from(INDEXES),
        prefix=st.sampled_from(KEYS),
        after=st.sampled_from(KEYS),
        limit=limits,
    )
    def scan(self, partition: str, index: str, prefix: str, after: str, limit: int) -> None:
        rows = [(key, self.model.index.get((partition, index, key))) for key in sorted(KEYS)]
        expected = [row for row in rows if row[1] is not None and row[0].startswith(prefix) and row[0] > after]
        found = self.drive(self.store.index.scan(partition, index, prefix, after, limit))
        assert found == expected[:limit]
        names = {name for where, name, _ in self.model.index if where == partition}
        assert self.drive(self.store.index.names(partition)) == sorted(names)

    # Views

    @rule(view=st.sampled_from(VIEWS), rows=st.lists(view_rows, max_size=4), off=offsets)
    def apply(self, view: str, rows: list[ViewRow], off: int) -> None:
        position, table = self.model.views.get(view, (0, {}))
        applied = self.drive(self.store.views.apply("default", view, rows, position + off, position + 2))
        assert applied == (off == 0)
        if applied:
            table = {**table, **{row.key: row for row in rows}}
            kept = {key: row for key, row in table.items() if row.document is not None}
            self.model.views[view] = position + 2, kept

    @rule(
        view=st.sampled_from(VIEWS),
        terms=st.dictionaries(st.sampled_from(["phase", "plan"]), st.sampled_from(["a", "b"])),
        before=st.none() | st.tuples(st.integers(-2, 2), st.sampled_from(KEYS)),
        limit=limits,
    )
    def query(self, view: str, terms: dict[str, str], before: tuple[int, str] | None, limit: int) -> None:
        position, table = self.model.views.get(view, (0, {}))
        rows = [row for row in table.values() if terms.items() <= row.terms.items()]
        found = sorted(((row.order, row.key, row.document) for row in rows), reverse=True)
        expected = [row for row in found if before is None or row[:2] < before][:limit]
        assert self.drive(self.store.views.query("default", view, terms, before, limit)) == expected
        assert self.drive(self.store.views.position("default", view)) == position
        documents = self.drive(self.store.views.rows("default", view, KEYS))
        assert documents == [table[key].document if key in table else None for key in KEYS]

    @rule(view=st.sampled_from(VIEWS))
    def drop(self, view: str) -> None:
        self.drive(self.store.views.drop("default", view))
        self.model.views.pop(view, None)


class MemoryMachine(StoreMachine):
    async def fresh(self) -> Store:
        return MemoryStore()

    async def again(self) -> Store:
        assert isinstance(self.store, MemoryStore)
        return self.store.reopen()

    def drive(self, work: Coroutine[Any, Any, Result]) -> Result:
        return run(work)


class SqliteMachine(StoreMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()

    async def fresh(self) -> Store:
        return await open_sqlite(Path(self.folder.name, "store"))

    again = fresh

    def drive(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    def teardown(self) -> None:
        super().teardown()
        self.runner.close()
        self.folder.cleanup()


class PostgresMachine(StoreMachine):
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.schema = fresh_schema(self.url)
        self.runner = asyncio.Runner()

    async def fresh(self) -> Store:
        return await open_postgres(self.schema)

    again = fresh

    def drive(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    def teardown(self) -> None:
        super().teardown()
        self.runner.close()


def test_the_store_in_memory_agrees_with_the_model() -> None:
    """P14."""
    run_state_machine_as_test(MemoryMachine)


def test_the_store_in_a_file_agrees_with_the_model() -> None:
    """P14."""
    run_state_machine_as_test(SqliteMachine)


def test_the_store_in_a_database_agrees_with_the_model(postgres_url: str) -> None:
    """P14."""
    PostgresMachine.url = postgres_url
    run_state_machine_as_test(PostgresMachine, settings=settings(max_examples=EXAMPLES_ON_A_SERVER))
