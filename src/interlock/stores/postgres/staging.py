"""What a batch of appends would write, worked out before anything is sent.

What it does: checks every append against the heads as the appends before it leave them, and collects what those that
fit write. What it does not do: it asks no server; `Known` holds what was read or is taken for granted, and the server
checks that under its locks.

Rules: an append that does not fit leaves no trace and stops no other; what was taken for granted and not read is only
that a stream that is expected to be empty is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeAlias

from interlock.base.errors import InterlockError
from interlock.base.events import ClearTimer, Hold, IndexRow, Rest, SetTimer, Wake
from interlock.journal.errors import ARTIFACT_CORRUPT, HEAD_MOVED, INDEX_KEY_TAKEN, PARTITION_MIXED, STORE_CORRUPT
from interlock.journal.ports import Append, Appended, Blob, StreamAppend
from interlock.stores.activation import Activation, changed, streams_of
from interlock.stores.appending import Outcome

IndexPlace: TypeAlias = tuple[int, str, str]
PARTITION_SHIFT = 40
PARTITION_LOST = ""
"""The partition of a stream that stands in none: its row is gone, and the stream must not seem to be another's."""
_stream_of = attrgetter("stream")


@dataclass(slots=True)
class KnownStream:
    """A stream's number, partition key and head as they stand before the batch; `new` if it is not there."""

    no: int
    partition: str
    seq: int
    digest: str
    new: bool = False


@dataclass(slots=True)
class KnownActivation:
    """An activation and the version of its row; `read` is False where any may stand."""

    activation: Activation | None = None
    version: int | None = None
    read: bool = True


@dataclass(slots=True)
class Known:
    """What is known of the store before a batch."""

    streams: dict[str, KnownStream]
    partitions: dict[str, int]
    activations: dict[str, KnownActivation] = field(default_factory=dict)
    taken: set[IndexPlace] = field(default_factory=set)
    stored_bytes: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Changes:
    """What the accepted appends of a batch write."""

    before: dict[str, KnownStream] = field(default_factory=dict)
    after: dict[str, StreamAppend] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    events: dict[str, list[StreamAppend]] = field(default_factory=dict)
    index: dict[IndexPlace, bytes | None] = field(default_factory=dict)
    fresh: set[IndexPlace] = field(default_factory=set)
    activations: dict[str, Activation | None] = field(default_factory=dict)
    timers: dict[tuple[int, str], SetTimer | None] = field(default_factory=dict)
    blobs: dict[str, Blob] = field(default_factory=dict)

    @property
    def has_rows(self) -> bool:
        """Whether anything but events is written."""
        return bool(self.index or self.activations or self.timers or self.blobs)

    @property
    def is_empty(self) -> bool:
        """Whether no append was accepted."""
        return not (self.after or self.blobs)


def stage(appends: Sequence[Append], known: Known) -> tuple[list[Outcome], Changes]:
    """The outcome of each append, with positions counted from the begin of the batch, and what they write."""
    changes = Changes()
    return [_accept(append, known, changes) for append in appends], changes


def _accept(append: Append, known: Known, changes: Changes) -> Outcome:
    if not append.streams:
        return _accept_blobs(append, known, changes)
    partition = append.streams[0].partition
    for each in append.streams:
        refusal = _misfit(each, known.streams[each.stream], changes)
        if refusal is not None:
            return refusal
    if append.blobs or append.rows:
        try:
            _check_blobs(append.blobs, known)
            _stage_rows(append, partition, known, changes)
        except InterlockError as refusal:
            return refusal
        changes.blobs.update((blob.id, blob) for blob in append.blobs)
    position = changes.counts.get(partition, 0)
    staged = changes.events.setdefault(partition, [])
    for each in sorted(append.streams, key=_stream_of):
        changes.before.setdefault(each.stream, known.streams[each.stream])
        changes.after[each.stream] = each
        staged.append(each)
        position += len(each.events)
    changes.counts[partition] = position
    return Appended(partition, position)


def _accept_blobs(append: Append, known: Known, changes: Changes) -> Outcome:
    """An append of nothing but artifacts has no partition."""
    try:
        _check_blobs(append.blobs, known)
    except InterlockError as refusal:
        return refusal
    changes.blobs.update((blob.id, blob) for blob in append.blobs)
    return Appended("", 0)


def _misfit(each: StreamAppend, stands: KnownStream, changes: Changes) -> InterlockError | None:
    """Why an addition does not fit the head of its stream as the batch leaves it so far."""
    before = changes.after.get(each.stream)
    new = stands.new and before is None
    partition = before.partition if before is not None else stands.partition
    if not new and partition != each.partition:
        if partition == PARTITION_LOST:
            return STORE_CORRUPT.error(f"the partition of {each.stream} is lost", stream=each.stream)
        return PARTITION_MIXED.error(f"stream {each.stream} is of another partition", stream=each.stream)
    head = (before.head.seq, before.head.digest) if before is not None else (stands.seq, stands.digest)
    if head != (each.expected.seq, each.expected.digest):
        return HEAD_MOVED.error(f"the head of {each.stream} is not the expected one", stream=each.stream)
    return None


def _check_blobs(blobs: Sequence[Blob], known: Known) -> None:
    for blob in blobs:
        if known.stored_bytes.get(blob.id, len(blob.content)) != len(blob.content):
            raise ARTIFACT_CORRUPT.error("a stored artifact has another size than its bytes", artifact=blob.id)


def _stage_rows(append: Append, partition: str, known: Known, changes: Changes) -> None:
    """Stage index, activation and timer rows, all or none. Raises: `index_key_taken`, `claim_lost`."""
    no = known.partitions[partition]
    index: dict[IndexPlace, bytes | None] = {}
    fresh: set[IndexPlace] = set()
    timers: dict[tuple[int, str], SetTimer | None] = {}
    for row in append.rows:
        match row:
            case IndexRow():
                place = (no, row.index, row.key)
                if row.fresh and _stands(place, index, known, changes):
                    raise INDEX_KEY_TAKEN.error(f"a key of the index {row.index} is taken", index=row.index)
                if row.fresh and place not in changes.index and place not in index:
                    fresh.add(place)
                index[place] = row.value
            case SetTimer():
                timers[no, row.timer_id] = row
            case ClearTimer():
                timers[no, row.timer_id] = None
            case Wake() | Hold() | Rest():
                pass
    activations = changed(partition, append.rows, _activations(append, known, changes))
    changes.index.update(index)
    changes.fresh |= fresh
    changes.timers.update(timers)
    changes.activations.update(activations)


def _activations(append: Append, known: Known, changes: Changes) -> dict[str, Activation | None]:
    """The activations that the rows of an append change, as the batch leaves them so far."""
    stands: dict[str, Activation | None] = {}
    for stream in streams_of(append.rows):
        if stream in changes.activations:
            stands[stream] = changes.activations[stream]
        elif stream in known.activations:
            stands[stream] = known.activations[stream].activation
    return stands


def _stands(place: IndexPlace, staged: dict[IndexPlace, bytes | None], known: Known, changes: Changes) -> bool:
    """Whether a key of the index holds a value, as this append and those before it leave it."""
    for rows in (staged, changes.index):
        if place in rows:
            return rows[place] is not None
    return place in known.taken
