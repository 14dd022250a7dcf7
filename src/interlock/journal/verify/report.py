"""What an examination finds, and what its checks share.

What it does: collects findings and counts, tells progress, and turns damage that a port meets into a finding.
What it does not do: it examines nothing itself.

Rule: one thing is named once for one kind of damage, and no more findings are kept than a person would read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from msgspec import Struct

from interlock.base.errors import Corruption, InterlockError, NotFound
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.ports import Store

FINDINGS_MAX = 1_000
"""Findings that a report holds."""

PAGE = 1_000
"""Events or rows that are read at once."""

_COUNTED = ("partitions", "streams", "events", "artifacts", "index_rows", "fold_snapshots", "view_rows")

Progress = Callable[[str, int, int | None], None]
"""What is examined, how much of it is done, and of how much (None: not known)."""

Result = TypeVar("Result")


class Finding(Struct, frozen=True):
    """One damaged thing.

    `kind` says what is wrong: an error code, or `event_missing`, `head_wrong`, `feed_wrong`, `command_repeated`,
    `index_row_wrong`, `timer_row_wrong`, `fold_snapshot_wrong`, `view_row_wrong`, `subscription_row_wrong` or
    `activation_wrong`. `place` is a stream, an event `<stream>#<seq>`, a place in the feed `<partition>@<position>`, an
    artifact id, or a row `<partition>/<table>/<key>`.
    """

    kind: str
    place: str
    message: str


class Report(Struct, frozen=True):
    """What was examined and what is damaged: nothing if there is no finding.

    `counts` tells how many partitions, streams, events, artifacts and rows were looked at, and how many tables
    were `not_judged`, because events are damaged on which they rest, or `unsettled`, because writers kept moving
    them. `complete` is False where there is more damage than findings are kept.
    """

    findings: list[Finding]
    counts: dict[str, int]
    complete: bool = True


class Examined(Protocol):
    """What is examined: a journal, or a store and the types of its events."""

    @property
    def catalogue(self) -> EventCatalogue:
        """The types of events that are known."""
        ...

    @property
    def store(self) -> Store:
        """The opened store."""
        ...


class Examination:
    """One walk through a store; one that does not decode takes events that no part explains for sound, too."""

    def __init__(self, examined: Examined, progress: Progress | None = None, *, decodes: bool = True) -> None:
        self.catalogue = examined.catalogue
        self.decodes = decodes
        self.store = examined.store
        self.counts: Counter[str] = Counter(dict.fromkeys(_COUNTED, 0))
        self.not_judged: set[str] = set()
        self.unsettled: set[str] = set()
        self._progress = progress
        self._findings: dict[tuple[str, str], Finding] = {}
        self._complete = True
        self._done: Counter[str] = Counter()
        self._events = 0

    async def ends(self) -> dict[str, int]:
        """Every partition with the position of its last event: how much there is to do."""
        log = self.store.events
        ends = {partition: await log.position(partition) for partition in await log.partitions()}
        self.counts["partitions"] = len(ends)
        self._events = sum(ends.values())
        return ends

    def found(self, kind: str, place: str, message: str) -> None:
        """Keep a finding, unless the same thing was named for the same reason before."""
        self.keep(Finding(kind, place, message))

    def keep(self, finding: Finding) -> None:
        """As `found`."""
        if len(self._findings) < FINDINGS_MAX:
            self._findings.setdefault((finding.kind, finding.place), finding)
        elif (finding.kind, finding.place) not in self._findings:
            self._complete = False

    def damaged(self, fault: InterlockError, place: str) -> None:
        """Keep what a check or a port says of a place."""
        self.found(fault.code, place, fault.message)

    async def reading(self, place: str, work: Awaitable[Result]) -> Result | None:
        """What a port or a check gives; None where it meets damage, which is then a finding at `place`."""
        try:
            return await work
        except (Corruption, NotFound) as fault:
            self.damaged(fault, place)
            return None

    def step(self, what: str, done: int, *, of_events: bool = True) -> None:
        """Tell that `done` more of `what` are examined."""
        self._done[what] += done
        if self._progress is not None:
            total = self._events if of_events else None
            done = self._done[what]
            # What is looked at again is not done twice.
            self._progress(what, done if total is None else min(done, total), total)

    def report(self) -> Report:
        """What was found so far."""
        counts = dict(self.counts)
        counts["not_judged"] = len(self.not_judged)
        counts["unsettled"] = len(self.unsettled)
        return Report(list(self._findings.values()), counts, self._complete)
