"""How durable stores take appends: those that are malformed are refused alone, the others are written together.

What it does: checks appends, has their large artifacts prepared, and gives each its outcome; and holds the figures of a
writer; and cuts what is much into groups. What it does not do: it writes nothing itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from interlock.base.errors import InterlockError
from interlock.journal.errors import QUEUE_FULL
from interlock.journal.ports import Append, Appended, Blob

Item = TypeVar("Item")
Outcome: TypeAlias = Appended | InterlockError
RETRY_AFTER_MS = 50


@dataclass(slots=True)
class WriterFigures:
    """Counts since the writer began."""

    commits: int = 0
    appends: int = 0
    events: int = 0
    conflicts: int = 0
    refused: int = 0


def queue_full(figures: WriterFigures, ops: int) -> InterlockError:
    """The refusal of `ops` that find no room in a writer's queue, counted."""
    figures.refused += ops
    return QUEUE_FULL.error("too many appends wait for the writer", retry_after_ms=RETRY_AFTER_MS)


async def append_each(
    appends: Sequence[Append],
    check: Callable[[Append], object],
    prepare: Callable[[Sequence[Sequence[Blob]]], Awaitable[list[InterlockError | None]]],
    write: Callable[[Sequence[Append], int], Awaitable[list[Outcome]]],
) -> list[Outcome]:
    """The outcome of each append: the error that `check` raised or `prepare` gave for it, or what `write` says.

    `prepare` is given the artifacts of all appends that have some, `write` about how many bytes it writes. Raises:
    whatever is no fault of one append.
    """
    refusals: dict[int, InterlockError] = {}
    with_blobs: list[int] = []
    for place, append in enumerate(appends):
        try:
            check(append)
            if append.blobs:
                with_blobs.append(place)
        except InterlockError as refusal:
            refusals[place] = refusal
    if with_blobs:
        prepared = await prepare([appends[place].blobs for place in with_blobs])
        refusals |= {place: fault for place, fault in zip(with_blobs, prepared, strict=True) if fault is not None}
    if not refusals:
        return await write(appends, sum(map(bytes_of, appends)))
    good = [append for place, append in enumerate(appends) if place not in refusals]
    written = iter(await write(good, sum(map(bytes_of, good))))
    return [refusals[place] if place in refusals else next(written) for place in range(len(appends))]


def bytes_of(append: Append) -> int:
    """About how many bytes an append writes."""
    size = 0
    for blob in append.blobs:
        size += len(blob.content)
    for each in append.streams:
        for event in each.events:
            size += len(event.envelope) + len(event.data or b"")
    return size


def groups(items: Iterable[Item], size: Callable[[Item], int], bytes_max: int) -> Iterator[list[Item]]:
    """The items in their order, in groups of at most `bytes_max`; one that is larger alone is a group."""
    group: list[Item] = []
    total = 0
    for item in items:
        bytes_of_item = size(item)
        if group and total + bytes_of_item > bytes_max:
            yield group
            group, total = [], 0
        group.append(item)
        total += bytes_of_item
    if group:
        yield group
