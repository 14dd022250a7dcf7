"""One child process, from start to end, within its limits.

What it does: starts a program in a session of its own, feeds its standard input, drains its outputs, and waits,
all under one deadline; keeps a bounded beginning of each output and counts the rest, so that the child never
blocks on a full pipe. What it does not do: it judges neither program nor exit code; `exec` does.

Rules: output is complete at the end of its pipe, so a descendant that holds a pipe open is waited for, until the
deadline. Whatever the end (success, deadline, cancellation) the whole process group is killed, every descriptor
is closed and the child is reaped; nothing waits longer than a second for that. The leader is reaped last, so
that its process id cannot be given to another before the group is killed. Needs Linux 5.3 (`pidfd_open`).
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

_CHUNK_BYTES: Final = 64 * 1024
_REAP_SECONDS_MAX: Final = 1.0


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `arguments` begin with the name under which it runs; no `stdin` is an empty one."""

    executable: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str | None
    stdin: bytes | None
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
    """How it ended. `exit_code` is negative for a signal, as in `subprocess`, and None if it had not ended by itself.

    `on_time` is false when the deadline came first; `stdin_unread` tells that the child closed its input early.
    """

    exit_code: int | None
    stdout: Captured
    stderr: Captured
    on_time: bool
    stdin_unread: bool


async def run_program(program: Program) -> Ended:
    """Run a program to its end or to its deadline.

    Raises: `OSError` or `ValueError` when it cannot be started.
    """
    child = _Child(program)
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
        exit_code, child.stdout.captured(), child.stderr.captured(), on_time, bool(child.stdin and child.stdin.unread)
    )


class _Child:
    """A started process and the four things that must come to their end."""

    def __init__(self, program: Program) -> None:
        self._process = subprocess.Popen(
            [os.fsencode(argument) for argument in program.arguments],
            executable=program.executable,
            env={os.fsencode(name): os.fsencode(value) for name, value in program.environment.items()},
            cwd=program.directory,
            stdin=subprocess.DEVNULL if program.stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._exit = _Exit(self._process.pid)
        self.stdout = _Drain(self._process.stdout, program.output_bytes_max)
        self.stderr = _Drain(self._process.stderr, program.output_bytes_max)
        self.stdin = None if program.stdin is None else _Feed(self._process.stdin, program.stdin)

    async def complete(self) -> None:
        """Wait until input is fed or refused, both outputs are at their end, and the process has exited."""
        for part in self._parts():
            await part.ended.wait()

    def exit_code(self) -> int | None:
        """How the leader ended by itself, without reaping it; None while it runs."""
        if not self._exit.ended.is_set():
            return None
        found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    async def end(self) -> None:
        """Kill what still lives, close every descriptor, reap."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        try:
            async with asyncio.timeout(_REAP_SECONDS_MAX):
                await self._exit.ended.wait()
        except TimeoutError:
            pass  # it hangs in the kernel; Popen reaps it when it comes back
        finally:
            self._process.poll()
            for part in self._parts():
                part.close()

    def _parts(self) -> list[_Pipe]:
        return [part for part in (self.stdin, self.stdout, self.stderr, self._exit) if part is not None]
