"""Pipes for a protocol: real descriptors, read and written without holding the loop."""

from __future__ import annotations

import asyncio
import os

import pytest

from interlock.surfaces.mcp.pipes import InputPipe, OutputPipe


def test_what_is_written_at_one_end_is_read_at_the_other_and_then_the_end() -> None:
    async def through() -> bytes:
        reading, writing = os.pipe()
        source, drain = InputPipe(reading), OutputPipe(writing)
        content = os.urandom(300_000)
        written = asyncio.ensure_future(drain.write(content))
        found = bytearray()
        while len(found) < len(content):
            found += await source.read()
        await written
        os.close(writing)
        assert await source.read() == b""
        assert await source.read() == b""
        os.close(reading)
        assert bytes(found) == content
        return bytes(found)

    assert asyncio.run(through())


def test_reading_can_be_cancelled_although_nobody_writes() -> None:
    async def waiting() -> None:
        reading, _writing = os.pipe()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(InputPipe(reading).read(), 0.05)

    asyncio.run(waiting())


def test_writing_can_be_cancelled_although_nobody_reads() -> None:
    async def waiting() -> int:
        reading, writing = os.pipe()
        drain = OutputPipe(writing)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(drain.write(b"x" * 10_000_000), 0.05)
        return reading

    os.close(asyncio.run(waiting()))


def test_what_was_being_written_when_the_writer_gave_up_stands_before_what_comes_next() -> None:
    async def through() -> bytes:
        reading, writing = os.pipe()
        source, drain = InputPipe(reading), OutputPipe(writing)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(drain.write(b"x" * 1_000_000), 0.05)
        found = bytearray()
        next_one = asyncio.ensure_future(drain.write(b"y"))
        while not found.endswith(b"y"):
            found += await source.read()
        await next_one
        return bytes(found)

    assert asyncio.run(through()) == b"x" * 1_000_000 + b"y"


def test_whoever_writes_to_nobody_is_told() -> None:
    async def written() -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with pytest.raises(BrokenPipeError):
            await OutputPipe(writing).write(b"x")

    asyncio.run(written())


def test_a_descriptor_that_cannot_be_read_has_ended() -> None:
    async def read() -> bytes:
        reading, writing = os.pipe()
        os.close(writing)
        closed = os.dup(reading)
        os.close(closed)
        return await InputPipe(closed).read()

    assert asyncio.run(read()) == b""
