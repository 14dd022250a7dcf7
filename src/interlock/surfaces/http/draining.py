"""The server of uvicorn, made to take connections by our rules, and to drain when it is told to stop.

What it does: has connections accepted that are counted from the first, and says when it answers. What it does not do:
it answers nothing, opens no socket, and listens for no signal (`stopping` does).

Rule: who is told to stop takes nothing new, lets go of what streams, and then waits for what is under way, in bounded
time. Only servers load this module.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from interlock.surfaces.http.accepting import Accepting, Place, Places
from interlock.surfaces.http.connections import HEAD_BYTES_MAX, connections_max, protocol_of
from interlock.surfaces.http.settings import ServerSettings


class Draining(uvicorn.Server):
    """Leaves signals to others. `started` is called once it answers, and `quiet` before it drains."""

    def __init__(
        self,
        app: ASGIApp,
        settings: ServerSettings,
        tls: tuple[str | None, str | None],
        quiet: Callable[[], Awaitable[None]],
        started: Callable[[], object],
    ) -> None:
        protocol = protocol_of(settings)
        super().__init__(_config(app, settings, protocol, tls))
        self._protocol: Callable[..., asyncio.Protocol] = protocol
        self._handshake_ms = settings.handshake_timeout_ms
        self._places = Places(connections_max(settings))
        self._quiet = quiet
        self._started = started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Enter the lifespan, and accept on the sockets."""
        await super().startup(sockets=[])  # what uvicorn accepts itself counts only when its TLS has begun
        for each in sockets or []:
            made = Accepting(each, self._places, self._answering, self.config.ssl, self._handshake_ms)
            self.servers.append(made)  # type: ignore[arg-type]
        if not self.should_exit:
            self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of what streams, and wait for what is under way."""
        await self._quiet()
        await super().shutdown(sockets)

    def _answering(self, place: Place) -> asyncio.Protocol:
        state = self.lifespan.state
        return self._protocol(place, config=self.config, server_state=self.server_state, app_state=state)


def _config(
    app: ASGIApp, settings: ServerSettings, protocol: type[asyncio.Protocol], tls: tuple[str | None, str | None]
) -> uvicorn.Config:
    certificate, key = tls
    return uvicorn.Config(
        app,
        lifespan="on",
        http=protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=max(1, settings.drain_ms // 1000),
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
