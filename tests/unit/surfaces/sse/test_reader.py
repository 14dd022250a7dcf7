"""Readers of the live feed on virtual time: whoever joins whenever, hears everything once and in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from interlock.app import App
from interlock.base.cloud_attributes import Incoming
from interlock.base.errors import InterlockError
from interlock.base.part import Telling
from interlock.base.principal import Principal
from interlock.journal.chain import Envelope
from interlock.journal.cursor import write_cursor
from interlock.journal.errors import ARTIFACT_NOT_FOUND
from interlock.journal.ports import StoredEvent
from interlock.surfaces.sse.filters import Wanted
from interlock.surfaces.sse.hub import Backlog
from interlock.surfaces.sse.reader import EventStreams, Reader
from interlock.surfaces.sse.settings import EventStreamSettings
from interlock.testing.app import memory_app
from interlock.testing.loop import over_seeds, run
from tests.cloudevents import SOURCE

ADA = Principal(id="token:ada")
ALL = Wanted()


def opened(**settings: Any) -> tuple[App, EventStreams]:
    app = memory_app(settings={"events": {"allow_unlisted": True}})
    return app, EventStreams(app.journal, app.subscriptions.tell, EventStreamSettings(**settings))


async def send(app: App, *ids: str, source: str = SOURCE) -> None:
    events = [Incoming(id=each, source=source, type="forge.pushed") for each in ids]
    await app.ingest.receive(events, principal=ADA)


def parsed(chunk: bytes) -> list[tuple[str, str | None, Any]]:
    """The messages of a chunk: name, id, data."""
    found = []
    for block in chunk.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((fields.get("event", ""), fields.get("id"), json.loads(fields.get("data", "null"))))
    return found


async def events(chunks: AsyncGenerator[bytes, None], count: int) -> list[tuple[str, str]]:
    """The next so many events: the ids that their senders gave them, and their cursors."""
    found: list[tuple[str, str]] = []
    while len(found) < count:
        for name, cursor, data in parsed(await anext(chunks)):
            if name == "event":
                found.append((data["data"]["id"], cursor or ""))
    assert len(found) == count
    return found


@over_seeds(40)
async def test_readers_that_come_and_go_while_events_come_hear_each_once_and_in_order() -> None:
    app, streams = opened(backlog_events_max=3)
    wanted = [str(number) for number in range(40)]

    async def write() -> None:
        for each in wanted:
            await send(app, each)

    async def hear(piece: int) -> list[str]:
        heard: list[str] = []
        cursor = write_cursor(app.store.id, "default", 0)
        while len(heard) < len(wanted):
            reader = await streams.open(ADA, ALL, cursor)
            async with aclosing(reader.chunks()) as chunks:
                async for chunk in chunks:
                    told = [(data["data"]["id"], at) for name, at, data in parsed(chunk) if name == "event"]
                    heard += [each for each, _ in told]
                    cursor = told[-1][1] or "" if told else cursor
                    if len(told) >= piece or len(heard) == len(wanted):
                        break
            reader.close()
        return heard

    writing = asyncio.ensure_future(write())
    heard = await asyncio.gather(hear(1), hear(2), hear(100), hear(100))
    await writing

    assert list(heard) == [wanted] * 4
    assert streams.readers == 0


def test_a_reader_hears_from_now_on_where_it_names_no_cursor() -> None:
    async def main() -> None:
        app, streams = opened()
        await send(app, "before")
        reader = await streams.open(ADA, ALL)
        await send(app, "between")
        async with aclosing(reader.chunks()) as chunks:
            [(name, _, data)] = parsed(await anext(chunks))
            assert (name, data["head"]) == ("snapshot", None)
            await send(app, "after")
            assert [each for each, _ in await events(chunks, 2)] == ["between", "after"]
        reader.close()

    run(main())


def test_a_reader_of_few_events_is_told_at_heartbeats_how_far_it_is() -> None:
    async def main() -> None:
        app, streams = opened(heartbeat_ms=1_000)
        reader = await streams.open(ADA, Wanted(streams=frozenset({"default/run/a"})))
        async with aclosing(reader.chunks()) as chunks:
            await anext(chunks)
            assert await anext(chunks) == b": heartbeat\n\n"
            await send(app, "1", "2")
            moved = write_cursor(app.store.id, "default", 2)
            assert parsed(await anext(chunks)) == [("heartbeat", moved, {})]
            assert await anext(chunks) == b": heartbeat\n\n"
        reader.close()

    run(main())


def test_an_event_that_its_part_cannot_tell_is_named_and_the_next_one_follows() -> None:
    async def main() -> None:
        app, _ = opened()

        async def tell(envelope: Envelope, event: StoredEvent) -> Telling | None:
            if event.seq == 1:
                raise ARTIFACT_NOT_FOUND.error("its data is not here")
            return await app.subscriptions.tell(envelope, event)

        streams = EventStreams(app.journal, tell, EventStreamSettings())
        reader = await streams.open(ADA, ALL)
        async with aclosing(reader.chunks()) as chunks:
            await anext(chunks)
            await send(app, "1")
            [(name, cursor, data)] = parsed(await anext(chunks))
            assert (name, data["code"], bool(cursor)) == ("untold", "artifact_not_found", True)
            await send(app, "2")
            assert [each for each, _ in await events(chunks, 1)] == ["2"]
        reader.close()

    run(main())


def test_a_fault_of_the_program_ends_readers_instead_of_leaving_them_silent() -> None:
    async def main() -> None:
        app, _ = opened()

        async def tell(_envelope: Envelope, _event: StoredEvent) -> Telling:
            raise ZeroDivisionError

        streams = EventStreams(app.journal, tell, EventStreamSettings())
        reader = await streams.open(ADA, ALL)
        async with aclosing(reader.chunks()) as chunks:
            await anext(chunks)
            later = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0.01)
            await send(app, "1")
            [(name, _, data)] = parsed(await later)
            assert (name, data["code"]) == ("error", "program_fault")
            with pytest.raises(StopAsyncIteration):
                await anext(chunks)
        reader.close()

    run(main())


def test_one_that_reads_too_little_is_dropped_and_resumes_where_it_was() -> None:
    async def main() -> None:
        app, streams = opened(backlog_events_max=10)
        reader = await streams.open(ADA, ALL)
        async with aclosing(reader.chunks()) as chunks:
            await anext(chunks)
            hearing = asyncio.ensure_future(events(chunks, 1))
            await asyncio.sleep(0.01)
            await send(app, "0")
            [(_, cursor)] = await hearing
            await send(app, *map(str, range(1, 20)))
            await asyncio.sleep(1)
            assert reader.dropped
            with pytest.raises(StopAsyncIteration):
                await anext(chunks)
        reader.close()

        again = await streams.open(ADA, ALL, cursor)
        async with aclosing(again.chunks()) as chunks:
            assert [each for each, _ in await events(chunks, 19)] == [str(n) for n in range(1, 20)]
        again.close()

    run(main())


def test_a_service_that_has_closed_ends_its_readers_and_takes_no_more() -> None:
    async def main() -> None:
        _, streams = opened()
        reader = await streams.open(ADA, ALL)
        async with aclosing(reader.chunks()) as chunks:
            await anext(chunks)
            waiting = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0.01)
            await streams.close()
            with pytest.raises(StopAsyncIteration):
                await waiting
        reader.close()
        with pytest.raises(InterlockError) as caught:
            await streams.open(ADA, ALL)
        assert caught.value.code == "stream_readers_full"

    run(main())


def test_nobody_reads_the_feed_while_nobody_listens() -> None:
    async def main() -> None:
        _, streams = opened()
        before = asyncio.all_tasks()
        readers: list[Reader] = [await streams.open(ADA, ALL) for _ in range(3)]
        for reader in readers:
            chunks = reader.chunks()
            await anext(chunks)
            waiting = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await chunks.aclose()
            assert {task.get_name() for task in asyncio.all_tasks() - before} == {"live feed"}
        for reader in readers:
            reader.close()
        await asyncio.sleep(0.01)

        assert asyncio.all_tasks() == before

    run(main())


def test_one_event_is_never_too_large_for_a_backlog_that_is_empty() -> None:
    backlog = Backlog(ALL, events_max=2, bytes_max=10)

    backlog.offer(1, b"a" * 100)
    assert (backlog.dropped, backlog.take() is not None) == (False, True)
    backlog.offer(2, b"a" * 5)
    backlog.offer(3, None)
    backlog.offer(4, b"a" * 5)
    assert not backlog.dropped
    backlog.offer(5, b"a")
    assert (backlog.dropped, backlog.take()) == (True, None)
