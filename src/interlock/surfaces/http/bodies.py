"""Reading a body: no more than may be, and no longer than it may take. Whatever reads one of a request reads it here.

What it does: reads the body of a request whole, or piece by piece for whoever keeps it. What it does not do: it parses
nothing, and knows no address.

Rules: what is announced as too large is refused unread; what turns out to be is refused there, and nothing of it is
kept; nothing is unpacked, so that a small body stays a small one; a body that stands still, or whose sender goes, is
given up; whoever reads says how that is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.types import Receive, Scope

from interlock.base.cloud_binding import media_type
from interlock.base.errors import ErrorCode, InterlockError
from interlock.surfaces.errors import INPUT_INVALID
from interlock.surfaces.http.errors import MEDIA_TYPE_UNSUPPORTED, REQUEST_TIMEOUT, REQUEST_TOO_LARGE
from interlock.surfaces.http.pace import Pace

JSON: Final = "application/json"
UTF_8: Final = frozenset({"", "utf-8", "utf8", "us-ascii"})
PASSED_BYTES_MAX: Final = 16 * 1024 * 1024
PASSED_MS_MAX: Final = 2_000
_LENGTH_DIGITS_MAX: Final = 15


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a body may be, how long it may take, and the errors that say so.

    With `bytes_per_second_min` the time is not that of the whole body, but how long it may stay below that rate.
    `passed_ms` is how long more is passed over of a body that is too large, before that is said.
    """

    bytes_max: int
    timeout_ms: int
    too_large: ErrorCode = REQUEST_TOO_LARGE
    late: ErrorCode = REQUEST_TIMEOUT
    passed_ms: int = PASSED_MS_MAX
    bytes_per_second_min: int = 0

    def excess(self) -> InterlockError:
        """The error of a body that is too large."""
        return self.too_large.error(f"the body has more than {self.bytes_max} bytes", limit_bytes=self.bytes_max)


def check_media_type(request: Request, *expected: str) -> None:
    """Whether a body is of a type that is read, in UTF-8 where it is text. Raises: `media_type_unsupported`."""
    kind, charset = media_type(request.headers.get("content-type", ""))
    if kind not in expected:
        raise MEDIA_TYPE_UNSUPPORTED.error(f"the body is not {' or '.join(expected)}")
    if charset not in UTF_8:
        raise MEDIA_TYPE_UNSUPPORTED.error("text is read in UTF-8 alone")


def check_no_body(request: Request) -> None:
    """Whether a request that takes no body brings none. Raises: `input_invalid`."""
    if announced(request.scope) or "transfer-encoding" in request.headers:
        raise INPUT_INVALID.error("`body`: this request takes none", place="body")


async def body(scope: Scope, receive: Receive, bounds: Bounds) -> bytes:
    """The whole body. Raises: `bounds.too_large`, `bounds.late`, `media_type_unsupported`."""
    return b"".join([piece async for piece in pieces(scope, receive, bounds)])


async def pieces(scope: Scope, receive: Receive, bounds: Bounds) -> AsyncIterator[bytes]:
    """The body, piece by piece. Raises: `bounds.too_large`, `bounds.late`, `media_type_unsupported`."""
    if any(name == b"content-encoding" and value.lower() != b"identity" for name, value in scope["headers"]):
        raise MEDIA_TYPE_UNSUPPORTED.error("the body is encoded; only what is sent as it is is read")
    if announced(scope) > bounds.bytes_max:
        await _pass_over(receive, bounds.passed_ms)
        raise bounds.excess()
    pace = Pace(bounds.timeout_ms, bounds.bytes_per_second_min)
    seen, more = 0, True
    while more:
        try:
            message = await pace.of(receive())
        except TimeoutError:
            raise bounds.late.error(f"the body did not {pace.asked()}", limit_ms=bounds.timeout_ms) from None
        if message["type"] != "http.request":
            raise bounds.late.error("the connection ended within the body")
        piece, more = message.get("body", b""), message.get("more_body", False)
        pace.moved(len(piece))
        seen += len(piece)
        if seen > bounds.bytes_max:
            if more:
                await _pass_over(receive, bounds.passed_ms)
            raise bounds.excess()
        if piece:
            yield piece


def announced(scope: Scope) -> int:
    """How many bytes the head of a request says that its body has; of what is no number, more than anybody takes."""
    text = b",".join(value for name, value in scope["headers"] if name == b"content-length") or b"0"
    return int(text) if text.isdigit() and len(text) <= _LENGTH_DIGITS_MAX else 10**_LENGTH_DIGITS_MAX


async def _pass_over(receive: Receive, passed_ms: int) -> None:
    """Read on a little, so that whoever sends too much hears of it before the connection ends."""
    passed, more = 0, True
    with suppress(TimeoutError):
        async with asyncio.timeout(passed_ms / 1000):
            while more and passed <= PASSED_BYTES_MAX:
                message = await receive()
                passed += len(message.get("body", b""))
                more = message["type"] == "http.request" and message.get("more_body", False)
