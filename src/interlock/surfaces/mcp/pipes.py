"""Standard input and output for a protocol alone.

What it does: takes both descriptors away from the rest of the process, reads the one and writes the other in threads of
their own, and gives whatever else prints to standard error. What it does not do: it knows no message.

Rules: input is read no faster than it is used; whoever waits here can be cancelled, and no thread keeps the process
from ending, also where the other side neither writes nor reads; nothing reaches the output but what is written here.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from concurrent.futures import CancelledError
from typing import Final, Protocol

READ_BYTES: Final = 64 * 1024
CHUNKS_MAX: Final = 4


class Source(Protocol):
    """Where bytes come from."""

    async def read(self) -> bytes:
        """Some bytes that have come; none at the end."""
        ...


class Drain(Protocol):
    """Where bytes go."""

    async def write(self, content: bytes) -> None:
        """Write all of it. Raises: `OSError` where nobody reads any more."""
        ...


class InputPipe:
    """A descriptor that is read, chunk by chunk."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue(CHUNKS_MAX)
        self._ended = False
        threading.Thread(target=self._pump, name="mcp-input", daemon=True).start()

    async def read(self) -> bytes:
        """Some bytes that have come; none at the end."""
        if self._ended:
            return b""
        chunk = await self._chunks.get()
        self._ended = not chunk
        return chunk

    def _pump(self) -> None:
        chunk = b"begun"
        while chunk:
            try:
                chunk = os.read(self._descriptor, READ_BYTES)
            except OSError:
                chunk = b""
            putting = self._chunks.put(chunk)
            try:
                asyncio.run_coroutine_threadsafe(putting, self._loop).result()
            except (RuntimeError, CancelledError):  # the loop has ended, and with it the protocol
                putting.close()
                return


class OutputPipe:
    """A descriptor that is written."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._given: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        threading.Thread(target=self._pump, name="mcp-output", daemon=True).start()

    async def write(self, content: bytes) -> None:
        """Write all of it. Raises: `OSError` where nobody reads any more."""
        written: asyncio.Future[None] = self._loop.create_future()
        self._given.put((content, written))
        await written

    def _pump(self) -> None:
        while True:
            content, written = self._given.get()
            fault: OSError | None = None
            try:
                while content:
                    content = content[os.write(self._descriptor, content) :]
            except OSError as failure:
                fault = failure
            try:
                self._loop.call_soon_threadsafe(_settle, written, fault)
            except RuntimeError:  # the loop has ended, and with it the protocol
                return


def _settle(written: asyncio.Future[None], fault: OSError | None) -> None:
    if written.done():  # whoever waited was cancelled
        return
    if fault is None:
        written.set_result(None)
    else:
        written.set_exception(fault)


def taken() -> tuple[InputPipe, OutputPipe]:
    """Standard input and output, from now on for the caller alone, until the process ends."""
    given, answered = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return InputPipe(given), OutputPipe(answered)
