"""Frames: a head with a `Content-Length`, an empty line, and so many bytes.

What it does: reads one frame after the other from chunks of bytes, within limits, and writes one. What it does not do:
it reads no message, and answers nobody.

Rules (seed 000): a head has at most `HEAD_BYTES_MAX` bytes in `HEAD_LINES_MAX` lines and one `Content-Length`; a body
has at most `BODY_BYTES_MAX`. A body that is too large is passed over, and the next frame is read; a head that does not
say where the body ends leaves no place to go on from, and is the end. Nothing is kept of what is passed over.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from interlock.surfaces.errors import WIRE_FRAME_INVALID
from interlock.surfaces.mcp.pipes import Source

HEAD_BYTES_MAX: Final = 8 * 1024
HEAD_LINES_MAX: Final = 64
BODY_BYTES_MAX: Final = 1024 * 1024
PASSED_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of a body that is too large and is passed over; a larger one is the end."""

CORRELATION_HEADER: Final = "x-correlation-id"
_LENGTH: Final = re.compile(r"[0-9]{1,12}")


class Frame(Struct, frozen=True):
    """A body, and the correlation id that its head names; None for a body that was too large."""

    body: bytes | None
    correlation_id: str | None = None


class Frames:
    """The frames of a source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._kept = bytearray()

    async def next(self) -> Frame | None:
        """The next frame; None at the end of the source. Raises: `wire_frame_invalid`, after which there is none."""
        head = await self._head()
        if head is None:
            return None
        length = _length_of(head)
        correlation_id = next(iter(head.get(CORRELATION_HEADER, ())), None)
        if length > BODY_BYTES_MAX:
            return Frame(None) if await self._pass_over(length) else None
        while len(self._kept) < length:
            if not await self._more():
                return None
        body = bytes(self._kept[:length])
        del self._kept[:length]
        return Frame(body, correlation_id)

    async def _head(self) -> dict[str, list[str]] | None:
        """The fields of a head by their names in small letters; None where the source ends before it does."""
        fields: dict[str, list[str]] = {}
        head_bytes = lines = 0
        while (line := await self._line(HEAD_BYTES_MAX - head_bytes)) is not None:
            head_bytes, lines = head_bytes + len(line), lines + 1
            text = line.rstrip(b"\r\n").decode("latin-1")
            if not text.strip():
                return fields
            if lines > HEAD_LINES_MAX:
                raise WIRE_FRAME_INVALID.error(f"the head of a frame has more than {HEAD_LINES_MAX} lines")
            if lines == 1 and text[0] in "{[":
                raise WIRE_FRAME_INVALID.error("a message stands where the head of a frame has to: Content-Length: N")
            name, _, value = text.partition(":")
            fields.setdefault(name.strip().lower(), []).append(value.strip())
        return None

    async def _line(self, bytes_max: int) -> bytes | None:
        """A line with its end; None where the source ends before."""
        searched = 0
        while (end := self._kept.find(b"\n", searched)) < 0 and len(self._kept) <= bytes_max:
            searched = len(self._kept)
            if not await self._more():
                return None
        if end < 0 or end >= bytes_max:
            raise WIRE_FRAME_INVALID.error(f"the head of a frame has more than {HEAD_BYTES_MAX} bytes")
        line = bytes(self._kept[: end + 1])
        del self._kept[: end + 1]
        return line

    async def _pass_over(self, length: int) -> bool:
        """Leave out so many bytes; False where the source ends before. Raises: `wire_frame_invalid`."""
        if length > PASSED_BYTES_MAX:
            raise WIRE_FRAME_INVALID.error(f"the body of a frame has more than {PASSED_BYTES_MAX} bytes")
        while True:
            left_out = min(length, len(self._kept))
            del self._kept[:left_out]
            length -= left_out
            if not length:
                return True
            if not await self._more():
                return False

    async def _more(self) -> bool:
        chunk = await self._source.read()
        self._kept += chunk
        return bool(chunk)


def _length_of(head: dict[str, list[str]]) -> int:
    lengths = head.get("content-length", [])
    if len(lengths) != 1:
        raise WIRE_FRAME_INVALID.error("the head of a frame has not one Content-Length")
    if _LENGTH.fullmatch(lengths[0]) is None:
        raise WIRE_FRAME_INVALID.error("the Content-Length of a frame is no number of bytes")
    return int(lengths[0])


def framed(body: bytes) -> bytes:
    """A body as a frame."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
