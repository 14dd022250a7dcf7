"""Threat: a server makes the engine hold, keep or show what it must not.

Every attack is an answer of a real server of this machine.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable, Iterator

import pytest

from interlock.base.canonical import Json
from interlock.base.errors import Category, InterlockError
from interlock.engine.io.transports.http import HttpSettings
from tests.attacks.asking import CANARY, against, ask, refused, transport
from tests.unit.engine.io.transports.server import Server, ok, serving

SMALL = HttpSettings(allow_private_networks=True, response_bytes_max=100_000)

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


@pytest.mark.parametrize("encoding", PACKERS)
def test_a_body_is_limited_to_the_byte_as_it_arrives_and_unpacked(encoding: str) -> None:
    async def body_of(size: int) -> Json:
        response = ok(PACKERS[encoding](b"x" * size), f"Content-Encoding: {encoding}")
        async with serving(response) as server:
            client = transport(SMALL)
            try:
                return (await ask(client, server.url))["body"]
            finally:
                await client.close()

    assert asyncio.run(body_of(100_000)) == "x" * 100_000
    with pytest.raises(InterlockError) as caught:
        asyncio.run(body_of(100_001))
    assert (caught.value.code, caught.value.category) == ("http_body_too_large", Category.UNAVAILABLE)


def test_a_body_that_unpacks_to_a_thousand_times_its_size_is_dropped() -> None:
    bomb = gzip.compress(bytes(100_000_000), 9)
    assert len(bomb) < 100_000

    fault, _ = refused(ok(bomb, "Content-Encoding: gzip"), lambda: transport(SMALL))

    assert fault.code == "http_body_too_large"


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,deflate", "br", "zstd", "compress", "x"])
def test_encodings_that_were_not_asked_for_or_are_stacked_are_refused(encoding: str) -> None:
    fault, _ = refused(ok(gzip.compress(b"x"), f"Content-Encoding: {encoding}"), transport)

    assert fault.code == "http_response_invalid"


def test_a_broken_compressed_body_is_an_error() -> None:
    fault, _ = refused(ok(b"not gzip at all", "Content-Encoding: gzip"), transport)

    assert fault.code == "http_response_invalid"


def test_an_endless_body_ends_at_the_limit() -> None:
    def endless(_: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        while True:
            yield b"1000\r\n" + b"x" * 0x1000 + b"\r\n"

    fault, _ = refused(endless, lambda: transport(SMALL))

    assert fault.code == "http_body_too_large"


def test_an_endless_packed_body_of_nothing_ends_at_the_limit() -> None:
    def endless(_: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: deflate\r\n\r\n"
        packer = zlib.compressobj()
        while True:
            empty = packer.flush(zlib.Z_FULL_FLUSH) or b"\x00\x00\x00\xff\xff"
            yield f"{len(empty):x}\r\n".encode() + empty + b"\r\n"

    fault, _ = refused(endless, lambda: transport(SMALL))

    assert fault.code == "http_body_too_large"


def test_an_endless_head_is_cut_off() -> None:
    def endless(_: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        while True:
            yield b"X-Flood: " + b"x" * 1000 + b"\r\n"

    fault, _ = refused(endless, transport)

    assert fault.code == "http_connection_lost"


def test_cookies_of_one_call_are_not_sent_by_another() -> None:
    async def attack(server: Server) -> list[bytes]:
        client = transport()
        for _ in range(2):
            await ask(client, server.url)
        await client.close()
        return server.requests

    requests = against(ok(b"", f"Set-Cookie: session={CANARY}; Path=/"), attack)
    assert len(requests) == 2
    assert not any(CANARY.encode() in request for request in requests)


def test_a_server_that_repeats_a_secret_does_not_get_it_recorded() -> None:
    def mirror(request: bytes) -> list[bytes]:
        return [ok(request)]

    headers: Json = {"Authorization": {"secret": "env:TOKEN", "prefix": "Bearer "}}
    for answer in (mirror, ok(b"", f"Location: /?token={CANARY}")):
        fault, _ = refused(answer, transport, headers=headers)
        assert fault.code == "secret_echoed"
        assert CANARY not in f"{fault} {fault.details}"


def test_no_error_holds_a_part_of_the_request_or_the_answer() -> None:
    headers: Json = {"Authorization": {"secret": "env:TOKEN"}, "X-Canary": CANARY}
    answers = [
        ok(CANARY.encode(), status="500 Oops"),
        ok(CANARY.encode(), status=f"403 {CANARY}"),
        CANARY.encode() + b"\r\n\r\n",
        ok(CANARY.encode(), "Content-Encoding: gzip"),
        ok(CANARY.encode() + b"\xff"),
        None,
    ]
    for answer in answers:
        fault, server = refused(
            answer, transport, headers=headers, method="POST", body=CANARY, response="text", timeout_ms=1000
        )
        assert len(server.requests) == 1
        assert CANARY not in f"{fault} {fault.details} {fault.__cause__}"
        assert fault.__suppress_context__ or fault.__context__ is None
