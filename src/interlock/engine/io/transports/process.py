"""One child process, from start to end, within its limits.

What it does: starts a program in a session of its own, feeds its standard input, drains its outputs, and
waits, all under one deadline; keeps a bounded beginning of each output and counts the rest, so that the
child never blocks on a full pipe. What it does not do: it judges neither program nor exit code; `exec`
does.

Rules: output is complete at the end of its pipe, so a descendant that holds a pipe open is waited for,
until the deadline. Whatever the end (success, deadline, cancellation) the whole process group is killed,
every descriptor is closed and the child is reaped; nothing waits longer than a second for that. Should
this process be killed before, its warden kills the group. The leader is reaped last, so that its process id
cannot be given to another before the group is killed. Needs Linux 5.3 (`pidfd_open`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Final

from interlock.engine.io.transports.warden import Warden

_CHUNK_BYTES: Final = 64 * 1024
_REAP_SECONDS_MAX: Final = 1.0


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `arguments` begin with the name under which it runs."""

    executable: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str | None
    stdin: bytes
    timeout_ms: int
    output_bytes_max: int


@dataclass(frozen=True, slots=True)
class Captured:
    """An output: its first bytes, and how many there were in all."""

    prefix: bytes
    bytes_total: int

    @property
    def overflowed(self) -> bool:
        """Whether there was more than is kept."""
        return self.bytes_total > len(self.prefix)


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended.

    `exit_code` is negative for a signal, as in `subprocess`, and None if the program had not ended by
    itself. `on_time` is false when the deadline came first. `stdin_unread` tells that the program closed
    its input early.
    """

    exit_code: int | None
    stdout: Captured
    stderr: Captured
    on_time: bool
    stdin_unread: bool


async def run_program(program: Program, warden: Warden) -> Ended:
    """Run a program to its end or to its deadline; needs an event loop that watches descriptors.

    `warden` kills it should this process end before. Raises: `OSError` when it cannot be started.
    """
    warden.start()
    child = _Child(program, warden)
    on_time = True
    try:
        async with asyncio.timeout(program.timeout_ms / 1000):
            await child.complete()
    except TimeoutError:
        on_time = False
    finally:
        exit_code = child.exit_code()
        await child.end()
    return Ended(
        exit_code=exit_code,
        stdout=child.stdout.captured(),
        stderr=child.stderr.captured(),
        on_time=on_time,
        stdin_unread=child.stdin.unread,
    )


class _Watched:
    """A file that the event loop watches until it comes to its end."""

    def __init__(self, file: IO[bytes]) -> None:
        self.ended = asyncio.Event()
        self._file = file
        self._descriptor = file.fileno()
        self._loop = asyncio.get_running_loop()
        os.set_blocking(self._descriptor, False)

    def close(self) -> None:
        """Stop watching and close; the end has come if it had not."""
        if not self._file.closed:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            self._file.close()
        self.ended.set()


class _Exit(_Watched):
    """The exit of a process, which is not reaped by this."""

    def __init__(self, pid: int) -> None:
        super().__init__(os.fdopen(os.pidfd_open(pid), "rb", buffering=0))
        self._loop.add_reader(self._descriptor, self.close)


class _Drain(_Watched):
    """An output: keeps its beginning and counts it all."""

    def __init__(self, file: IO[bytes], bytes_max: int) -> None:
        super().__init__(file)
        self._kept = bytearray()
        self._bytes_max = bytes_max
        self._bytes_total = 0
        self._loop.add_reader(self._descriptor, self._read)

    def captured(self) -> Captured:
        """What was read so far."""
        return Captured(bytes(self._kept), self._bytes_total)

    def _read(self) -> None:
        try:
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return
        if not chunk:
            self.close()
        self._bytes_total += len(chunk)
        self._kept += chunk[: self._bytes_max - len(self._kept)]


class _Feed(_Watched):
    """An input: hands over its content as the process takes it."""

    def __init__(self, file: IO[bytes], content: bytes) -> None:
        super().__init__(file)
        self.unread = False
        self._left = memoryview(content)
        self._loop.add_writer(self._descriptor, self._write)

    def _write(self) -> None:
        try:
            self._left = self._left[os.write(self._descriptor, self._left[:_CHUNK_BYTES]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.unread = True
        if self.unread or not self._left:
            self.close()


def _started(program: Program, stdin: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the caller has decided that this program may run
        [argument.encode() for argument in program.arguments],
        executable=program.executable.encode(),
        env={name.encode(): value.encode() for name, value in program.environment.items()},
        cwd=None if program.directory is None else program.directory.encode(),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )


class _Child:
    """A started process, and what must come to its end: its exit, its outputs, its input."""

    def __init__(self, program: Program, warden: Warden) -> None:
        self._warden = warden
        theirs, ours = os.pipe()
        try:
            with warden.starting(theirs):
                self._process = _started(program, theirs)
                warden.watch(self._process.pid)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        outputs = [pipe for pipe in (self._process.stdout, self._process.stderr) if pipe]
        pipes = [os.fdopen(ours, "wb", buffering=0), *outputs]
        try:
            self._exit = _Exit(self._process.pid)
            self.stdin = _Feed(pipes[0], program.stdin)
            self.stdout = _Drain(pipes[1], program.output_bytes_max)
            self.stderr = _Drain(pipes[2], program.output_bytes_max)
        except BaseException:
            self._kill()
            warden.release(self._process.pid)
            self._process.wait()
            for pipe in pipes:
                pipe.close()
            raise
        self._watched = (self._exit, self.stdin, self.stdout, self.stderr)

    async def complete(self) -> None:
        """Wait until input is taken or refused, both outputs are at their end, and the process has exited."""
        for watched in self._watched:
            await watched.ended.wait()

    def exit_code(self) -> int | None:
        """How the process ended by itself, without reaping it; None while it runs."""
        found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    async def end(self) -> None:
        """Kill what still lives, reap, close every descriptor."""
        self._kill()
        try:
            # A process that hangs in the kernel is left behind; nobody can end it.
            with suppress(TimeoutError):
                async with asyncio.timeout(_REAP_SECONDS_MAX):
                    await self._exit.ended.wait()
        finally:
            self._warden.release(self._process.pid)
            self._process.poll()
            self._close()

    def _kill(self) -> None:
        # Until it is reaped, the process keeps its id, so that no other group can have it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _close(self) -> None:
        for watched in self._watched:
            watched.close()
