"""Views: tables for people, kept by folding the feed, row by row.

What it does: brings a view up to a position of the feed when it is asked, and answers queries with page cursors.
What it does not do: it decides nothing and appends nothing; a view can be dropped and is then built again.

Rules: rows and position are written together, compared and set, so several processes may catch up at once; another
version of a view is another table, built beside the old one; catching up is bounded per call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from interlock.base.bounds import PAGE_ITEMS_MAX
from interlock.base.events import Place
from interlock.base.part import View
from interlock.journal.chain import FORMAT, Envelope, event_digest
from interlock.journal.cursor import read_page, write_page
from interlock.journal.errors import EVENT_CORRUPT, FEED_HOLE, VIEW_BEHIND
from interlock.journal.journal import Journal
from interlock.journal.ports import StoredEvent, ViewRow

FEED_PAGE = 1000
PAGES_MAX = 10_000
"""Pages of the feed that one call may read before it says that the view is behind."""

RowType = TypeVar("RowType")


class Page(Struct, Generic[RowType], frozen=True):
    """One page of a listing, newest first; `next` is the cursor of the following one, or None at the end."""

    items: list[RowType]
    next: str | None


class Views:
    """All views of an application on one journal."""

    def __init__(self, journal: Journal, views: Sequence[View]) -> None:
        self._journal = journal
        self._views = {view.name: view for view in views}

    async def catch_up(self, partition: str, name: str, until: int | None = None) -> int:
        """Fold the feed into a view up to position `until` (default: its end now); return the view's position.

        Raises: `view_behind` when the bound of one call is reached; `feed_hole`, `event_corrupt`.
        """
        view, store = self._views[name], self._journal.store
        table = f"{view.name}@{view.version}"
        goal = await store.events.position(partition) if until is None else until
        seen = await store.views.position(partition, table)
        for _ in range(PAGES_MAX):
            if seen >= goal:
                return seen
            events = await store.events.feed(partition, seen, FEED_PAGE)
            if not events:
                return seen
            rows = await self._folded(view, table, partition, events)
            last = events[-1].position
            if last != seen + len(events):
                raise FEED_HOLE.error(f"the feed misses a position after {seen}", position=seen)
            moved = await store.views.apply(partition, table, rows, seen, last)
            seen = last if moved else await store.views.position(partition, table)
        raise VIEW_BEHIND.error(f"the view {name} has not caught up yet")

    async def row(self, partition: str, name: str, key: str) -> Any:
        """One row as it is after everything committed so far, or None."""
        view = self._views[name]
        await self.catch_up(partition, name)
        [document] = await self._journal.store.views.rows(partition, f"{view.name}@{view.version}", [key])
        return None if document is None else msgspec.json.decode(document, type=view.row)

    async def query(
        self, partition: str, name: str, terms: Mapping[str, str], cursor: str | None, limit: int
    ) -> Page[Any]:
        """A page of rows that have all `terms`, newest first. Raises: `cursor_invalid`, `cursor_foreign`."""
        view, store = self._views[name], self._journal.store
        before = None if cursor is None else read_page(store.id, cursor)
        limit = min(max(limit, 1), PAGE_ITEMS_MAX)
        await self.catch_up(partition, name)
        found = await store.views.query(partition, f"{view.name}@{view.version}", terms, before, limit + 1)
        items = [msgspec.json.decode(document, type=view.row) for _, _, document in found[:limit]]
        more = len(found) > limit
        return Page(items, write_page(store.id, found[limit - 1][:2]) if more else None)

    async def _folded(
        self, view: View, table: str, partition: str, events: Sequence[StoredEvent]
    ) -> list[ViewRow]:
        touching = [(key, event) for event in events for key in self._touched(view, event)]
        keys = list(dict.fromkeys(key for key, _ in touching))
        documents = await self._journal.store.views.rows(partition, table, keys) if keys else []
        rows = {k: None if d is None else msgspec.json.decode(d, type=view.row) for k, d in zip(keys, documents, strict=True)}
        for key, event in touching:
            place, record = self._opened(event)
            rows[key] = view.evolve(rows[key], place, record)
        return [_view_row(view, key, row) for key, row in rows.items()]

    def _touched(self, view: View, event: StoredEvent) -> list[str]:
        envelope = msgspec.json.decode(event.envelope, type=Envelope)
        if envelope.type not in view.types or event.data is None:
            return []
        place, record = self._opened(event)
        key = view.key(place, record)
        return [] if key is None else [key]

    def _opened(self, event: StoredEvent) -> tuple[Place, Struct]:
        envelope = msgspec.json.decode(event.envelope, type=Envelope)
        if envelope.format != FORMAT or event.data is None:
            raise EVENT_CORRUPT.error("an event of the feed cannot be read", digest=event_digest(event.envelope))
        record = self._journal.catalogue.decode(envelope.type, envelope.version, event.data)
        return Place(envelope.stream, envelope.seq, envelope.at_ms, envelope.actor, envelope.correlation), record


def _view_row(view: View, key: str, row: Any) -> ViewRow:
    if row is None:
        return ViewRow(key)
    return ViewRow(key, view.order(row), view.terms(row), msgspec.json.encode(row))
