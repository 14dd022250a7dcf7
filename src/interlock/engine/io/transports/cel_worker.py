"""The process in which expressions are evaluated: one beside this one, for all of them.

What it does: starts it when the first expression needs CEL, hands it data and expressions, and takes their values. What
it does not do: it evaluates nothing here; `cel_process` does, over there.

Rules: the process has `MEMORY_BYTES_MAX` beyond what it starts with, and `CPU_SECONDS_MAX` for each expression, after
which the kernel ends it; whoever waits does so for `WAIT_SECONDS_MAX`. An expression that ends it is at fault, and the
next one starts another. It ends by itself when this process has ended. Safe to use from threads, one at a time.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from interlock.base.canonical import Json
from interlock.engine.document import cel

MEMORY_BYTES_MAX: Final = 1024 * 1024 * 1024
"""Address space of the process, beyond what it has when it begins."""

CPU_SECONDS_MAX: Final = 10.0
"""Time that one expression may compute; waiting for a busy machine does not count."""

WAIT_SECONDS_MAX: Final = 60.0
START_SECONDS_MAX: Final = 60.0
_END_SECONDS_MAX: Final = 1.0
_HEAD_BYTES: Final = 9
_TRIES: Final = 2
_LIMITS: Final = frozenset({signal.SIGPROF, signal.SIGXCPU, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS})
"""What ends the process where an expression computes too long, or memory is not given to it."""

_PROCESS: Final = Path(__file__).with_name("cel_process.py")


class Data:
    """What expressions are evaluated on; sent once for all that follow each other."""

    def __init__(self, value: dict[str, Json]) -> None:
        self._value = value
        self._content: bytes | None = None

    @property
    def content(self) -> bytes:
        """Its JSON, made when it is first needed. Raises: `CelFault`."""
        if self._content is None:
            try:
                self._content = msgspec.json.encode(self._value)
            except (TypeError, ValueError, RecursionError):
                raise cel.CelFault("its data is not JSON") from None
        return self._content


class _Gone(Exception):
    """The process has ended, or does not answer."""


class _Silent(_Gone):
    """It does not answer in time."""


class Worker:
    """The process, from its first use to the end of this one; `started` counts how often it had to be started."""

    def __init__(self) -> None:
        self.started = 0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._owner = 0
        self._sent: Data | None = None

    def evaluated(self, source: str, data: Data) -> Json:
        """The value of an expression. Raises: `CelFault`, `CelMissingError`, `CelTroubleError`."""
        cel.version()
        content = data.content
        with self._lock:
            kind, answer = self._answer(source.encode("utf-8", "surrogatepass"), data, content)
        if kind == b"F":
            text, column = msgspec.json.decode(answer)
            raise cel.CelFault(text, column)
        if kind == b"M":
            raise cel.CelMissingError
        return msgspec.json.decode(answer)  # type: ignore[no-any-return]  # any JSON

    def _answer(self, source: bytes, data: Data, content: bytes) -> tuple[bytes, bytes]:
        """What the process makes of an expression. Raises: `CelFault`, `CelTroubleError`."""
        for _ in range(_TRIES):
            if self._sent is not data or not self._lives():
                self._hand_over(data, content)
            try:
                return self._asked(b"E", source, WAIT_SECONDS_MAX)
            except _Silent:
                self._abandon()
                break  # its own limits would have ended it long ago: the machine has no time for it
            except _Gone:
                if self._ended_by_its_limits():
                    raise cel.CelFault("it takes too much memory or time") from None
        raise cel.CelTroubleError("the process that evaluates it was ended from outside, or has no time")

    @property
    def process_id(self) -> int | None:
        """The process that is there."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End the process; the next expression starts another."""
        with self._lock:
            self._abandon()

    def forked(self) -> None:
        """Begin anew in a fork: what another thread held there is held by nobody here."""
        self._lock = threading.Lock()

    def _lives(self) -> bool:
        return self._owner == os.getpid() and self._process is not None and self._process.poll() is None

    def _hand_over(self, data: Data, content: bytes) -> None:
        """Give the process its data; one that somebody ended while it was idle is replaced.

        Raises: `CelFault` for more data than it has memory for; `CelTroubleError`.
        """
        for _ in range(_TRIES):
            try:
                if not self._lives():
                    self._start()
            except (_Gone, OSError):
                self._abandon()
                continue
            try:
                self._asked(b"D", content, WAIT_SECONDS_MAX)
            except _Silent:
                self._abandon()
            except _Gone:
                if self._ended_by_its_limits():
                    raise cel.CelFault("its data takes too much memory") from None
            else:
                self._sent = data
                return
        raise cel.CelTroubleError("the process that evaluates it cannot be started")

    def _ended_by_its_limits(self) -> bool:
        """Let go of a process that is gone, and tell whether what it was asked for ended it, or somebody else."""
        code: int | None = None
        if self._process is not None and self._owner == os.getpid():
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(_END_SECONDS_MAX)
        self._abandon()
        return code is not None and (code > 0 or -code in _LIMITS)

    def _start(self) -> None:
        self._abandon()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - this interpreter and a file of this package
                    [sys.executable, "-I", "-S", str(_PROCESS)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={},
                    cwd="/",
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        self._socket, self._owner = ours, os.getpid()
        self.started += 1
        path = [str(Path(each).resolve()) if each else str(Path.cwd()) for each in sys.path]
        told = {"path": path, "memory_bytes": MEMORY_BYTES_MAX, "cpu_seconds": CPU_SECONDS_MAX}
        self._asked(b"P", json.dumps(told).encode(), START_SECONDS_MAX)

    def _asked(self, kind: bytes, content: bytes, seconds_max: float) -> tuple[bytes, bytes]:
        """Send a message and take its answer. Raises: `_Gone`, `_Silent`."""
        if self._socket is None:
            raise _Gone
        until = time.monotonic() + seconds_max
        try:
            self._socket.settimeout(seconds_max)
            self._socket.sendall(kind + len(content).to_bytes(_HEAD_BYTES - 1, "big") + content)
            head = self._received(_HEAD_BYTES, until)
            return head[:1], self._received(int.from_bytes(head[1:], "big"), until)
        except TimeoutError:
            raise _Silent from None
        except OSError:
            raise _Gone from None

    def _received(self, size: int, until: float) -> bytes:
        found = bytearray()
        while len(found) < size and self._socket is not None:
            self._socket.settimeout(max(until - time.monotonic(), 0.001))
            chunk = self._socket.recv(min(size - len(found), 1024 * 1024))
            if not chunk:
                raise _Gone
            found += chunk
        return bytes(found)

    def _abandon(self) -> None:
        """Let go of the process; one that is of this process is ended."""
        process, self._process, self._sent = self._process, None, None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if process is not None and self._owner == os.getpid():
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS_MAX)


WORKER: Final = Worker()
"""The one of this process."""

atexit.register(WORKER.close)
os.register_at_fork(after_in_child=WORKER.forked)
