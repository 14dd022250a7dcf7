"""The list of events from outside: one row each, written from the feed.

What it does: folds what was received into rows. What it does not do: no decision rests on it, and it holds no data
(`event show`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from interlock.base.events import Place
from interlock.base.part import View
from interlock.journal.ingest.events import EventReceived, event_key


class EventRow(Struct, frozen=True):
    """An event in the list."""

    source: str
    type: str
    id: str
    subject: str | None
    received_ms: int
    known: bool


def _evolve(_row: EventRow | None, place: Place, record: Any) -> EventRow:
    return EventRow(record.source, record.type, record.id, record.subject, place.at_ms, record.known)


def _key(_place: Place, record: Struct) -> str | None:
    return event_key(record.source, record.id) if isinstance(record, EventReceived) else None


def _terms(row: EventRow) -> Mapping[str, str]:
    return {"source": row.source, "type": row.type, "known": "yes" if row.known else "no"}


RECEIVED = View(
    name="events_received",
    version=1,
    row=EventRow,
    key=_key,
    evolve=_evolve,
    order=lambda row: row.received_ms,
    terms=_terms,
    types=frozenset({"journal.event_received"}),
)
