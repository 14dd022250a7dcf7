"""Puts the server together for an opened application, and lets it listen.

What it does: makes routes, calls, health and what stands beside them, and runs them on one socket until the process is
told to stop. What it does not do: it opens no store, and chooses no address.

Rules: the socket is made here, so that no answer waits for the other side's acknowledgement; who is told to stop takes
nothing new, ends what is under way in bounded time, and lets go of what streams.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from interlock.base.part import Command
from interlock.surfaces.application import Opened
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.http.app import Additions, Gate, build
from interlock.surfaces.http.bodies import JSON
from interlock.surfaces.http.calls import Authenticate, Calls
from interlock.surfaces.http.errors import ADDRESS_INVALID
from interlock.surfaces.http.examples import Examples
from interlock.surfaces.http.health import Health
from interlock.surfaces.http.openapi import describe, encoded
from interlock.surfaces.http.routes import PREFIX, Routes
from interlock.surfaces.http.settings import ServerSettings

BACKLOG: Final = 2048
OPENAPI_PATH: Final = f"{PREFIX}/openapi.json"


def server_of(
    opened: Opened, catalogue: Catalogue, authenticate: Authenticate, gate: Gate, additions: Additions
) -> ASGIApp:
    """The application of a server on an opened store."""
    routes = Routes(catalogue)
    settings = opened.get(ServerSettings)
    calls = Calls(authenticate, opened.client, settings)
    health = Health(opened, lambda: gate.draining)
    document = _document(routes, Examples(catalogue).of)
    whole = Additions([(OPENAPI_PATH, "GET", document), *additions.guarded], additions.routes, additions.lifespans)
    return build(routes, calls, health, gate, whole)


def _document(routes: Routes, example: Callable[[Command], Any]) -> Callable[[Request], Any]:
    """What answers with the description of the API, which is made when it is first asked for."""
    made: list[bytes] = []

    async def answer(_request: Request) -> Response:
        if not made:
            made.append(encoded(describe(routes, example, {})))
        return Response(made[0], media_type=JSON)

    return answer


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises: `server_address_invalid`."""
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        raise ADDRESS_INVALID.error("the address is no IP address") from None
    # With the protocol named, asyncio turns Nagle's algorithm off; without, each answer waits 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError as fault:
        made.close()
        raise ADDRESS_INVALID.error(f"nothing can listen there: {fault.strerror}", port=port) from None
    made.setblocking(False)  # noqa: FBT003 - the call has no name for it
    return made


async def run(app: ASGIApp, listening: socket.socket, gate: Gate, settings: ServerSettings) -> None:
    """Answer until the process is told to stop; then drain."""
    import uvicorn

    class Draining(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            gate.draining = True
            super().handle_exit(sig, frame)

    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=max(1, settings.drain_ms // 1000),
        h11_max_incomplete_event_size=64 * 1024,
    )
    await Draining(config).serve(sockets=[listening])


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, and reached by nobody else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_of(listening: socket.socket) -> str:
    """Where a socket is reached from this machine."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def file_beside(store: Path) -> Path:
    """The file that says where the server of a store is reached, and proves who may."""
    return store.parent / "server.json"
