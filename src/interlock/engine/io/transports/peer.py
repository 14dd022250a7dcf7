"""One program that is spoken to for as long as it lives.

What it does: starts a program in a session of its own, gives its input and output as streams, and ends it. What it does
not do: it knows no protocol (`framed`, `mcp_client`), and starts nothing anew by itself.

Rules: it inherits little of the environment: what a person's shell tells of where programs and homes are; its error
output goes nowhere. Whatever the end, its whole process group is killed, and should this process be killed before, the
warden does it. Nobody reads more of its output ahead than the limit.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from asyncio.streams import FlowControlMixin
from contextlib import suppress
from typing import IO, Final

from interlock.base.errors import Category, ErrorCode
from interlock.engine.io.transports.warden import Warden

PEER_START_FAILED = ErrorCode(
    "peer_start_failed", Category.FAILED, "Check that the program exists and may be executed.", retryable=True
)
PEER_GONE = ErrorCode(
    "peer_gone",
    Category.UNAVAILABLE,
    "See why the program ended; it is started anew for the next call.",
    retryable=True,
)
PEER_ANSWER_INVALID = ErrorCode(
    "peer_answer_invalid", Category.UNAVAILABLE, "Let the program answer by its protocol, and within the limits."
)
ERRORS = (PEER_START_FAILED, PEER_GONE, PEER_ANSWER_INVALID)

INHERITED: Final = ("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "USER")
"""All of this process's environment that the program gets."""

_REAP_SECONDS_MAX: Final = 1.0


class Peer:
    """A program that runs, with its two streams."""

    def __init__(
        self, process: subprocess.Popen[bytes], stdin: IO[bytes], warden: Warden, ahead_bytes_max: int
    ) -> None:
        self._process = process
        self._stdin = stdin
        self._warden = warden
        self._input: asyncio.StreamWriter | None = None
        self._output: asyncio.ReadTransport | None = None
        self.reader = asyncio.StreamReader(limit=ahead_bytes_max)

    @classmethod
    async def start(cls, command: tuple[str, ...], warden: Warden, ahead_bytes_max: int) -> Peer:
        """Start a program. Raises: `peer_start_failed`."""
        program = shutil.which(command[0]) if command else None
        if program is None:
            raise PEER_START_FAILED.error("there is no such program")
        theirs, ours = os.pipe()
        stdin = os.fdopen(ours, "wb", buffering=0)
        try:
            warden.start()
            with warden.starting(theirs):
                process = _started(program, command, theirs)
                warden.watch(process.pid)
        except (OSError, ValueError):
            stdin.close()
            raise PEER_START_FAILED.error("the program cannot be started") from None
        finally:
            os.close(theirs)
        peer = cls(process, stdin, warden, ahead_bytes_max)
        try:
            await peer._connect()
        except BaseException as fault:
            await peer.end()
            if isinstance(fault, OSError):
                raise PEER_START_FAILED.error("the program's streams cannot be opened") from None
            raise
        return peer

    @property
    def lives(self) -> bool:
        """Whether the program has not ended; it is not reaped by this."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None

    async def write(self, content: bytes) -> None:
        """Hand something over. Raises: `peer_gone`."""
        try:
            if self._input is not None:
                self._input.write(content)
                await self._input.drain()
        except OSError:
            raise PEER_GONE.error("the program has closed its input") from None

    async def end(self) -> None:
        """Kill what still lives, reap it, and close the streams."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        try:
            await asyncio.shield(asyncio.to_thread(self._reap))
        finally:
            if self._input is not None and not self._input.transport.is_closing():
                self._input.transport.abort()
            if self._output is not None:
                self._output.close()
            for pipe in (self._stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        into, protocol = await loop.connect_write_pipe(lambda: FlowControlMixin(loop), self._stdin)
        self._input = asyncio.StreamWriter(into, protocol, None, loop)
        self._output, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self.reader), self._process.stdout
        )

    def _reap(self) -> None:
        # Until it is reaped, no other group can have its number.
        self._warden.release(self._process.pid)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_SECONDS_MAX)


def _started(program: str, command: tuple[str, ...], stdin: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the configuration names it
        command,
        executable=program,
        env={name: os.environ[name] for name in INHERITED if name in os.environ},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,
    )
