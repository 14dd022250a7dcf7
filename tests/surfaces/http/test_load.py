"""Many clients at once, and clients that stand still: what is acknowledged is there, and nobody holds up the others."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from interlock.surfaces.http.connections import connections_max
from interlock.surfaces.http.settings import ServerSettings
from tests.surfaces.http.serving import NONE, TOKEN, Asking, serving

CLIENTS = 200
HEAD = f"Host: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"


def over(
    folder: Path, check: Callable[[Asking], Awaitable[None]], settings: Mapping[str, Mapping[str, object]] = NONE
) -> None:
    async def main() -> None:
        async with serving(folder, settings) as asking, asyncio.timeout(50):
            await check(asking)

    asyncio.run(main())


async def everything(asking: Asking, path: str) -> list[Any]:
    """Every row of a listing, page by page."""
    rows: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await asking.get(f"/api/v1/{path}", params={"limit": 100, **cursor})
        rows += page["items"]
        if page["next"] is None:
            return rows
        cursor = {"cursor": page["next"]}


class Crowd:
    """Two hundred clients of one server, each with a connection of its own."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        limits = httpx2.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
        self._client = httpx2.AsyncClient(timeout=45, limits=limits, trust_env=False)
        self.made: dict[str, bytes] = {}
        self.statuses: Counter[int] = Counter()

    async def one(self, number: int) -> None:
        """What one client does: it makes something, asks, and makes it again under the same key."""
        name = f"crowd-{number}"
        for _ in range(2):
            await self._make(name)
            await self._told(await self._send("GET", "/api/v1/subscriptions", params={"limit": "5"}))
        await self._client_events(number)

    async def _make(self, name: str) -> None:
        answer = await self._send(
            "POST", "/api/v1/subscriptions", json={"name": name, "sink": "log"}, headers={"Idempotency-Key": name}
        )
        await self._told(answer)
        if answer.status_code == 201:
            assert self.made.setdefault(name, answer.content) == answer.content

    async def _client_events(self, number: int) -> None:
        event = {"specversion": "1.0", "id": f"e-{number}", "source": "/crowd", "type": "t"}
        headers = {"Content-Type": "application/cloudevents+json"}
        await self._told(await self._send("POST", "/api/events/", json=event, headers=headers))

    async def _told(self, answer: httpx2.Response) -> None:
        self.statuses[answer.status_code] += 1
        assert answer.status_code in {200, 201, 202, 429, 503}, answer.text
        if answer.status_code in {429, 503}:
            assert int(answer.headers["retry-after"]) >= 1

    async def _send(self, method: str, path: str, headers: Mapping[str, str] = NONE, **more: Any) -> httpx2.Response:  # type: ignore[assignment]
        sent = {"Authorization": f"Bearer {TOKEN}", **headers}
        return await self._client.request(method, f"{self._asking.url}{path}", headers=sent, **more)

    async def act(self) -> None:
        async with self._client:
            await asyncio.gather(*(self.one(number) for number in range(CLIENTS)))


CROWD = {"events": {"sources": {"crowd": {"source": "/crowd"}}}}


@pytest.mark.parametrize("in_flight_max", [256, 20])
def test_of_two_hundred_clients_each_has_what_was_acknowledged_once(tmp_path: Path, in_flight_max: int) -> None:
    """With places for all of them nobody is refused; with few, who is refused is told when to ask again."""

    async def check(asking: Asking) -> None:
        crowd = Crowd(asking)
        await crowd.act()
        names = Counter(row["name"] for row in await everything(asking, "subscriptions"))
        assert set(names) == set(crowd.made)
        assert set(names.values()) == {1}
        if in_flight_max > CLIENTS:
            assert set(crowd.statuses) <= {200, 201, 202}, crowd.statuses
            assert len(crowd.made) == CLIENTS
        else:
            assert crowd.statuses[503], crowd.statuses
        ids = Counter(row["id"] for row in await everything(asking, "events"))
        assert (set(ids.values()), sum(ids.values())) == ({1}, crowd.statuses[202])
        assert asking.server.gate.in_flight == 0

    over(tmp_path, check, {**CROWD, "server": {"in_flight_max": in_flight_max}})


async def opened(asking: Asking) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(asking.url.rpartition(":")[2]))


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Everything that a connection still says until the server ends it, be it by a reset after its last words."""
    said = b""
    with suppress(ConnectionResetError):
        while piece := await reader.read(65_536):
            said += piece
    return said


@pytest.mark.parametrize("path", ["/api/v1/subscriptions", "/mcp", "/rpc", "/api/events/"])
def test_a_body_that_drips_is_ended_by_its_time(tmp_path: Path, path: str) -> None:
    """However often a byte comes: the time is that of the whole body."""
    kind = "application/cloudevents+json" if "events" in path else "application/json"

    async def check(asking: Asking) -> None:
        reader, writer = await opened(asking)
        writer.write(f"POST {path} HTTP/1.1\r\n{HEAD}Content-Type: {kind}\r\nContent-Length: 500\r\n\r\n".encode())
        answer = asyncio.ensure_future(ended(reader))
        while not answer.done():
            writer.write(b" ")
            with suppress(ConnectionError):
                await writer.drain()
            await asyncio.wait([answer], timeout=0.05)
        assert answer.result().startswith(b"HTTP/1.1 408 "), answer.result()
        writer.close()
        assert asking.server.gate.in_flight == 0

    slow = {"server": {"body_timeout_ms": 300, "head_timeout_ms": 600}, "events": {"body_timeout_ms": 300}}
    over(tmp_path, check, slow)


HALVES = [
    b"",
    b"P",
    b"GET /api/v1/leases HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /hea",
]
"""Beginnings of a request, and the beginning of a second one."""


def test_sockets_that_stand_half_open_hold_nobody_up_and_are_dropped(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        halves = [await opened(asking) for _ in range(CLIENTS)]
        for number, (_, writer) in enumerate(halves):
            writer.write(HALVES[number % len(HALVES)])
        assert (await asking.ask("GET", "/api/v1/leases")).status_code == 200
        told = [await ended(reader) for reader, _ in halves]
        assert {each[:12] for each in told} == {b"HTTP/1.1 408", b"HTTP/1.1 200"}
        for _, writer in halves:
            writer.close()
        assert (await asking.ask("GET", "/api/v1/leases")).status_code == 200

    over(tmp_path, check, {"server": {"head_timeout_ms": 500}})


def test_a_head_that_drips_is_ended_by_its_time(tmp_path: Path) -> None:
    """No further byte prolongs it, be it of the first request or of one after an answer."""

    async def check(asking: Asking) -> None:
        for before in (b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
            reader, writer = await opened(asking)
            writer.write(before)
            answer = asyncio.ensure_future(ended(reader))
            for byte in b"GET /api/v1/leases?" + b"x" * 10_000:
                if answer.done():
                    break
                writer.write(bytes([byte]))
                await asyncio.wait([answer], timeout=0.02)
            assert answer.done()
            said = answer.result().rpartition(b"HTTP/1.1 ")[2]
            assert said[:3] in {b"", b"200", b"408"}  # who goes on sending may hear nothing more
            writer.close()

    over(tmp_path, check, {"server": {"head_timeout_ms": 300}})


def test_a_connection_too_many_is_told_to_come_again_and_the_others_go_on(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        idle = [await opened(asking) for _ in range(10)]
        reader, writer = await opened(asking)
        said = await ended(reader)
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in said
        assert (await asking.ask("GET", "/api/v1/leases")).status_code == 200
        for _, each in [*idle, (reader, writer)]:
            each.close()

    over(tmp_path, check, {"server": {"connections_max": 11}})


def test_there_are_no_more_connections_than_files_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for files, most in ((1024, 768), (100, 50), (100_000, 4_096), (-1, 4_096)):
        monkeypatch.setattr("resource.getrlimit", lambda _kind, files=files: (files, files))
        assert connections_max(ServerSettings()) == most


def files() -> int:
    """How many files and sockets this process has open: those of the server, and of its clients here."""
    return len([*Path("/dev/fd").iterdir()])


def tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


@pytest.mark.parametrize("leaves", [True, False])
def test_a_client_that_takes_nothing_or_vanishes_within_an_answer_leaves_nothing(tmp_path: Path, leaves: bool) -> None:
    async def check(asking: Asking) -> None:
        for number in range(20):
            record = {"$comment": "x" * 200_000}
            body = {
                "tenant_id": 1,
                "namespace_id": 1,
                "schema_id": f"s{number}",
                "version": "v1",
                "schema": record,
                "description": None,
                "created_at": {"kind": "logical", "value": 1},
            }
            made = await asking.post("/api/v1/shapes", record=body)
            assert made.status_code == 201, made.text
        before, open_before = tasks(), files()
        request = f"GET /api/v1/shapes?tenant_id=1&namespace_id=1 HTTP/1.1\r\n{HEAD}\r\n".encode()
        with closing(socket.socket()) as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            taken.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(taken, ("127.0.0.1", int(asking.url.rpartition(":")[2])))
            await loop.sock_sendall(taken, request)
            assert (await loop.sock_recv(taken, 12)) == b"HTTP/1.1 200"
            assert files() == open_before + 2
            if leaves:
                taken.close()
            while files() != open_before + (not leaves) or tasks() != before:
                await asyncio.sleep(0.01)
        assert asking.server.gate.in_flight == 0
        assert (await asking.ask("GET", "/api/v1/leases")).status_code == 200

    over(
        tmp_path,
        check,
        {"gates": {"namespace": {"allow_default": True, "default_tenants": [1]}}, "server": {"answer_timeout_ms": 200}},
    )


def test_a_reader_of_the_feed_that_vanishes_leaves_nothing(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        before = tasks()
        for _ in range(20):
            reader, writer = await opened(asking)
            writer.write(f"GET /api/events/stream HTTP/1.1\r\n{HEAD}\r\n".encode())
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.transport.abort()
        while tasks() - before:
            await asyncio.sleep(0.01)

    over(tmp_path, check)
