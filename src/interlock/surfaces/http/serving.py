"""Puts the server together for an opened application, and runs it.

What it does: makes edge, routes, calls, health and what stands beside them, and answers on one socket until it is told
to stop. What it does not do: it opens no store and no socket, chooses no address, and listens for no signal.

Rule: what takes connections and drains (`draining`) is loaded only where there is a server to run.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from signal import SIGTERM
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from interlock.access.tokens import Tokens
from interlock.base.part import Command
from interlock.base.principal import Principal
from interlock.surfaces.application import Application, Opened
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.http.app import build
from interlock.surfaces.http.beside import beside
from interlock.surfaces.http.bodies import JSON
from interlock.surfaces.http.by_hand import OPENAPI_PATH
from interlock.surfaces.http.calls import Calls
from interlock.surfaces.http.edge import Edge
from interlock.surfaces.http.examples import Examples
from interlock.surfaces.http.gate import Gate
from interlock.surfaces.http.health import Health
from interlock.surfaces.http.openapi import describe, encoded
from interlock.surfaces.http.routes import Routes
from interlock.surfaces.http.settings import ServerSettings, shares_of
from interlock.surfaces.http.tags import versioned
from interlock.surfaces.mcp.entrance import LOOPBACK_HOSTS, EntranceSettings
from interlock.surfaces.sse.settings import EventStreamSettings
from interlock.surfaces.stopping import Stopping


@dataclass
class Server:
    """A server's application, with what is under way in it.

    `quiet` lets go of what streams, before what is under way is waited for; `stop` ends the server as a signal does.
    """

    app: ASGIApp
    gate: Gate
    settings: ServerSettings
    quiet: Callable[[], Awaitable[None]]
    stop: Callable[[], None] = field(default=lambda: None)


def served(opened: Opened, application: Application, local: tuple[str, Principal] | None) -> Server:
    """The server of an opened application; `local` is the token of the user of this machine, and that user."""
    settings, catalogue = opened.get(ServerSettings), opened.get(Catalogue)
    gate = Gate(settings.in_flight_max, shares_of(settings))
    entrance = entrance_of(settings, opened.get(EventStreamSettings).heartbeat_ms)
    edge = Edge(opened.get(Tokens).verify, entrance, local)
    additions = beside(opened, application, edge, entrance)
    routes = Routes(catalogue)
    calls = Calls(edge.principal, opened.client, settings, versioned(routes.by_name.values()))
    health = Health(opened, lambda: gate.draining)
    document = _document(routes, Examples(catalogue).of)
    whole = replace(additions, guarded=[(OPENAPI_PATH, "GET", document), *additions.guarded])
    return Server(build(routes, calls, health, gate, whole), gate, settings, additions.quiet)


def entrance_of(settings: ServerSettings, look_ms: int) -> EntranceSettings:
    """What those modules bear that read their requests themselves; a stream of theirs is looked at as the feed is."""
    names = [name for host in settings.hosts for name in (host, f"{host}:*")]
    return EntranceSettings(
        hosts=(*LOOPBACK_HOSTS, *names),
        body_bytes_max=settings.body_bytes_max,
        body_timeout_ms=settings.body_timeout_ms,
        look_ms=look_ms,
        sessions_max=settings.sessions_max,
        session_idle_ms=settings.session_idle_ms,
        shares=shares_of(settings),
        calls_max=settings.in_flight_max,
    )


async def run(
    server: Server,
    listening: socket.socket,
    stopping: Stopping | None = None,
    *,
    certificate: str | None = None,
    key: str | None = None,
    started: Callable[[], object] = lambda: None,
) -> str:
    """Answer until told to stop, then drain; the name of the signal. `started` is called once it answers."""
    from interlock.surfaces.http.draining import Draining

    stopping = stopping or Stopping()
    answering = Draining(server.app, server.settings, (certificate, key), server.quiet, started)

    def stop() -> None:
        server.gate.draining = True
        answering.should_exit = True

    server.stop = partial(stopping.stop, SIGTERM.name)
    stopping.hear(stop)
    await answering.serve(sockets=[listening])
    return stopping.told or "ended"


def _document(routes: Routes, example: Callable[[Command], Any]) -> Callable[[Request], Any]:
    """What answers with the description of the API.

    It is made once, when it is first asked for, and beside the loop: that takes seconds, in which others are answered.
    """
    made: list[bytes] = []
    making = asyncio.Lock()

    async def answer(_request: Request) -> Response:
        async with making:
            if not made:
                made.append(await asyncio.to_thread(lambda: encoded(describe(routes, example))))
        return Response(made[0], media_type=JSON)

    return answer
