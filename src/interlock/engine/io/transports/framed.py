"""Speaks to one program in frames: each a `Content-Length`, an empty line, and so many bytes.

What it does: sends a message and takes the answer, one at a time; starts the program at the first call, and anew after
it has ended. What it does not do: it reads no message.

Rules: head and body of an answer are limited, and a second `Content-Length` is refused; a call that ends before its
answer is whole, for whatever reason, ends the program, so that no answer is ever taken for another's; after a failure
the next start waits, each time twice as long, up to a limit. Source: seed 000, external providers.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from interlock.engine.io.transports.peer import PEER_ANSWER_INVALID, PEER_GONE, Peer
from interlock.engine.io.transports.warden import Warden

HEAD_BYTES_MAX: Final = 8 * 1024
BODY_BYTES_MAX: Final = 1024 * 1024
RESTART_MS: Final = 100
RESTART_MS_MAX: Final = 30_000

_LENGTH: Final = re.compile(rb"content-length:[ \t]*([0-9]{1,9})[ \t]*", re.IGNORECASE)


class BackOff:
    """When something that failed may be started anew."""

    def __init__(self) -> None:
        self._failures = 0
        self._not_before = 0.0

    async def wait(self) -> None:
        """Wait until it may."""
        await asyncio.sleep(max(0.0, self._not_before - asyncio.get_running_loop().time()))

    def failed(self) -> None:
        """Note a failure."""
        delay_ms = min(RESTART_MS * 2 ** min(self._failures, 16), RESTART_MS_MAX)
        self._failures += 1
        self._not_before = asyncio.get_running_loop().time() + delay_ms / 1000

    def succeeded(self) -> None:
        """Forget the failures."""
        self._failures, self._not_before = 0, 0.0


class FramedProgram:
    """A program that answers frames. Its first call starts it; `close` ends it."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command
        self._warden = Warden()
        self._peer: Peer | None = None
        self._turn = asyncio.Lock()
        self._back_off = BackOff()

    async def exchange(self, message: bytes) -> bytes:
        """Send a message and take its answer. Raises: `peer_start_failed`, `peer_gone`, `peer_answer_invalid`."""
        async with self._turn:
            try:
                peer = await self._running()
                await peer.write(b"Content-Length: %d\r\n\r\n%b" % (len(message), message))
                answer = await _answer(peer.reader)
            except BaseException:
                self._back_off.failed()
                await self._end()
                raise
            self._back_off.succeeded()
            return answer

    async def close(self) -> None:
        """End the program and its warden."""
        async with self._turn:
            await self._end()
        await self._warden.close()

    async def _running(self) -> Peer:
        if self._peer is not None and not self._peer.lives:
            await self._end()
        if self._peer is None:
            await self._back_off.wait()
            self._peer = await Peer.start(self._command, self._warden, HEAD_BYTES_MAX)
        return self._peer

    async def _end(self) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            await peer.end()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readexactly(await _length(reader))
    except asyncio.IncompleteReadError:
        raise PEER_GONE.error("the program ended before its answer was whole") from None
    except asyncio.LimitOverrunError:
        raise PEER_ANSWER_INVALID.error(f"the head of an answer has more than {HEAD_BYTES_MAX} bytes") from None


async def _length(reader: asyncio.StreamReader) -> int:
    """How many bytes follow the head of an answer."""
    lengths, head_bytes = [], 0
    while line := (whole := await reader.readuntil(b"\n")).rstrip(b"\r\n"):
        head_bytes += len(whole)
        if head_bytes > HEAD_BYTES_MAX:
            raise PEER_ANSWER_INVALID.error(f"the head of an answer has more than {HEAD_BYTES_MAX} bytes")
        if line.lower().startswith(b"content-length"):
            lengths.append(_LENGTH.fullmatch(line))
    if len(lengths) != 1 or lengths[0] is None:
        raise PEER_ANSWER_INVALID.error("the head of an answer has not one Content-Length")
    length = int(lengths[0][1])
    if length > BODY_BYTES_MAX:
        raise PEER_ANSWER_INVALID.error(f"an answer has more than {BODY_BYTES_MAX} bytes", limit_bytes=BODY_BYTES_MAX)
    return length
