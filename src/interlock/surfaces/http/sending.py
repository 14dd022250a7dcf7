"""A file without a name as a response, and work that ends when its client does.

What it does: sends a file piece by piece, and gives it back whatever happened; drops work nobody waits for any more.
What it does not do: it makes no file, and knows no pack.

Rules: one task sends and one listens for the end of the connection, and neither outlives the response; a file is to be
taken at a least rate, and all of it in a time; who is too slow gets no proper end, so that its connection is closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import IO, Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from interlock.surfaces.http.errors import REQUEST_TIMEOUT
from interlock.surfaces.http.pace import Pace

BYTES: Final = "application/octet-stream"
PIECE_BYTES: Final = 256 * 1024
_LOG = logging.getLogger("interlock.http")
T = TypeVar("T")


class SentFile(Response):
    """Sends a file from its beginning, and calls `done` in the end, with which the file is given back.

    `pace` is how slowly it may be taken, and `whole_ms` how long all of it may take.
    """

    media_type = BYTES

    def __init__(
        self,
        file: IO[bytes],
        size: int,
        headers: Mapping[str, str],
        pace: Pace,
        whole_ms: int,
        done: Callable[[], None],
    ) -> None:
        super().__init__(headers={**headers, "Content-Length": str(size)})
        self._file = file
        self._pace = pace
        self._whole_s = whole_ms / 1000
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, as far as there is somebody who takes it."""
        sending = asyncio.ensure_future(self._sent(scope, send))
        leaving = asyncio.ensure_future(gone(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            self._done()
        if not sending.cancelled():
            sending.result()

    async def _sent(self, scope: Scope, send: Send) -> None:
        try:
            async with asyncio.timeout(self._whole_s):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                if scope["method"] != "HEAD":
                    await self._pieces(send)
                await self._pace.of(send({"type": "http.response.body", "body": b"", "more_body": False}))
        except OSError:  # a time that is over is one; so is a connection that is
            _LOG.info("a download ends: it was not taken in time")

    async def _pieces(self, send: Send) -> None:
        self._file.seek(0)
        while piece := await asyncio.to_thread(self._file.read, PIECE_BYTES):
            await self._pace.of(send({"type": "http.response.body", "body": piece, "more_body": True}))
            self._pace.moved(len(piece))


async def attended(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of work that goes on for as long as its client is there. Raises: what it raises, `request_timeout`."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(gone(request.receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise REQUEST_TIMEOUT.error("the connection ended before the answer")
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
    return working.result()


async def gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
