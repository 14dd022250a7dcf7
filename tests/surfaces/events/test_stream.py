"""The live feed over HTTP: a real server tells every reader everything that it may hear, once and in order."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from cloudevents.core.bindings.http import HTTPMessage, from_structured_event

from interlock.app import App
from interlock.base.cloud_attributes import Incoming
from interlock.base.principal import Principal
from interlock.journal.cursor import write_cursor
from interlock.journal.errors import FEED_HOLE
from interlock.journal.ingest.events import inbox_stream
from interlock.stores.sqlite import open_sqlite
from tests.cloudevents import CLOUD_EVENT, SOURCE
from tests.surfaces.events.serving import application, listening, on_the_wire, serving, talking

ADA = Principal(id="token:ada")
STREAM = inbox_stream("default", SOURCE)
FAST: dict[str, object] = {"heartbeat_ms": 50}


async def send(app: App, *ids: str, tenant: str = "default", source: str = SOURCE, data: bytes | None = None) -> None:
    """Let these events come from outside: what happens in the journal, as far as these tests care."""
    events = [Incoming(id=each, source=source, type="forge.pushed", data=data) for each in ids]
    for at in range(0, len(events), 100):
        await app.ingest.receive(events[at : at + 100], principal=Principal(id="token:ada", tenant=tenant))


def sent_ids(messages: list[Any]) -> list[str]:
    return [message.data["data"]["id"] for message in messages]


@on_the_wire
async def test_a_stream_begins_with_a_snapshot_and_tells_what_follows_as_subscriptions_do() -> None:
    app = application()
    async with serving(app) as served, talking(served) as client:
        await send(app, "before")
        async with listening(client) as (listener, first):
            await send(app, "1", "2")
            messages = await listener.events(2)

        assert first.data == {"cursor": first.id, "head": None}
        assert sent_ids(messages) == ["1", "2"]
        for message in messages:
            CLOUD_EVENT.validate(message.data)
            peer = from_structured_event(
                HTTPMessage({"content-type": "application/cloudevents+json"}, json.dumps(message.data).encode())
            )
            assert peer.get_type() == "interlock.journal.event_received"
        assert listener.response.headers["content-type"].startswith("text/event-stream")
        assert listener.response.headers["cache-control"] == "no-store"


@on_the_wire
async def test_a_reader_of_one_stream_is_told_where_its_head_is_and_nothing_of_others() -> None:
    app = application()
    async with serving(app) as served, talking(served) as client:
        await send(app, "1", "2")
        async with listening(client, f"?stream={STREAM}") as (listener, first):
            await send(app, "other", source=f"{SOURCE}/2")
            await send(app, "3")

            assert first.data["head"] == {"stream": STREAM, "seq": 2}
            assert sent_ids(await listener.events(1)) == ["3"]


@on_the_wire
async def test_a_filter_by_type_and_kind_is_that_of_subscriptions() -> None:
    app = application()
    async with serving(app) as served, talking(served) as client:
        async with listening(client, "?kind=lease&kind=inbox&type=journal.event_*") as (listener, _):
            await app.leases.acquire("key", holder="h", request_id="r", lease_ms=1000, capacity=1, principal=ADA)
            await send(app, "1")
            assert sent_ids(await listener.events(1)) == ["1"]

        for query in ("?type=", "?kind=Run", "?stream=x", "?stream=other/run/a", "?after=a&after=b", "?typo=a"):
            answer = await client.get(f"/api/events/stream{query}")
            assert (answer.status_code, answer.json()["code"]) == (400, "event_filter_invalid"), query


@on_the_wire
async def test_reconnecting_by_the_last_id_loses_nothing_and_doubles_nothing() -> None:
    app = application()
    wanted = [str(number) for number in range(300)]

    async def write() -> None:
        for number in wanted:
            await send(app, number)
            await asyncio.sleep(0)

    async with serving(app) as served, talking(served) as client:
        heard: list[str] = []
        async with listening(client) as (listener, first):
            last = first.id
        writing = asyncio.ensure_future(write())
        while len(heard) < len(wanted):
            headers = {"last_event_id": last or ""}
            async with listening(client, "?after=ignored", **headers) as (listener, first):
                assert first.id == last
                messages = await listener.events(min(37, len(wanted) - len(heard)))
            heard += sent_ids(messages)
            last = messages[-1].id
        await writing

        assert heard == wanted


@on_the_wire
async def test_a_cursor_in_the_address_is_where_a_stream_begins() -> None:
    app = application()
    async with serving(app) as served, talking(served) as client:
        await send(app, "1", "2", "3")
        cursor = write_cursor(app.store.id, "default", 1)
        async with listening(client, f"?after={cursor}") as (listener, _):
            assert sent_ids(await listener.events(2)) == ["2", "3"]


@on_the_wire
async def test_a_cursor_that_is_not_of_this_feed_is_refused() -> None:
    app = application()
    cases = {
        write_cursor("another", "default", 0): "cursor_foreign",
        write_cursor(app.store.id, "other", 0): "cursor_foreign",
        write_cursor(app.store.id, "default", 9): "cursor_foreign",
        "nonsense": "cursor_invalid",
    }
    async with serving(app) as served, talking(served) as client:
        for cursor, code in cases.items():
            for query, headers in ((f"?after={cursor}", {}), ("", {"last-event-id": cursor})):
                answer = await client.get(f"/api/events/stream{query}", headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert served.streams.readers == 0


@on_the_wire
async def test_fifty_readers_hear_everything_by_one_reading_of_the_feed() -> None:
    app = application()
    reads: list[int] = []
    log: Any = app.store.events
    feed = log.feed

    async def counted(partition: str, after: int, limit: int) -> Any:
        reads.append(after)
        return await feed(partition, after, limit)

    wanted = [str(number) for number in range(100)]
    async with serving(app) as served, talking(served) as client, AsyncExitStack() as stack:
        listeners = [(await stack.enter_async_context(listening(client)))[0] for _ in range(50)]
        log.feed = counted
        for each in wanted:
            await send(app, each)
        heard = await asyncio.gather(*(listener.events(100) for listener in listeners))

        assert [sent_ids(each) for each in heard] == [wanted] * 50
        assert len(reads) <= 2 * len(wanted) + 2


@on_the_wire
async def test_tenants_hear_nothing_of_one_another() -> None:
    app = application()
    async with serving(app) as served, talking(served) as client:
        async with (
            listening(client, x_tenant="one") as (one, _),
            listening(client, x_tenant="two") as (two, _),
        ):
            await send(app, "a", tenant="one")
            await send(app, "b", tenant="two")
            await send(app, "c", tenant="one")

            assert sent_ids(await one.events(2)) == ["a", "c"]
            assert sent_ids(await two.events(1)) == ["b"]
        answer = await client.get("/api/events/stream", headers={"x-tenant": "nobody"})
        assert (answer.status_code, answer.json()["code"]) == (403, "toy_nobody")


@on_the_wire
async def test_a_silent_stream_beats_and_says_how_far_it_is_where_that_has_moved() -> None:
    app = application(event_stream=FAST)
    async with serving(app) as served, talking(served) as client:
        async with listening(client, "?kind=run") as (listener, _):
            await send(app, "not wanted")
            beat = await listener.message()
        assert beat is not None
        assert (beat.name, beat.id, beat.data) == ("heartbeat", write_cursor(app.store.id, "default", 1), {})

        async with listening(client, "?kind=run") as (listener, _):
            with_comments = asyncio.ensure_future(listener.message())
            while listener.beats < 2:
                await asyncio.sleep(0.01)
            with_comments.cancel()
            await asyncio.gather(with_comments, return_exceptions=True)


@on_the_wire
async def test_a_reader_that_does_not_read_is_dropped_and_others_hear_on() -> None:
    app = application(event_stream={"slow_reader_ms": 1_000, "backlog_bytes_max": 2_000_000})
    async with serving(app) as served, talking(served) as client:
        stuck = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", served.port))
        stuck.sendall(b"GET /api/events/stream HTTP/1.1\r\nhost: a\r\n\r\n")
        while served.streams.readers < 1:
            await asyncio.sleep(0.01)
        async with listening(client) as (listener, _):
            assert served.streams.readers == 2
            wanted = [str(number) for number in range(400)]
            large = b'"' + b"a" * 15_000 + b'"'
            hearing = asyncio.ensure_future(listener.events(len(wanted)))
            for each in wanted:
                await send(app, each, data=large)
                await asyncio.sleep(0.002)
            assert sent_ids(await hearing) == wanted
            while served.streams.readers > 1:
                await asyncio.sleep(0.01)
        stuck.close()


@on_the_wire
async def test_one_reader_more_than_are_served_is_asked_to_come_back() -> None:
    app = application(event_stream={"readers_max": 1})
    async with serving(app) as served, talking(served) as client:
        async with listening(client):
            answer = await client.get("/api/events/stream")
            assert (answer.status_code, answer.json()["code"]) == (503, "stream_readers_full")
            assert int(answer.headers["retry-after"]) > 0
        while served.streams.readers:
            await asyncio.sleep(0.01)
        async with listening(client):
            pass


@on_the_wire
async def test_who_leaves_and_what_ends_leaves_no_task_behind() -> None:
    app = application(event_stream=FAST)
    before = asyncio.all_tasks()
    async with serving(app) as served, talking(served) as client:
        async with listening(client):
            pass
        assert (await client.head("/api/events/stream")).status_code == 200
        while served.streams.readers:
            await asyncio.sleep(0.01)
        async with listening(client) as (listener, _):
            await send(app, "1")
            await listener.events(1)
            stopping = asyncio.ensure_future(served.stop())
            while (message := await listener.message()) is not None:
                assert message.name == "heartbeat"
            await stopping
    await asyncio.sleep(0.05)

    assert [task for task in asyncio.all_tasks() - before if not task.done()] == []


@on_the_wire
async def test_a_feed_that_cannot_be_read_ends_the_stream_with_the_reason() -> None:
    app = application()
    log: Any = app.store.events

    async def broken(_partition: str, after: int, _limit: int) -> Any:
        raise FEED_HOLE.error(f"the feed misses a position after {after}")

    async with serving(app) as served, talking(served) as client, listening(client) as (listener, _):
        whole, log.feed = log.feed, broken
        await send(app, "1")
        message = await listener.message()
        log.feed = whole

        assert message is not None
        assert (message.name, message.data["code"]) == ("error", "feed_hole")
        assert await listener.message() is None


@on_the_wire
async def test_what_another_process_writes_into_a_file_is_heard_too(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    ours, theirs = await open_sqlite(path), await open_sqlite(path)
    app, other = application(ours), application(theirs)
    async with serving(app) as served, talking(served) as client, listening(client) as (listener, _):
        for each in ("1", "2", "3"):
            await send(other, each)
        await send(app, "4")

        assert sent_ids(await listener.events(4)) == ["1", "2", "3", "4"]
    await theirs.close()
    await ours.close()
