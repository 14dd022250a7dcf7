"""The verbs about events from outside: records of input and output, and thin handlers over `Ingest`.

What it does: lists and shows what was received. What it does not do: no verb sends or takes an event; senders post
them to a server.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct

from interlock.base.bounds import PAGE_ITEMS_MAX
from interlock.base.cloud_attributes import ATTRIBUTE_CHARACTERS_MAX
from interlock.base.part import CallContext, Command, Effect
from interlock.journal.ingest.service import Ingest
from interlock.journal.ingest.views import EventRow
from interlock.journal.views import Views

Text = Annotated[str, Meta(min_length=1, max_length=ATTRIBUTE_CHARACTERS_MAX)]


class ListEvents(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events to list, newest first."""

    source: Annotated[Text | None, Meta(description="Only those of this source.")] = None
    type: Annotated[Text | None, Meta(description="Only those of this type.")] = None
    unknown: Annotated[bool, Meta(description="Only those whose type the settings did not know.")] = False
    limit: Annotated[int, Meta(ge=1, le=PAGE_ITEMS_MAX, description="Rows in a page.")] = 50
    cursor: Annotated[str | None, Meta(description="Where the page before ended.")] = None


class EventList(Struct, frozen=True):
    """A page of events."""

    items: list[EventRow]
    next: str | None


class ShowEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which event."""

    source: Annotated[Text, Meta(description="The source, as the event says it.")]
    id: Annotated[Text, Meta(description="The id, as the event says it.")]


class EventReport(Struct, frozen=True, omit_defaults=True):
    """An event as it came. With `erased` only its name is left; with `binary`, `data` is a text in base64."""

    source: str
    id: str
    stream: str
    seq: int
    received_ms: int
    received_by: str
    data: Raw
    extensions: Raw
    type: str | None = None
    known: bool | None = None
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    binary: bool = False
    erased: bool = False


async def _list(ctx: CallContext, given: ListEvents) -> EventList:
    wanted = {"source": given.source, "type": given.type, "known": "no" if given.unknown else None}
    terms = {name: value for name, value in wanted.items() if value is not None}
    views, tenant = ctx.services.get(Views), ctx.principal.tenant
    page = await views.query(tenant, "events_received", terms, given.cursor, given.limit)
    return EventList(page.items, page.next)


async def _show(ctx: CallContext, given: ShowEvent) -> EventReport:
    found = await ctx.services.get(Ingest).find(given.source, given.id, principal=ctx.principal)
    place = (given.source, given.id, found.stream, found.seq, found.received_ms, found.received_by, found.data)
    event = found.event
    if event is None:
        return EventReport(*place, Raw(b"{}"), erased=True)
    return EventReport(
        *place,
        event.extensions,
        type=event.type,
        known=event.known,
        subject=event.subject,
        time=event.time,
        datacontenttype=event.datacontenttype,
        dataschema=event.dataschema,
        binary=event.binary,
    )


COMMANDS = (
    Command(
        "event",
        "list",
        ListEvents,
        EventList,
        _list,
        "List events that were received from outside.",
        "interlock event list --unknown",
        "event.read",
        Effect.READS,
    ),
    Command(
        "event",
        "show",
        ShowEvent,
        EventReport,
        _show,
        "Show an event that was received, with its data.",
        "interlock event show https://forge.example/hooks 7f3a",
        "event.read",
        Effect.READS,
        positional=("source", "id"),
    ),
)
