"""A stream of the live feed as a response of HTTP.

What it does: sends what a reader gives, piece by piece, and ends when the client goes, when the reader ends, or when a
piece is not taken in time. What it does not do: it buffers nothing, and makes no message.

Rules: one task sends and one listens for the end of the connection, and neither outlives the response; a reader is
closed whatever happened; who is too slow gets no proper end, so that its connection is closed. Decision 0011 says why
this is not the response of `sse-starlette`. Only servers load this module: it imports Starlette.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from interlock.surfaces.sse.reader import Reader
from interlock.surfaces.sse.settings import EventStreamSettings
from interlock.surfaces.standing import Still, until_refused

HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_LOG = logging.getLogger("interlock.sse")


class EventStreamResponse(Response):
    """Sends a reader's stream, and gives its seat back."""

    media_type = "text/event-stream"

    def __init__(self, reader: Reader, settings: EventStreamSettings, still: Still) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._reader = reader
        self._slow_reader_ms = settings.slow_reader_ms
        self._look_s = settings.heartbeat_ms / 1000
        self._still = still

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream until it ends."""
        if scope["method"] == "HEAD":
            self._reader.close()
            await self._send(send, None, more=False)
            return
        sending = asyncio.ensure_future(self._stream(send))
        leaving = asyncio.ensure_future(_gone(receive))
        looking = asyncio.ensure_future(self._look())
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            leaving.cancel()
            looking.cancel()
            await asyncio.gather(sending, leaving, looking, return_exceptions=True)
            self._reader.close()
        if not sending.cancelled():
            sending.result()

    async def _look(self) -> None:
        """Ask with each heartbeat whether the reader still may hear, and end its stream where it may not."""
        self._reader.end(await until_refused(self._still, self._look_s))

    async def _stream(self, send: Send) -> None:
        await self._start(send)
        async with aclosing(self._reader.chunks()) as chunks:
            async for chunk in chunks:
                if not await self._send(send, chunk):
                    _LOG.info("a reader of the live feed is dropped: it did not take what was sent")
                    return
        if self._reader.dropped:
            _LOG.info("a reader of the live feed is dropped: too much waits for it")
            return
        await self._send(send, b"", more=False)

    async def _start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _send(self, send: Send, chunk: bytes | None, *, more: bool = True) -> bool:
        """Send a piece, with the head before it where there is none; False if it was not taken in time."""
        try:
            async with asyncio.timeout(self._slow_reader_ms / 1000):
                if chunk is None:
                    await self._start(send)
                await send({"type": "http.response.body", "body": chunk or b"", "more_body": more})
        except OSError:  # a time that is over is one; so is a connection that is
            return False
        return True


async def _gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
