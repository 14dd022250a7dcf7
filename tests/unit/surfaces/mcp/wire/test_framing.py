"""Frames: what is read of any chunks, what is refused, and after what the next frame is still read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.errors import InterlockError
from interlock.surfaces.mcp.wire.framing import (
    BODY_BYTES_MAX,
    HEAD_BYTES_MAX,
    HEAD_LINES_MAX,
    PASSED_BYTES_MAX,
    Frame,
    Frames,
    framed,
)


class Given:
    """A source that gives these chunks, then nothing."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter([chunk for chunk in chunks if chunk])

    async def read(self) -> bytes:
        return next(self._chunks, b"")


def read(*chunks: bytes) -> list[Frame | str]:
    """Every frame of a source, and the code with which reading ended, if it did not end well."""

    async def whole() -> list[Frame | str]:
        frames, found = Frames(Given(chunks)), list[Frame | str]()
        try:
            while (frame := await frames.next()) is not None:
                found.append(frame)
        except InterlockError as fault:
            found.append(fault.code)
        return found

    return asyncio.run(whole())


@given(st.lists(st.binary(max_size=80), max_size=5), st.data())
def test_frames_are_the_same_however_they_arrive(bodies: list[bytes], data: st.DataObject) -> None:
    content = b"".join(map(framed, bodies))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=12)))
    chunks = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    assert read(*chunks) == [Frame(body) for body in bodies]


@given(st.binary(max_size=300))
def test_no_bytes_are_read_without_an_end(content: bytes) -> None:
    assert all(isinstance(each, Frame) or each == "wire_frame_invalid" for each in read(content))


@pytest.mark.parametrize(
    ("head", "frame"),
    [
        (b"content-length: 2\n\n", Frame(b"{}")),
        (b"CONTENT-LENGTH:2\r\n\r\n", Frame(b"{}")),
        (b"Content-Type: x\r\nContent-Length:   2  \r\n\r\n", Frame(b"{}")),
        (b"X-Correlation-Id: a b\r\nContent-Length: 2\r\n\r\n", Frame(b"{}", "a b")),
    ],
)
def test_a_head_that_is_read(head: bytes, frame: Frame) -> None:
    assert read(head + b"{}") == [frame]


LENGTH = b"Content-Length: 2\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n",
        b"Content-Type: x\r\n\r\n",
        b"Content-Length: two\r\n\r\n",
        b"Content-Length: -2\r\n\r\n",
        b"Content-Length: 2.0\r\n\r\n",
        b"Content-Length: 9999999999999\r\n\r\n",
        b"Content-Length: %d\r\n\r\n" % (PASSED_BYTES_MAX + 1),
        LENGTH + LENGTH + b"\r\n",
        LENGTH + b"content-length: 3\r\n\r\n",
        b"X: y\r\n" * HEAD_LINES_MAX + LENGTH + b"\r\n",
        b"X: " + b"y" * HEAD_BYTES_MAX + b"\r\n" + LENGTH + b"\r\n",
        b"y" * (HEAD_BYTES_MAX + 1),
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}\n',
        b"[1]\n",
        b"X: yyyyyyy\r\n" * 60 + b"Y: " + b"y" * (HEAD_BYTES_MAX - 700) + b"\r\n" + LENGTH + b"\r\n",
    ],
)
def test_a_head_that_leaves_no_place_to_go_on_from_is_the_end(head: bytes) -> None:
    assert read(framed(b"1"), head + b"{}" + framed(b"2")) == [Frame(b"1"), "wire_frame_invalid"]


def test_a_head_may_be_as_long_as_the_limit() -> None:
    lines = b"X: y\r\n" * (HEAD_LINES_MAX - 1) + LENGTH
    assert read(lines + b"\r\n{}") == [Frame(b"{}")]
    filling = HEAD_BYTES_MAX - len(LENGTH) - len(b"X: \r\n\r\n")
    assert read(b"X: " + b"y" * filling + b"\r\n" + LENGTH + b"\r\n{}") == [Frame(b"{}")]


def test_a_body_may_be_as_large_as_the_limit_and_a_larger_one_is_passed_over() -> None:
    largest, larger = b"x" * BODY_BYTES_MAX, b"x" * (BODY_BYTES_MAX + 1)
    assert read(framed(largest), framed(larger), framed(b"2")) == [Frame(largest), Frame(None), Frame(b"2")]
    assert read(framed(larger)[:-1]) == []


@pytest.mark.parametrize("cut", range(1, len(framed(b"body"))))
def test_a_source_that_ends_within_a_frame_has_ended(cut: int) -> None:
    assert read(framed(b"first") + framed(b"body")[:cut]) == [Frame(b"first")]
