"""The client hears the live feed of a real server, also over the end of a server."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from interlock.client import AsyncClient, ServerEvent
from tests.surfaces.events.serving import application, on_the_wire, serving
from tests.surfaces.events.test_stream import send, sent_ids


@on_the_wire
async def test_a_client_hears_a_snapshot_and_then_every_event() -> None:
    async with serving(application()) as served, AsyncClient(served.url) as client, aclosing(client.events()) as feed:
        first = await anext(feed)
        await send(served.app, "1", "2")
        messages = [await anext(feed), await anext(feed)]

    assert (first.event, first.data["cursor"]) == ("snapshot", first.id)
    assert sent_ids(messages) == ["1", "2"]


@on_the_wire
async def test_a_client_that_comes_back_hears_what_it_missed() -> None:
    async with serving(application()) as served, AsyncClient(served.url) as client:
        async with aclosing(client.events()) as feed:
            known = (await anext(feed)).id
        await send(served.app, "1", "2")

        found: list[ServerEvent] = []
        async with aclosing(client.events(after=known, filters={"kind": ["inbox"]})) as feed, asyncio.timeout(30):
            while len(found) < 2:
                message = await anext(feed)
                found += [message] if message.event != "snapshot" else []

    assert sent_ids(found) == ["1", "2"]
