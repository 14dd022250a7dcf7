"""Reading a body: no more than may be, and no longer than it may take.

What it does: reads the body of a request whole, or chunk by chunk for whoever keeps it. What it does not do: it parses
nothing.

Rules: what is announced as too large is refused unread; what turns out to be is refused there; a body that stands
still is given up, and its connection closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from starlette.requests import ClientDisconnect, Request

from interlock.surfaces.http.errors import MEDIA_TYPE_UNSUPPORTED, REQUEST_TIMEOUT, REQUEST_TOO_LARGE

JSON: Final = "application/json"
PASSED_BYTES_MAX: Final = 16 * 1024 * 1024
PASSED_MS_MAX: Final = 2_000


def check_media_type(request: Request, *expected: str) -> None:
    """Whether a body is of a type that is read. Raises: `media_type_unsupported`."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in expected:
        raise MEDIA_TYPE_UNSUPPORTED.error(f"the body is not {' or '.join(expected)}")


async def chunks(request: Request, bytes_max: int, timeout_ms: int) -> AsyncIterator[bytes]:
    """The body, piece by piece. Raises: `request_too_large`, `request_timeout`."""
    announced = request.headers.get("content-length", "0")
    if not announced.isascii() or not announced.isdigit() or len(announced) > 15 or int(announced) > bytes_max:
        await _pass_over(request.stream())
        raise REQUEST_TOO_LARGE.error(f"the body has more than {bytes_max} bytes", limit_bytes=bytes_max)
    seen = 0
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise REQUEST_TIMEOUT.error(f"no part of the body came for {timeout_ms} ms") from None
        except ClientDisconnect:
            raise REQUEST_TIMEOUT.error("the connection ended within the body") from None
        if chunk is None:
            return
        seen += len(chunk)
        if seen > bytes_max:
            await _pass_over(stream)
            raise REQUEST_TOO_LARGE.error(f"the body has more than {bytes_max} bytes", limit_bytes=bytes_max)
        if chunk:
            yield chunk


async def _pass_over(stream: AsyncIterator[bytes]) -> None:
    """Read on a little, so that whoever sends too much hears of it before the connection ends."""
    passed = 0
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(PASSED_MS_MAX / 1000):
            async for chunk in stream:
                passed += len(chunk)
                if passed > PASSED_BYTES_MAX:
                    return


async def body(request: Request, bytes_max: int, timeout_ms: int) -> bytes:
    """The whole body. Raises: as `chunks`; the whole of it may take no longer than a part."""
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            return b"".join([chunk async for chunk in chunks(request, bytes_max, timeout_ms)])
    except TimeoutError:
        raise REQUEST_TIMEOUT.error(f"the body did not come within {timeout_ms} ms") from None
