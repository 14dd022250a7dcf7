"""Whether every fold snapshot is what the fold of its stream says there.

What it does: checks that a snapshot fits the event at its place, and folds the stream anew up to it to compare the
states. What it does not do: a snapshot of another fold version is never used, so it is not looked at.

Rule: a stream that cannot be read is named by `streams`; its snapshots are not judged, nor are those of a stream
with erased data, of which nobody can tell what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from interlock.base.canonical import digest
from interlock.base.errors import Corruption
from interlock.journal.chain import ChainReader, event_digest
from interlock.journal.journal import FOLD_INDEX, Fold, FoldSnapshot
from interlock.journal.verify.report import PAGE, Examination


async def check_folds(examination: Examination, partition: str, folds: Sequence[Fold[Any]]) -> None:
    """Examine every fold snapshot of a partition; those of `folds` are compared with full folds."""
    known = {fold.name: fold for fold in folds}
    after = ""
    while page := await examination.store.index.scan(partition, FOLD_INDEX, "", after, PAGE):
        for key, value in page:
            name, _, stream = key.partition(":")
            message = await _fault(examination, stream, value, known.get(name))
            if message is not None:
                examination.found("fold_snapshot_wrong", f"{partition}/{FOLD_INDEX}/{key}", message)
        examination.counts["fold_snapshots"] += len(page)
        examination.step("folds", len(page), of_events=False)
        after = page[-1][0]


async def _fault(examination: Examination, stream: str, row: bytes, fold: Fold[Any] | None) -> str | None:
    """What is wrong with a snapshot, if anything is."""
    try:
        snapshot = msgspec.json.decode(row, type=FoldSnapshot)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "it cannot be read"
    if digest(bytes(snapshot.state)) != snapshot.state_digest:
        return "its state differs from its digest"
    page = await examination.reading(stream, examination.store.events.read(stream, snapshot.seq - 1, 1))
    if page is None or (page and 0 < snapshot.seq < page[0].seq):
        return None  # that event is missing or cannot be read: `streams` names it
    if not page or snapshot.digest not in (page[0].digest, event_digest(page[0].envelope)):
        return f"it does not fit event {stream}#{snapshot.seq}"
    if fold is None or fold.save is None or fold.version != snapshot.version:
        return None
    state = await _folded(examination, fold, stream, snapshot.seq)
    if state is not None and msgspec.json.decode(state) != msgspec.json.decode(snapshot.state):
        return f"it is not the fold of the stream up to event {snapshot.seq}"
    return None


async def _folded(examination: Examination, fold: Fold[Any], stream: str, until: int) -> bytes | None:
    """The saved state of a stream folded from its start; None if that cannot be done any more."""
    reader = ChainReader(examination.catalogue, stream)
    state = fold.initial(stream)
    while (seq := reader.head.seq) < until:
        page = await examination.store.events.read(stream, seq, min(PAGE, until - seq))
        try:
            events = reader.take(page)
        except Corruption:
            return None
        for event in events:
            if event.record is None:
                return None
            try:
                state = fold.evolve(state, event.record, event.place)
            except Corruption as fault:
                examination.damaged(fault, f"{stream}#{event.envelope.seq}")
                return None
        if not page:
            return None
    return None if fold.save is None else fold.save(state)
