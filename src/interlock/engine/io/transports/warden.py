"""Sees to it that no program outlives the process that called for it, however that ends.

What it does: starts one small process beside this one when the first program runs, tells it which process groups run,
and lets it kill them once this process is gone. What it does not do: while this process lives, ending programs is the
affair of `process`; and a program that leaves its process group on purpose is not followed.

Rules: a program is announced by its input before it is started and named by its process group after that, so that no
instant is left in which it could get away; a group is taken back before its leader is reaped, so that its number is
never another's.

Why not `PR_SET_PDEATHSIG`: it fires when the *thread* that started the program ends, reaches the program and none of
its children, and must be set between fork and exec, where Python may run nothing safely beside threads.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PROCESS: Final = Path(__file__).with_name("warden_process.py")
_END_SECONDS_MAX: Final = 1.0


class Warden:
    """The warden of one transport; its process is started by the first `start` and ended by `close`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._groups: set[int] = set()

    def start(self) -> None:
        """Make sure that it is there. Raises: `OSError` when it cannot be started."""
        if self._owner != os.getpid():  # a fork has its own programs, and needs its own warden
            self._process, self._owner, self._groups = None, os.getpid(), set()
        if self._process is not None and self._process.poll() is None:
            return
        self._abandon()
        if not sys.executable or getattr(sys, "frozen", False):
            return  # what is started by that name is no interpreter
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and a file of this package
            [sys.executable, "-I", "-S", str(_PROCESS), str(self._owner)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={},
            cwd="/",
            start_new_session=True,
        )
        for group in self._groups:
            self._say(b"+%d\n" % group)

    @contextmanager
    def starting(self, descriptor: int) -> Iterator[None]:
        """Announce the program that gets this pipe as its input, and is named before the block ends."""
        inode = os.fstat(descriptor).st_ino
        self._say(b"?%d\n" % inode)
        try:
            yield
        finally:
            self._say(b"!%d\n" % inode)

    def watch(self, group: int) -> None:
        """Name a process group that has just been started."""
        self._groups.add(group)
        self._say(b"+%d\n" % group)

    def release(self, group: int) -> None:
        """Take a group back that has ended or been killed."""
        self._groups.discard(group)
        self._say(b"-%d\n" % group)

    def _say(self, line: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it was killed: the next start makes another
                self._process.stdin.write(line)

    def _abandon(self) -> None:
        """Let go of a process that has ended."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None

    async def close(self) -> None:
        """End it; what still runs is killed."""
        process = self._process if self._owner == os.getpid() else None
        self._abandon()
        if process is not None:
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, _END_SECONDS_MAX)
