"""How an event from outside is told to subscriptions and to the live feed: with its data, wherever that is kept.

It sends nothing, and tells of an event what its sender said and nothing more.
"""

from __future__ import annotations

import msgspec

from interlock.base.part import EventForm, Services, Telling
from interlock.journal.ingest.events import EventReceived
from interlock.journal.ingest.service import Ingest


async def _whole(services: Services, _stream: str, event: EventReceived, _audience: tuple[str, ...]) -> Telling:
    data = await services.get(Ingest).data(event)
    return Telling(msgspec.json.encode(msgspec.structs.replace(event, data=data)))


FORMS = (EventForm("journal.event_received", _whole),)
