"""The connections of a server: how many there are, and how long one may stand still.

What it does: gives the server a protocol that ends connections whose request does not come, or whose answer is not
taken, and tells those that are too many. What it does not do: it counts none (`accepting`), and reads no request and no
body (`bodies` bounds those that an endpoint reads).

Rules: the head of a request is there within a time that begins with the connection, or with the first byte after an
answer, and that no further byte prolongs; so is what still comes of a body that was answered already; an answer that
its client does not take for so long is given up with its connection. Only servers load this module.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from typing import Any, ClassVar, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from interlock.surfaces.http.accepting import Place
from interlock.surfaces.http.framing import StrictConnection
from interlock.surfaces.http.settings import ServerSettings

HEAD_BYTES_MAX: Final = 64 * 1024
FILES_KEPT: Final = 256
"""Files that the process needs beside its connections."""

_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def connections_max(settings: ServerSettings) -> int:
    """How many connections there may be: as set, and no more than the files of this process suffice for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return settings.connections_max
    return max(1, min(settings.connections_max, max(files - FILES_KEPT, files // 2)))


class _Timer:
    """One time that may be running."""

    def __init__(self, after_ms: int, over: Callable[[], None]) -> None:
        self._after_ms = after_ms
        self._over = over
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Let the time run, if it does not."""
        if self._handle is None:
            loop = asyncio.get_running_loop()
            self._handle = loop.call_later(self._after_ms / 1000, self._over)

    def again(self) -> None:
        """Let it run anew."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """Let it run no longer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class _Bounded(H11Protocol):
    """A connection that may not stand still; its place is given back with it."""

    limits: ClassVar[ServerSettings]

    def __init__(self, place: Place, **given: Any) -> None:
        super().__init__(**given)
        self.conn = StrictConnection(h11.SERVER, self.config.h11_max_incomplete_event_size or HEAD_BYTES_MAX)
        self._place = place
        self._coming = _Timer(self.limits.head_timeout_ms, self._late)
        self._taken = _Timer(self.limits.answer_timeout_ms, self._untaken)
        self._left = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._place.beyond:
            transport.write(_FULL)
            transport.close()
            return
        self._coming.start()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._waits():
            self._coming.start()
        else:
            self._coming.stop()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._waits() and self.conn.trailing_data[0]:
            self._coming.start()  # the next request has begun already

    def pause_writing(self) -> None:
        super().pause_writing()
        self._left = self.transport.get_write_buffer_size()
        self._taken.start()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._coming.stop()
        self._taken.stop()
        self._place.back()
        super().connection_lost(exc)

    def _waits(self) -> bool:
        """Whether no request is being answered."""
        return bool(getattr(self.cycle, "response_complete", True))  # there is none before the first

    def _late(self) -> None:
        if self.conn.our_state is h11.IDLE:
            self.transport.write(_LATE)
        self.transport.close()

    def _untaken(self) -> None:
        """Give an answer up of which nothing was taken since the time began; else let it begin anew."""
        left = self.transport.get_write_buffer_size()
        if left >= self._left:
            self.transport.abort()
            return
        self._left = left
        self._taken.again()


def protocol_of(settings: ServerSettings) -> type[H11Protocol]:
    """The protocol of a server's connections, which is made with the place of one."""

    class Limited(_Bounded):
        limits = settings

    return Limited
