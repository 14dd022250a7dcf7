"""The server of uvicorn, made to take connections by our rules, and to drain when it is told to stop.

What it does: has connections accepted that are counted from the first, and ends by a signal of the loop. What it does
not do: it answers nothing, and opens no socket.

Rule: who is told to stop takes nothing new, lets go of what streams, and then waits for what is under way, in bounded
time. Only servers load this module.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from interlock.surfaces.http.accepting import Accepting, Place, Places
from interlock.surfaces.http.connections import HEAD_BYTES_MAX, connections_max, protocol_of
from interlock.surfaces.http.settings import ServerSettings

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Draining(uvicorn.Server):
    """Takes signals by the loop, and raises none again once it has drained.

    `told` are the signals that it was given; `stopping` is called at each, and `quiet` before it waits.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServerSettings,
        tls: tuple[str | None, str | None],
        stopping: Callable[[], None],
        quiet: Callable[[], Awaitable[None]],
    ) -> None:
        protocol = protocol_of(settings)
        super().__init__(_config(app, settings, protocol, tls))
        self._protocol: Callable[..., asyncio.Protocol] = protocol
        self.told: list[signal.Signals] = []
        self._handshake_ms = settings.handshake_timeout_ms
        self._places = Places(connections_max(settings))
        self._stopping = stopping
        self._quiet = quiet

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Have the loop tell of signals for as long as this is entered."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.stop, number)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Enter the lifespan, and accept on the sockets."""
        await super().startup(sockets=[])  # what uvicorn accepts itself counts only when its TLS has begun
        for each in sockets or []:
            made = Accepting(each, self._places, self._answering, self.config.ssl, self._handshake_ms)
            self.servers.append(made)  # type: ignore[arg-type]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of what streams, and wait for what is under way."""
        await self._quiet()
        await super().shutdown(sockets)

    def stop(self, number: signal.Signals) -> None:
        """End as a signal would."""
        self._stopping()
        self.told.append(number)
        self.should_exit = True

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
