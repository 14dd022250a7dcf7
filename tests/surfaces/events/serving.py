"""A real server with the endpoints of events, and what is needed to talk to it. It asserts nothing.

Rules: the listening socket names its protocol, or its connections would lose TCP_NODELAY; who sends says in a header
for which tenant, as a stand-in for real principals.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from interlock.app import App
from interlock.base.clock import SystemClock
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.principal import Principal
from interlock.journal.ports import Store
from interlock.surfaces import ingest as ingest_surface
from interlock.surfaces.ingest import ingest_routes
from interlock.surfaces.sse import routes as sse_surface
from interlock.surfaces.sse.reader import EventStreams
from interlock.surfaces.sse.routes import stream_routes
from interlock.surfaces.sse.settings import EventStreamSettings
from interlock.testing.app import memory_app

NOBODY = ErrorCode("toy_nobody", Category.REFUSED, "Say who you are.")
SOURCES = {
    "forge": {"source": "https://forge.example/*", "types": ["forge.*"]},
    "bank": {"source": "https://bank.example/*", "types": ["*"], "secret": "env:BANK_SECRET"},
}
STATUSES = {
    Category.INVALID: 400,
    Category.REFUSED: 403,
    Category.NOT_FOUND: 404,
    Category.OVERLOADED: 429,
    Category.UNAVAILABLE: 503,
}
P = ParamSpec("P")


def on_the_wire(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a test of a coroutine function that needs real sockets."""

    @wraps(test)
    def ran(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return ran


async def authenticate(request: Request) -> Principal:
    """Whoever the headers say it is; nobody is refused."""
    tenant = request.headers.get("x-tenant", "default")
    if tenant == "nobody":
        raise NOBODY.error("nobody may do this")
    return Principal(id="token:ada", tenant=tenant)


def problem(_request: Request, fault: InterlockError) -> Response:
    """Problem details, small."""
    known = {**ingest_surface.STATUSES, **sse_surface.STATUSES}
    status = known.get(fault.code, STATUSES.get(fault.category, 500))
    content = {"status": status, "title": fault.message, "code": fault.code, **fault.details}
    return JSONResponse(content, status, media_type="application/problem+json")


class Server(uvicorn.Server):
    """A server whose streams end before it waits for its connections."""

    def __init__(self, config: uvicorn.Config, streams: EventStreams) -> None:
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._streams.close()
        await super().shutdown(sockets)


@dataclass
class Served:
    """A server that runs on an application."""

    app: App
    streams: EventStreams
    server: Server
    task: asyncio.Task[None]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """End it as a signal would, and wait until it has."""
        self.server.should_exit = True
        await self.task


def application(store: Store | None = None, **settings: Mapping[str, object]) -> App:
    """An application in memory, or on a store that is given, that lives in real time."""
    given = {**settings, "events": {"sources": SOURCES, **settings.get("events", {})}}
    return memory_app(store, settings=given, clock=SystemClock())


def routes_of(app: App, streams: EventStreams, path: str = ingest_surface.PATH) -> list[BaseRoute]:
    """The routes of both endpoints."""
    return [
        *ingest_routes(app.ingest, authenticate=authenticate, problem=problem, path=path),
        *stream_routes(streams, authenticate=authenticate, problem=problem),
    ]


def streams_of(app: App) -> EventStreams:
    """The live feed of an application."""
    return EventStreams(app.journal, app.subscriptions.tell, app.settings.get(EventStreamSettings))


@asynccontextmanager
async def serving(app: App, path: str = ingest_surface.PATH) -> AsyncIterator[Served]:
    """Serve an application on a port of this machine."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    streams = streams_of(app)
    root = Starlette(routes=routes_of(app, streams, path))
    config = uvicorn.Config(root, log_config=None, lifespan="off", access_log=False)
    server = Server(config, streams)
    task = asyncio.ensure_future(server.serve(sockets=[listening]))
    served = Served(app, streams, server, task, listening.getsockname()[1])
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield served
    finally:
        await served.stop()
        listening.close()


@asynccontextmanager
async def talking(served: Served) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a server."""
    limits = httpx2.Limits(max_connections=200)
    async with httpx2.AsyncClient(base_url=served.url, timeout=20, limits=limits) as client:
        yield client


@dataclass(frozen=True)
class Message:
    """A message of a stream of server-sent events."""

    name: str
    id: str | None
    data: Any


class Listener:
    """Reads one stream. `beats` counts the comments."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.beats = 0
        self._lines = response.aiter_lines()

    async def message(self) -> Message | None:
        """The next message; None at the end."""
        fields: dict[str, str] = {}
        data: list[str] = []
        async for line in self._lines:
            if line.startswith(":"):
                self.beats += 1
            elif line:
                name, _, value = line.partition(": ")
                data += [value] if name == "data" else []
                fields[name] = value
            elif data:
                return Message(fields.get("event", "message"), fields.get("id"), json.loads("\n".join(data)))
        return None

    async def events(self, count: int) -> list[Message]:
        """The next so many events; heartbeats that say where the stream is are passed over."""
        found: list[Message] = []
        while len(found) < count:
            message = await self.message()
            if message is None:
                raise EOFError(f"the stream ended after {len(found)} events")
            found += [message] if message.name == "event" else []
        return found


@asynccontextmanager
async def listening(
    client: httpx2.AsyncClient, query: str = "", **headers: str
) -> AsyncIterator[tuple[Listener, Message]]:
    """A stream that has begun, with its snapshot."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.stream("GET", f"/api/v1/events/stream{query}", headers=given) as response:
        response.raise_for_status()
        listener = Listener(response)
        first = await listener.message()
        if first is None or first.name != "snapshot":
            raise EOFError("no snapshot")
        yield listener, first
