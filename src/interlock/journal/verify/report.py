"""What an examination finds, and what its checks share.

What it does: collects findings and counts, tells progress, and turns damage that a port meets into a finding.
What it does not do: it examines nothing itself.

Rule: one thing is named once for one kind of damage, and no more findings are kept than a person would read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

from msgspec import Struct

from interlock.base.errors import Corruption, NotFound
from interlock.journal.errors import FEED_HOLE
from interlock.journal.journal import Journal
from interlock.journal.ports import StoredEvent

FINDINGS_MAX = 1_000
"""Findings that a report holds; further ones are only counted."""

PAGE = 1_000
"""Events or rows that are read at once."""

TRIES_MAX = 3
"""How often a table is compared that writers keep moving."""

# A page with a hole is read again in smaller ones, so that the hole is found without reading event by event.
_PAGES = (PAGE, 32, 1)

Progress = Callable[[str, int, int | None], None]
"""What is examined, how much of it is done, and of how much (None: not known)."""

Result = TypeVar("Result")


class Finding(Struct, frozen=True):
    """One damaged thing.

    `kind` says what is wrong: an error code, or `event_missing`, `head_wrong`, `feed_wrong`, `command_repeated`,
    `index_row_wrong`, `fold_snapshot_wrong` or `view_row_wrong`. `place` is a stream, an event `<stream>#<seq>`,
    a place in the feed `<partition>@<position>`, an artifact id, or a row `<partition>/<table>/<key>`.
    """

    kind: str
    place: str
    message: str


class Report(Struct, frozen=True):
    """What was examined and what is damaged.

    `counts` tells how many partitions, streams, events, artifacts and rows were looked at, all `findings` (also
    those beyond the bound of the list), and tables that were `not_judged` (they rest on damaged events) or
    `unsettled` (writers kept moving them).
    """

    findings: list[Finding]
    counts: dict[str, int]


class Examination:
    """One walk through a store."""

    def __init__(self, journal: Journal, progress: Progress | None = None) -> None:
        self.catalogue = journal.catalogue
        self.store = journal.store
        self.counts: Counter[str] = Counter()
        self._progress = progress
        self._findings: dict[tuple[str, str], Finding] = {}
        self._done: Counter[str] = Counter()
        self._events = 0

    def report(self) -> Report:
        """What was found so far."""
        return Report(list(self._findings.values()), dict(self.counts))

    def found(self, finding: Finding) -> None:
        """Keep a finding, unless the same thing was named for the same reason before."""
        if (finding.kind, finding.place) not in self._findings:
            self.counts["findings"] += 1
            if len(self._findings) < FINDINGS_MAX:
                self._findings[finding.kind, finding.place] = finding

    def damaged(self, fault: Corruption | NotFound, place: str) -> None:
        """Keep what a check or a port says of a place."""
        self.found(Finding(fault.code, place, fault.message))

    async def reading(self, place: str, work: Awaitable[Result]) -> Result | None:
        """What a port gives; None where it meets damage, which is then a finding."""
        try:
            return await work
        except (Corruption, NotFound) as fault:
            self.damaged(fault, place)
            return None

    async def ends(self) -> dict[str, int]:
        """Every partition with the position of its last event, and so how much there is to do."""
        log = self.store.events
        ends = {partition: await log.position(partition) for partition in await log.partitions()}
        self.counts["partitions"] = len(ends)
        self._events = sum(ends.values())
        return ends

    def step(self, what: str, done: int, *, of_events: bool = True) -> None:
        """Tell that `done` more of `what` are examined."""
        self._done[what] += done
        if self._progress is not None:
            self._progress(what, self._done[what], self._events if of_events else None)


class FeedReader:
    """Reads a part of the feed page by page, past every hole. `whole` tells whether there was none."""

    def __init__(self, examination: Examination, partition: str, end: int) -> None:
        self._examination = examination
        self._partition = partition
        self._end = end
        self.whole = True

    async def pages(self) -> AsyncGenerator[list[StoredEvent], None]:
        """The events at positions 1 to `end`; a hole is a finding."""
        seen = 0
        while seen < self._end:
            page = await self._page(seen)
            if not page:
                seen += 1
                self._hole(seen, seen)
                continue
            for event in page:
                if event.position > seen + 1:
                    self._hole(seen + 1, event.position - 1)
                seen = max(seen, event.position)
            yield [event for event in page if event.position <= self._end]

    async def _page(self, after: int) -> list[StoredEvent]:
        """The events after a position; none where the next position is a hole."""
        for limit in _PAGES:
            try:
                return await self._examination.store.events.feed(self._partition, after, limit)
            except Corruption as fault:
                if fault.kind is not FEED_HOLE:
                    self._examination.damaged(fault, f"{self._partition}@{after + 1}")
        return []

    def _hole(self, first: int, last: int) -> None:
        self.whole = False
        place = f"{self._partition}@{first}" + (f"-{last}" if last > first else "")
        self._examination.found(Finding(FEED_HOLE.code, place, "the feed has no event at this position"))
