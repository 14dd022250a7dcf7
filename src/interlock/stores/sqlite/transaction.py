"""One durable transaction over a batch of appends and other writes.

What it does: checks every append of a batch against the heads as the appends before it leave them, and writes
all that fit with few statements of many rows. What it does not do: it knows no thread, no queue and no
future.

Rules: heads, fresh keys and claims are checked before anything is inserted; an append that does not fit
leaves no trace and stops no other; artifacts go in before the events that name them; either the commit
returns and everything is durable, or the transaction is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, TypeAlias

import apsw

from interlock.base.errors import InterlockError
from interlock.base.events import ClearTimer, IndexRow, SetTimer
from interlock.journal.errors import ARTIFACT_CORRUPT, HEAD_MOVED, INDEX_KEY_TAKEN, PARTITION_MIXED, STORE_CORRUPT
from interlock.journal.ports import Append, Appended, Blob
from interlock.stores.activation import Activation, changed, streams_of
from interlock.stores.appending import Outcome
from interlock.stores.sqlite.heads import PARTITION_LOST, PARTITION_SHIFT, Heads, KnownStream
from interlock.stores.sqlite.rows import Missing, RowShape
from interlock.stores.sqlite.statements import ManyRows, statements

Task: TypeAlias = Callable[[apsw.Connection], object]
Faults: TypeAlias = Callable[[str], None]
IndexPlace: TypeAlias = tuple[int, str, str]
TimerPlace: TypeAlias = tuple[int, str]

_EVENTS, _ROWS = statements("events"), statements("index")
_ARTIFACTS, _ACTIVATIONS = statements("artifacts"), statements("activations")
_TIMERS = statements("timers")
_PUT_STREAMS, _PUT_EVENTS = ManyRows(_EVENTS["streams_put"]), ManyRows(_EVENTS["events_put"])
_PUT_INDEX, _DROP_INDEX = ManyRows(_ROWS["index_put"]), ManyRows(_ROWS["index_drop"])
_TAKEN = ManyRows(_ROWS["index_taken"])
_KNOWN_ARTIFACTS = ManyRows(_ARTIFACTS["artifacts_known"])
_PUT_ARTIFACTS = ManyRows(_ARTIFACTS["artifacts_put"])
_FIND_ACTIVATIONS = ManyRows(_ACTIVATIONS["activations_find"])
_PUT_ACTIVATIONS = ManyRows(_ACTIVATIONS["activations_put"])
_DROP_ACTIVATIONS = ManyRows(_ACTIVATIONS["activations_drop"])
_PUT_TIMERS, _DROP_TIMERS = ManyRows(_TIMERS["timers_put"]), ManyRows(_TIMERS["timers_drop"])

_TIMER_ROWS = (SetTimer, ClearTimer)

KNOWN_ARTIFACT = RowShape("artifact", str, int, int)
ACTIVATION = RowShape("activation", str, str, str, (int, Missing), int, (str, Missing), (int, Missing))
_TAKEN_KEY = RowShape("index_row", str, str)
_stream_of = attrgetter("stream")


class Changes:
    """What the accepted appends of one batch write, and what the database held of it before."""

    def __init__(self) -> None:
        self.streams: dict[str, KnownStream] = {}
        self.events: list[Any] = []
        self.index: dict[IndexPlace, bytes | None] = {}
        self.taken: set[IndexPlace] = set()
        self.blobs: dict[str, Blob] = {}
        self.stored_bytes: dict[str, int] = {}
        self.activations: dict[str, Activation | None] = {}
        self.activations_changed: set[str] = set()
        self.timers: dict[TimerPlace, SetTimer | None] = {}


class Transactions:
    """Runs batches on the writer's connection, one at a time, on whichever thread."""

    def __init__(
        self,
        connection: apsw.Connection,
        heads_max: int,
        inline_bytes_max: int,
        faults: Faults | None,
        check_place: Callable[[], None],
    ) -> None:
        self.connection = connection
        self._check_place = check_place
        self._execute = connection.execute
        self._heads = Heads(connection, heads_max)
        self._inline_bytes_max = inline_bytes_max
        self._faults = faults

    def run(self, appends: Sequence[Append], tasks: Sequence[Task]) -> tuple[list[Outcome], list[object]]:
        """Commit what fits of `appends`, then what `tasks` write; return their outcomes and results.

        Raises `apsw.Error`, `store_moved`, and whatever a task or a fault point raises; what was written is then
        rolled back as far as SQLite still can.
        """
        if self._faults is not None:
            self._faults("append:before")
        self._execute("BEGIN IMMEDIATE")
        try:
            self._heads.begin()
            changes = Changes()
            self._load(appends, changes)
            outcomes = [self._accept(append, changes) for append in appends]
            self._write(changes)
            results = [task(self.connection) for task in tasks]
            if self._faults is not None:
                self._faults("append:before_commit")
            if tasks or changes.activations_changed:
                # Owners begin, renew and end here: none may do so in a file that nobody finds any more.
                self._check_place()
            self._execute("COMMIT")
        except BaseException:
            self._heads.forget()
            self._roll_back()
            raise
        self._heads.committed()
        if self._faults is not None:
            self._faults("append:after_commit")
        return outcomes, results

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self._execute("ROLLBACK")

    def _load(self, appends: Sequence[Append], changes: Changes) -> None:
        """Read what the appends are checked against, each kind in one statement."""
        self._heads.load([each.stream for append in appends for each in append.streams])
        if any(append.blobs for append in appends):
            ids = {blob.id for append in appends for blob in append.blobs}
            known = KNOWN_ARTIFACT.checked(_KNOWN_ARTIFACTS.select(self._execute, list(ids)))
            changes.stored_bytes = {row[0]: row[1] for row in known}
        if any(append.rows for append in appends):
            self._load_fresh(appends, changes)
            streams = list(dict.fromkeys(chain.from_iterable(streams_of(append.rows) for append in appends)))
            if streams:
                found = ACTIVATION.checked(_FIND_ACTIVATIONS.select(self._execute, streams))
                changes.activations = {values[0]: Activation(*values) for values in found}

    def _load_fresh(self, appends: Sequence[Append], changes: Changes) -> None:
        fresh: dict[int, list[str]] = {}
        for append in appends:
            rows = [row for row in append.rows if isinstance(row, IndexRow) and row.fresh]
            keys = [value for row in rows for value in (row.index, row.key)]
            if keys:
                fresh.setdefault(self._heads.partition(append.streams[0].partition).no, []).extend(keys)
        for no, keys in fresh.items():
            found = _TAKEN_KEY.checked(_TAKEN.select(self._execute, keys, first=(no,), width=2))
            changes.taken.update((no, index, key) for index, key in found)

    def _accept(self, append: Append, changes: Changes) -> Outcome:
        """Stage an append, or say why not; a refusal leaves `changes` and the heads as they were.

        An append of nothing but artifacts has no partition.
        """
        partition = append.streams[0].partition if append.streams else ""
        for each in append.streams:
            known = self._heads.streams[each.stream]
            if known.no and known.partition != partition:
                return _of_another_partition(known, each.stream)
            if known.seq != each.expected.seq or known.digest != each.expected.digest:
                return HEAD_MOVED.error(f"the head of {each.stream} is not the expected one", stream=each.stream)
        if append.blobs or append.rows:
            try:
                self._check_blobs(append.blobs, changes)
                self._stage_rows(append, partition, changes)
            except InterlockError as refusal:
                return refusal
            changes.blobs.update((blob.id, blob) for blob in append.blobs if blob.id not in changes.stored_bytes)
        return Appended(partition, self._stage_events(append, changes) if append.streams else 0)

    @staticmethod
    def _check_blobs(blobs: Sequence[Blob], changes: Changes) -> None:
        """What is stored under an id must have the size of what is meant by it."""
        for blob in blobs:
            if changes.stored_bytes.get(blob.id, len(blob.content)) != len(blob.content):
                raise ARTIFACT_CORRUPT.error("a stored artifact has another size than its bytes", artifact=blob.id)

    def _stage_rows(self, append: Append, partition: str, changes: Changes) -> None:
        """Stage index, activation and timer rows, all or none. Raises: `index_key_taken`, `claim_lost`."""
        index: dict[IndexPlace, bytes | None] = {}
        timers: list[SetTimer | ClearTimer] = []
        for row in append.rows:
            if not isinstance(row, IndexRow):
                if isinstance(row, _TIMER_ROWS):
                    timers.append(row)
                continue
            place = (self._heads.partition(partition).no, row.index, row.key)
            if row.fresh and _stands(place, index, changes):
                raise INDEX_KEY_TAKEN.error(f"a key of the index {row.index} is taken", index=row.index)
            index[place] = row.value
        activations = changed(partition, append.rows, changes.activations)
        changes.index.update(index)
        changes.activations.update(activations)
        changes.activations_changed.update(activations)
        for timer in timers:
            timer_place = self._heads.partition(partition).no, timer.timer_id
            changes.timers[timer_place] = timer if isinstance(timer, SetTimer) else None

    def _stage_events(self, append: Append, changes: Changes) -> int:
        """Move the heads, stage the events in the order of stream ids; return the position of the last."""
        partition = self._heads.partition(append.streams[0].partition)
        base, position = partition.no << PARTITION_SHIFT, partition.position
        values = changes.events
        for each in sorted(append.streams, key=_stream_of):
            known = self._heads.streams[each.stream]
            if not known.no:
                known.no, known.partition = self._heads.new_stream_no(), each.partition
            known.seq, known.digest = each.head.seq, each.head.digest
            changes.streams[each.stream] = known
            no = known.no
            for event in each.events:
                position += 1
                digest = bytes.fromhex(event.digest)
                values += (base + position, no, event.seq, digest, event.envelope, event.data, event.salt)
        partition.position = position
        return position

    def _write(self, changes: Changes) -> None:
        execute = self._execute
        if changes.blobs:
            self._write_blobs(changes.blobs.values())
        if changes.streams:
            _PUT_STREAMS.run(execute, self._stream_values(changes.streams), 5)
            _PUT_EVENTS.run(execute, changes.events, 7)
        if changes.index:
            self._write_index(changes.index)
        if changes.activations_changed:
            self._write_activations(changes)
        if changes.timers:
            self._write_timers(changes.timers)

    def _stream_values(self, streams: dict[str, KnownStream]) -> list[Any]:
        values: list[Any] = []
        for stream, known in streams.items():
            partition = self._heads.partition(known.partition)
            if not partition.exists:
                self._execute(_EVENTS["partition_put"], (partition.no, known.partition))
                partition.exists = True
            values += (known.no, stream, partition.no, known.seq, bytes.fromhex(known.digest))
        return values

    def _write_blobs(self, blobs: Iterable[Blob]) -> None:
        values: list[Any] = []
        for blob in blobs:
            size = len(blob.content)
            content = blob.content if size <= self._inline_bytes_max else None
            values += (blob.id, blob.kind, size, content)
        _PUT_ARTIFACTS.run(self._execute, values, 4)

    def _write_index(self, index: dict[IndexPlace, bytes | None]) -> None:
        puts: list[Any] = []
        drops: list[Any] = []
        for place, value in index.items():
            if value is None:
                drops += place
            else:
                puts += (*place, value)
        if puts:
            _PUT_INDEX.run(self._execute, puts, 4)
        if drops:
            _DROP_INDEX.run(self._execute, drops, 3)

    def _write_activations(self, changes: Changes) -> None:
        after = {stream: changes.activations[stream] for stream in changes.activations_changed}
        gone = [stream for stream, activation in after.items() if activation is None]
        kept = [value for each in after.values() if each is not None for value in each.values()]
        if kept:
            _PUT_ACTIVATIONS.run(self._execute, kept, 7)
        if gone:
            _DROP_ACTIVATIONS.run(self._execute, gone, 1)

    def _write_timers(self, timers: dict[TimerPlace, SetTimer | None]) -> None:
        puts: list[Any] = []
        drops: list[Any] = []
        for place, timer in timers.items():
            if timer is None:
                drops += place
            else:
                puts += (*place, timer.stream, timer.due_ms, timer.payload)
        if puts:
            _PUT_TIMERS.run(self._execute, puts, 5)
        if drops:
            _DROP_TIMERS.run(self._execute, drops, 2)


def _of_another_partition(known: KnownStream, stream: str) -> InterlockError:
    if known.partition == PARTITION_LOST:
        return STORE_CORRUPT.error(f"the partition of {stream} is lost", stream=stream)
    return PARTITION_MIXED.error(f"stream {stream} is of another partition", stream=stream)


def _stands(place: IndexPlace, staged: dict[IndexPlace, bytes | None], changes: Changes) -> bool:
    """Whether a key of the index holds a value, as this append and those before it leave it."""
    for rows in (staged, changes.index):
        if place in rows:
            return rows[place] is not None
    return place in changes.taken
