"""Requests of which a proxy could see another end than the server: refused, and nothing behind them is read."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.surfaces.http.serving import TOKEN, Asking, serving
from tests.surfaces.http.test_load import ended, opened

HOST = b"Host: 127.0.0.1\r\n"
TOKEN_LINE = f"Authorization: Bearer {TOKEN}\r\n".encode()
SECOND = b"GET /api/v1/leases HTTP/1.1\r\n" + HOST + TOKEN_LINE + b"\r\n"
"""What somebody hides behind a request."""

CHUNKED = b"Transfer-Encoding: chunked\r\n"
POST = b"POST /api/v1/subscriptions HTTP/1.1\r\n" + HOST + TOKEN_LINE + b"Content-Type: application/json\r\n"
TWO_MEANINGS = [
    POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + SECOND,
    POST + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n" + SECOND,
    POST + b"Content-Length: 0\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + SECOND,
    POST.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKED + b"\r\n0\r\n\r\n" + SECOND,
    POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + SECOND,
    POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SECOND,
    b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: b\n\r\n" + SECOND,
    b"GET /healthz HTTP/1.1\n" + HOST + b"\r\n" + SECOND,
    b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: b\r\n\n" + SECOND,
    b"GET /healthz HTTP/1.1\n" + b"Host: 127.0.0.1\n\n" + SECOND,
    b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: b\r\n Content-Length: 5\r\n\r\n" + SECOND,
    b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: b\r\n\tmore\r\n\r\n" + SECOND,
    b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: b\rX-B: c\r\n\r\n" + SECOND,
    b"GET /healthz HTTP/1.1\r\n" + HOST + b"Content-Length : 5\r\n\r\n" + SECOND,
]
ONE_MEANING = [
    (POST + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n\r\n", b"400"),
    (POST + b"Content-Length: 2\r\n\r\n{}", b"400"),
    (b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n", b"200"),
]


async def statuses(asking: Asking, content: bytes, pieces: int = 1) -> list[bytes]:
    """The statuses of all answers to what is sent, in so many pieces, over one connection."""
    reader, writer = await opened(asking)
    size = len(content) // pieces + 1
    for at in range(0, len(content), size):
        writer.write(content[at : at + size])
        await asyncio.sleep(0)
    said = await ended(reader)
    writer.close()
    return [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]]


def test_a_request_that_two_readers_could_end_elsewhere_is_refused_and_its_connection_closed(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, {"server": {"head_timeout_ms": 1_000}}) as asking, asyncio.timeout(60):
            for content in TWO_MEANINGS:
                assert await statuses(asking, content) == [b"400"], content
            # Who is still sending when the connection ends may hear nothing, but no other answer.
            assert set(await statuses(asking, TWO_MEANINGS[0], pieces=40)) <= {b"400"}
            good = ONE_MEANING[2][0]
            assert await statuses(asking, good + TWO_MEANINGS[0]) == [b"200", b"400"]

    asyncio.run(main())


def test_requests_of_one_meaning_are_answered_one_behind_the_other(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, {"server": {"head_timeout_ms": 300}}) as asking, asyncio.timeout(60):
            content = b"".join(each for each, _ in ONE_MEANING * 2) + SECOND.replace(
                b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"
            )
            assert await statuses(asking, content) == [*(told for _, told in ONE_MEANING * 2), b"200"]

    asyncio.run(main())
