"""Views: tables for people, kept by folding the feed, row by row.

What it does: brings a view up to a position of the feed when it is asked, and answers queries with page
cursors. What it does not do: it decides nothing and appends nothing; a view can be dropped and is then
built again.

Rules: rows and position are written together, compared and set, so several processes may catch up at once;
another version of a view is another table, built beside the old one; catching up is bounded per call; no row
rests on an event that is not the one that was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from interlock.base.bounds import PAGE_ITEMS_MAX
from interlock.base.events import Place
from interlock.base.part import View
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import read_envelope, read_record
from interlock.journal.cursor import listing, read_page, write_page
from interlock.journal.errors import FEED_HOLE, STORE_CORRUPT, VIEW_BEHIND
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
        """Fold the feed into a view up to position `until` (default: its end now); return where it stands.

        Raises: `view_behind` when the bound of one call is reached; `feed_hole`, `event_corrupt`,
        `event_type_unknown`.
        """
        view, store = self._views[name], self._journal.store
        table = table_of(view)
        goal = await store.events.position(partition) if until is None else until
        seen = await store.views.position(partition, table)
        for _ in range(PAGES_MAX):
            events = await store.events.feed(partition, seen, FEED_PAGE) if seen < goal else []
            if not events:
                return seen
            last = events[-1].position
            if last != seen + len(events):
                raise FEED_HOLE.error(f"the feed misses a position after {seen}", position=seen)
            rows = await self._folded(view, partition, events)
            moved = await store.views.apply(partition, table, rows, seen, last)
            seen = last if moved else await store.views.position(partition, table)
        if seen < goal:
            raise VIEW_BEHIND.error(f"the view {name} has not caught up yet")
        return seen

    async def row(self, partition: str, name: str, key: str) -> Any:
        """One row as it is after everything committed so far, or None."""
        [row] = await self.rows(partition, name, [key])
        return row

    async def rows(self, partition: str, name: str, keys: Sequence[str]) -> list[Any]:
        """The rows at `keys`, in that order, after everything committed so far; None where there is none."""
        view = self._views[name]
        await self.catch_up(partition, name)
        documents = await self._journal.store.views.rows(partition, table_of(view), keys) if keys else []
        return [_read(view, document) for document in documents]

    async def query(
        self, partition: str, name: str, terms: Mapping[str, str], cursor: str | None, limit: int
    ) -> Page[Any]:
        """A page of rows that have all `terms`, newest first. Raises: `cursor_invalid`, `cursor_foreign`."""
        view, store = self._views[name], self._journal.store
        place = listing(store.id, partition)
        before = None if cursor is None else read_page(place, cursor)
        limit = min(max(limit, 1), PAGE_ITEMS_MAX)
        await self.catch_up(partition, name)
        found = await store.views.query(partition, table_of(view), terms, before, limit + 1)
        items = [_read(view, document) for _, _, document in found[:limit]]
        more = len(found) > limit
        return Page(items, write_page(place, found[limit - 1][:2]) if more else None)

    async def _folded(self, view: View, partition: str, events: Sequence[StoredEvent]) -> list[ViewRow]:
        found = (touched(self._journal.catalogue, view, event) for event in events)
        touches = [touch for touch in found if touch is not None]
        keys = list(dict.fromkeys(touch.key for touch in touches))
        stored = await self._journal.store.views.rows(partition, table_of(view), keys) if keys else []
        rows = {key: _read(view, document) for key, document in zip(keys, stored, strict=True)}
        for key, place, record in touches:
            rows[key] = view.evolve(rows[key], place, record)
        return [view_row(view, key, row) for key, row in rows.items()]


class Touch(NamedTuple):
    """That an event changes the row at `key`, and what `evolve` gets of it."""

    key: str
    place: Place
    record: Struct


def touched(catalogue: EventCatalogue, view: View, event: StoredEvent) -> Touch | None:
    """Which row of a view an event of the feed changes. Raises: `event_corrupt`, `event_type_unknown`."""
    envelope = read_envelope(event)
    record = read_record(catalogue, envelope, event) if envelope.type in view.types else None
    if record is None:
        return None
    key = view.key(envelope.place, record)
    return None if key is None else Touch(key, envelope.place, record)


def table_of(view: View) -> str:
    """The name of a view's table in the store: another version is another table."""
    return f"{view.name}@{view.version}"


def view_row(view: View, key: str, row: Any) -> ViewRow:
    """A row as it is stored; None deletes it."""
    if row is None:
        return ViewRow(key)
    return ViewRow(key, view.order(row), view.terms(row), msgspec.json.encode(row))


def _read(view: View, document: bytes | None) -> Any:
    try:
        return None if document is None else msgspec.json.decode(document, type=view.row)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise STORE_CORRUPT.error(f"a row of the view {view.name} cannot be read", view=view.name) from None
