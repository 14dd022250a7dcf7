"""Bodies within their bounds, without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock.base.cloud_binding import CLOUD_EVENT_TOO_LARGE
from interlock.base.errors import InterlockError
from interlock.surfaces.errors import EVENT_BODY_SLOW
from interlock.surfaces.http.bodies import Bounds, body

BOUNDS = Bounds(4, 20)
GONE = {"type": "http.disconnect"}
Head = tuple[tuple[str, str], ...]


def given(*messages: dict[str, Any]) -> Any:
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.sleep(60)
        return waiting.pop(0)

    return receive


def part(content: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": content, "more_body": more}


def read(*messages: dict[str, Any], head: Head = (), bounds: Bounds = BOUNDS) -> bytes:
    scope = {"type": "http", "headers": [(name.encode(), value.encode("latin-1")) for name, value in head]}
    return asyncio.run(body(scope, given(*messages), bounds))


def test_a_body_is_read_whole() -> None:
    assert read(part(b"ab", more=True), part(b"", more=True), part(b"cd")) == b"abcd"
    assert read(part(b"abcd"), head=(("content-length", "4"),)) == b"abcd"
    assert read(part(b"")) == b""


CASES: list[tuple[tuple[dict[str, Any], ...], Head, str]] = [
    ((part(b"abc", more=True), part(b"de")), (), "request_too_large"),
    ((part(b"abc", more=True), part(b"de", more=True), GONE), (), "request_too_large"),
    ((), (("content-length", "5"),), "request_too_large"),
    ((), (("content-length", "9" * 5000),), "request_too_large"),
    ((), (("content-length", "\xb2"),), "request_too_large"),
    ((), (("content-length", "1"), ("content-length", "1")), "request_too_large"),
    ((part(b"a", more=True),), (), "request_timeout"),
    ((), (), "request_timeout"),
    ((part(b"a", more=True), GONE), (), "request_timeout"),
]


@pytest.mark.parametrize(("messages", "head", "code"), CASES)
def test_a_body_beyond_its_bounds_or_left_by_its_sender_is_refused(
    messages: tuple[dict[str, Any], ...], head: Head, code: str
) -> None:
    with pytest.raises(InterlockError) as refused:
        read(*messages, head=head)
    assert refused.value.code == code


@pytest.mark.parametrize(("messages", "head", "code"), CASES)
def test_whoever_reads_says_how_a_refusal_is_told(messages: tuple[dict[str, Any], ...], head: Head, code: str) -> None:
    own = {"request_too_large": "cloud_event_too_large", "request_timeout": "event_body_slow"}
    with pytest.raises(InterlockError) as refused:
        read(*messages, head=head, bounds=Bounds(4, 20, too_large=CLOUD_EVENT_TOO_LARGE, late=EVENT_BODY_SLOW))
    assert refused.value.code == own[code]


def test_the_time_of_a_body_is_that_of_all_of_it() -> None:
    async def dripping() -> dict[str, Any]:
        await asyncio.sleep(0.005)
        return part(b"", more=True)

    async def main() -> None:
        async with asyncio.timeout(20):
            await body({"type": "http", "headers": []}, dripping, BOUNDS)

    with pytest.raises(InterlockError) as refused:
        asyncio.run(main())
    assert refused.value.code == "request_timeout"
