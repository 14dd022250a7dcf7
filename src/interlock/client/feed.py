"""One connection to the feed of a server.

What it does: opens it where the last one ended, and gives its messages: the snapshot where it begins, then events. What
it does not do: it does not reconnect.

Rules: heartbeats are kept to itself; a message that says why nothing follows is raised; a stream that is silent for
longer than its heartbeats is a lost one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, Final

import msgspec

from interlock.base.errors import InterlockError
from interlock.client.errors import CLIENT_ANSWER_INVALID, CLIENT_CONNECTION_LOST
from interlock.client.exchange import Received, Sending
from interlock.client.stream import Messages, ServerEvent
from interlock.surfaces.http.routes import PREFIX

if TYPE_CHECKING:
    from interlock.client.wire import Wire

EVENTS_PATH: Final = f"{PREFIX}/events/stream"
SECONDS_SILENT_MAX: Final = 90.0
PROBLEM_BYTES_MAX: Final = 256 * 1024
_MEDIA_TYPE: Final = "text/event-stream"
_HEARTBEAT: Final = "heartbeat"
_ERROR: Final = "error"


async def listened(
    wire: Wire, messages: Messages, query: str, timeout_s: float, refused: Callable[[Received], InterlockError]
) -> AsyncGenerator[ServerEvent, None]:
    """The messages of one connection until it ends. Raises: `client_…`, and what the server refuses."""
    headers = {"accept": _MEDIA_TYPE, "cache-control": "no-store"}
    if messages.last_id:
        headers["last-event-id"] = messages.last_id
    async with wire.listen(Sending("GET", EVENTS_PATH, query, headers), timeout_s) as response:
        chunks = response.aiter_raw()
        if response.status_code != 200:
            body = await _beginning(chunks, timeout_s)
            raise refused(Received(response.status_code, dict(response.headers.items()), body))
        if not response.headers.get("content-type", "").lower().startswith(_MEDIA_TYPE):
            raise CLIENT_ANSWER_INVALID.error("the server's feed is no stream of events")
        while (chunk := await _next(chunks)) is not None:
            for message in messages.feed(chunk):
                if message.event == _ERROR:
                    raise refused(_ended(message))
                if message.event != _HEARTBEAT:
                    yield message


def _ended(message: ServerEvent) -> Received:
    """The last message of a stream that a fault ends, as the refusal that it is."""
    told = message.data if isinstance(message.data, dict) else {}
    problem = {"code": told.get("code"), "detail": told.get("message"), "retryable": told.get("retryable")}
    return Received(500, {}, msgspec.json.encode({name: each for name, each in problem.items() if each is not None}))


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    try:
        async with asyncio.timeout(SECONDS_SILENT_MAX):
            return await anext(chunks, None)
    except TimeoutError:
        raise CLIENT_CONNECTION_LOST.error("the server's feed is silent") from None


async def _beginning(chunks: AsyncIterator[bytes], timeout_s: float) -> bytes:
    """The beginning of a refusal; more of it is not read."""
    body = bytearray()
    async with asyncio.timeout(timeout_s):
        async for chunk in chunks:
            body += chunk
            if len(body) > PROBLEM_BYTES_MAX:
                break
    return bytes(body[:PROBLEM_BYTES_MAX])
