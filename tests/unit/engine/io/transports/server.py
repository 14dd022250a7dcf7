"""A small HTTP server of our own, so that tests see the very bytes of a request and answer with any bytes.

It checks nothing and knows no protocol beyond what it needs to find the end of a request.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[[bytes], Iterable[bytes]]
"""Gives the pieces of the answer to a request; they leave one by one."""


@dataclass
class Server:
    """A server that runs.

    `requests` are those that arrived whole, `asked` is set by the first; `connections` counts who connected.
    """

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    server_names: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def header(self, name: str) -> list[str]:
        """The values of a header in the last request."""
        head = self.requests[-1].split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        pairs = [line.split(": ", 1) for line in head]
        return [value for key, value in pairs if key.lower() == name]

    @property
    def body(self) -> bytes:
        return self.requests[-1].split(b"\r\n\r\n", 1)[1]


@asynccontextmanager
async def serving(
    answer: Answer | bytes | None,
    host: str = "127.0.0.1",
    *,
    tls: ssl.SSLContext | None = None,
    breaks_off: bool = False,
) -> AsyncIterator[Server]:
    """A server that gives each request an answer; with None it never answers.

    One that breaks off closes the connection after its first answer.
    """
    state = Server()
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        task.add_done_callback(handlers.discard)
        state.connections += 1
        try:
            while request := await _request(reader):
                state.requests.append(request)
                state.asked.set()
                if answer is None:
                    await asyncio.Event().wait()
                else:
                    await _write(writer, [answer] if isinstance(answer, bytes) else answer(request))
                if breaks_off:
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    if tls is not None:
        tls.sni_callback = lambda _, name, __: state.server_names.append(name)
    server = await asyncio.start_server(handle, host, 0, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in list(handlers):
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


async def _write(writer: asyncio.StreamWriter, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)


async def _request(reader: asyncio.StreamReader) -> bytes:
    """One request, or nothing when the client has gone."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head + await reader.readexactly(length)


def ok(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """A whole response with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
