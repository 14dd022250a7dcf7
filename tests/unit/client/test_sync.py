"""The client for programs without an event loop: the same calls, which wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.client import Client
from tests.surfaces.toy import APPLICATION, Counter, ListOutput
from tests.unit.client.test_remote import APPLES, ENDED, JSON, told
from tests.unit.engine.io.transports.server import Answer, Server, ok, serving


def using(answer: Answer | bytes | None, use: Callable[[Client], Any], **more: Any) -> tuple[Any, Server]:
    """What `use` gives in a thread of its own, with a client of a server with these answers."""

    async def main() -> tuple[Any, Server]:
        async with serving(answer) as server:
            return await asyncio.to_thread(within, server.url), server

    def within(url: str) -> Any:
        with Client(url, application=APPLICATION, **more) as client:
            return use(client)

    return asyncio.run(main())


def test_a_call_waits_for_its_output() -> None:
    found, server = using(
        ok(APPLES, JSON), lambda client: client.call("counter.add", {"name": "apples"}, command_id="mine")
    )

    assert found == Counter("apples", 3, 1)
    assert server.header("idempotency-key") == ["mine"]


def test_a_run_is_waited_for() -> None:
    assert using(told(ENDED), lambda client: client.wait("r"))[0] == ENDED


def test_several_threads_share_a_client() -> None:
    def many(client: Client) -> list[Any]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: client.call("counter.list", {}), range(40)))

    assert using(ok(b'{"counters":[]}', JSON), many)[0] == [ListOutput(())] * 40


def test_closing_ends_what_somebody_still_waits_for() -> None:
    async def main() -> str:
        async with serving(None) as server:
            client = Client(server.url, application=APPLICATION)
            call = asyncio.create_task(asyncio.to_thread(client.call, "counter.list", {}))
            await server.asked.wait()
            await asyncio.to_thread(client.close)
            with pytest.raises(InterlockError) as caught:
                await call
            return caught.value.code

    assert asyncio.run(main()) == "client_closed"


def test_a_client_that_was_never_used_starts_nothing() -> None:
    before = threading.active_count()
    client = Client("https://interlock.example", application=APPLICATION)
    assert "counter.add" in [command.name for command in client.commands()]
    client.close()
    client.close()

    assert (threading.active_count(), repr(client)) == (before, "Client('https://interlock.example')")
    with pytest.raises(InterlockError) as caught:
        client.call("counter.list", {})
    assert caught.value.code == "client_closed"
