"""Whether a view is what a rebuild of it would be.

What it does: folds the feed into the rows of a view up to where the stored view stands, and compares rows, order
and terms. What it does not do: it rebuilds nothing in the store; dropping a damaged view is enough to do that.

Rule: a view that takes an event which cannot be read is not judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from interlock.base.errors import Corruption
from interlock.base.part import View
from interlock.journal.ports import ViewRow
from interlock.journal.verify.feed import FeedReader
from interlock.journal.verify.report import FINDINGS_MAX, PAGE, Examination, Finding
from interlock.journal.verify.tables import Compared, Shard, settled
from interlock.journal.views import table_of, touched, view_row


async def check_view(examination: Examination, partition: str, view: View) -> None:
    """Compare a view with its rebuild, as of the position at which it stands."""
    table = table_of(view)

    async def compare(position: int) -> Compared:
        return await _Comparison(examination, partition, view, position).run()

    async def mark() -> int:
        return await examination.store.views.position(partition, table)

    end = await examination.store.events.position(partition)
    position = await mark()
    if position > end and position > await examination.store.events.position(partition):
        message = f"it stands at {position}, behind the end of the feed"
        examination.found("view_row_wrong", f"{partition}/{table}", message)
    else:
        await settled(examination, f"{partition}/{table}", "view_rows", mark, compare)


class _Comparison:
    """Compares the stored rows of one view with the rebuilt ones, shard by shard."""

    def __init__(self, examination: Examination, partition: str, view: View, position: int) -> None:
        self._examination = examination
        self._partition = partition
        self._view = view
        self._table = table_of(view)
        self._position = position
        self._findings: list[Finding] = []
        self._rows = 0

    async def run(self) -> Compared:
        """Compare everything, or until there is more to name than is kept."""
        shard: Shard[Any] | None = Shard()
        while shard is not None and len(self._findings) < FINDINGS_MAX:
            if not await self._rebuilt(shard):
                self._examination.not_judged.add(f"{self._partition}/{self._table}")
                return Compared([], 0)
            rows = {key: view_row(self._view, key, row) for key, row in shard.rows.items()}
            await self._compare_rows(shard, rows)
            await self._compare_terms(shard, rows)
            shard = shard.next()
        return Compared(self._findings, self._rows)

    async def _rebuilt(self, shard: Shard[Any]) -> bool:
        """Fold the feed into the rows of the shard; return whether every event that matters could be read."""
        feed = FeedReader(self._examination, self._partition, self._position)
        async with aclosing(feed.pages()) as pages:
            async for page in pages:
                for event in page:
                    try:
                        touch = touched(self._examination.catalogue, self._view, event)
                    except Corruption:
                        return False
                    if touch is not None and shard.holds(touch.key):
                        row = self._view.evolve(shard.rows.get(touch.key), touch.place, touch.record)
                        shard.put(touch.key, row)
                if shard.number == 0:
                    self._examination.step(f"view {self._table}", len(page))
        return feed.whole

    async def _compare_rows(self, shard: Shard[Any], rows: Mapping[str, ViewRow]) -> None:
        missing = set(rows)
        async for order, key, document in self._stored({}):
            if not shard.holds(key):
                continue
            self._rows += 1
            missing.discard(key)
            row = rows.get(key)
            if row is None:
                self._found(key, "no event makes this row")
            elif order != row.order or not _same(document, row.document):
                self._found(key, "the row is not what the events make of it")
        for key in sorted(missing):
            self._found(key, "the row is missing")

    async def _compare_terms(self, shard: Shard[Any], rows: Mapping[str, ViewRow]) -> None:
        """Name every row that a filter finds and should not, or does not find and should."""
        having: dict[tuple[str, str], set[str]] = defaultdict(set)
        for key, row in rows.items():
            for term in row.terms.items():
                having[term].add(key)
        for (name, value), expected in having.items():
            found = {key async for _, key, _ in self._stored({name: value}) if shard.holds(key)}
            for key in sorted(found ^ expected):
                self._found(key, f"the filter {name}={value} {'finds' if key in found else 'misses'} it")

    async def _stored(self, terms: Mapping[str, str]) -> AsyncGenerator[tuple[int, str, bytes], None]:
        """The stored rows that have all terms."""
        before: tuple[int, str] | None = None
        store = self._examination.store.views
        while page := await store.query(self._partition, self._table, terms, before, PAGE):
            for row in page:
                yield row
            before = page[-1][:2]

    def _found(self, key: str, message: str) -> None:
        if len(self._findings) < FINDINGS_MAX:
            place = f"{self._partition}/{self._table}/{key}"
            self._findings.append(Finding("view_row_wrong", place, message))


def _same(stored: bytes, expected: bytes | None) -> bool:
    """Whether two documents are the same JSON, whatever the order of members."""
    if expected is None or stored == expected:
        return stored == expected
    try:
        same: bool = msgspec.json.decode(stored) == msgspec.json.decode(expected)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return same
