"""Connections from the moment that they are accepted: half a handshake counts, and has an end."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from interlock.surfaces.http.accepting import Accepting, Places
from interlock.surfaces.http.listening import listen
from tests.surfaces.http.serving import Asking, serving
from tests.surfaces.http.test_load import ended, opened
from tests.surfaces.test_serve_safely import certified

FOREVER_MS = 600_000
HELLO = b"\x16\x03\x01\x02\x00\x01"
"""How a handshake begins."""


def over(folder: Path, check: Callable[[Asking], Awaitable[None]], **server: object) -> None:
    """A check on a server of HTTPS."""

    async def main() -> None:
        async with serving(folder, server=server, https=True) as asking, asyncio.timeout(50):
            await check(asking)

    asyncio.run(main())


async def answered(client: httpx2.AsyncClient, asking: Asking) -> bool:
    try:
        return (await client.get(f"{asking.url}/healthz")).status_code == 200
    except httpx2.TransportError:
        return False


def test_a_handshake_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        halves = [await opened(asking) for _ in range(60)]
        for number, (_, writer) in enumerate(halves):
            writer.write((b"", HELLO, b"GET / HTTP/1.1\r\n\r\n")[number % 3])
        assert (await asking.ask("GET", "/api/v1/leases")).status_code == 200
        told = [await ended(reader) for reader, _ in halves]
        assert not any(b"HTTP" in each for each in told)
        assert (await asking.ask("GET", "/api/v1/leases")).status_code == 200
        for _, writer in halves:
            writer.close()

    over(tmp_path, check, handshake_timeout_ms=500)


def test_handshakes_that_have_not_ended_count_as_connections(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        halves = [await opened(asking) for _ in range(4)]  # with the client of the test, five
        for _, writer in halves:
            writer.write(HELLO)
        reader, writer = await opened(asking)
        assert await ended(reader) == b""
        writer.close()
        assert (await asking.ask("GET", "/api/v1/leases")).status_code == 200
        for _, each in halves:
            each.transport.abort()
        context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        async with httpx2.AsyncClient(verify=context, trust_env=False) as another:
            while not await answered(another, asking):
                await asyncio.sleep(0.02)

    over(tmp_path, check, handshake_timeout_ms=FOREVER_MS, connections_max=5)


def test_a_server_ends_while_handshakes_have_not(tmp_path: Path) -> None:
    kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def main() -> None:
        async with asyncio.timeout(50):
            settings = {"handshake_timeout_ms": FOREVER_MS, "drain_ms": FOREVER_MS}
            async with serving(tmp_path, server=settings, https=True) as asking:
                kept.extend([await opened(asking) for _ in range(3)])
                await asking.client.aclose()
            for reader, writer in kept:
                assert await ended(reader) == b""
                writer.close()

    asyncio.run(main())


class Seen(asyncio.Protocol):
    """Says whether what it was given waits for acknowledgements."""

    def __init__(self) -> None:
        self.nodelay: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = transport.get_extra_info("socket")
        self.nodelay.set_result(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        transport.close()


@pytest.mark.parametrize("https", [False, True])
def test_no_connection_that_is_accepted_waits_for_acknowledgements(tmp_path: Path, *, https: bool) -> None:
    tls, trusted = None, None
    if https:
        trusted = ssl.create_default_context(cadata=certified(tmp_path).decode())
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    async def main() -> None:
        seen, places = Seen(), Places(1)
        with listen("127.0.0.1", 0) as listening:
            accepting = Accepting(listening, places, lambda _place: seen, tls, 10_000)
            name = "127.0.0.1" if https else None
            host, port = listening.getsockname()
            _, writer = await asyncio.open_connection(host, port, ssl=trusted, server_hostname=name)
            assert await asyncio.wait_for(seen.nodelay, 10) == 1
            writer.close()
            accepting.close()
            await accepting.wait_closed()

    asyncio.run(main())


class Scarce:
    """A socket that listens, and has no files left for a while."""

    def __init__(self, listening: socket.socket, times: int) -> None:
        self._listening = listening
        self._times = times

    def fileno(self) -> int:
        return self._listening.fileno()

    def accept(self) -> Any:
        if self._times:
            self._times -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listening.accept()


def test_whoever_waits_while_there_are_no_files_is_taken_when_there_are() -> None:
    async def main() -> None:
        seen = Seen()
        with listen("127.0.0.1", 0) as listening, closing(socket.socket()) as client:
            scarce: Any = Scarce(listening, 1)
            accepting = Accepting(scarce, Places(1), lambda _place: seen, None, 10_000)
            client.connect(listening.getsockname())
            assert await asyncio.wait_for(seen.nodelay, 20) == 1
            accepting.close()

    asyncio.run(main())


def test_a_server_that_has_no_files_left_can_be_closed() -> None:
    async def main() -> None:
        with listen("127.0.0.1", 0) as listening, closing(socket.socket()) as client:
            scarce: Any = Scarce(listening, 1_000)
            accepting = Accepting(scarce, Places(1), lambda _place: Seen(), None, 10_000)
            client.connect(listening.getsockname())
            await asyncio.sleep(0.05)
            accepting.close()
            await accepting.wait_closed()

    asyncio.run(main())
