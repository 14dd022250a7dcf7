"""The processes of a torture, as the test sees them: started, struck, kept alive, ended.

What it does: starts actors through one forking process, strikes them with signals and limits, notes when whom, and
starts others in place of those that have ended. What it does not do: it chooses no strike (`storm`).

Rule: whatever ends the block, or kills this process, nothing that was started is alive behind it, nor is the server
whose lock file is `server`.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CODES = frozenset({0, 3, -signal.SIGKILL, -signal.SIGTERM})
"""How an actor may end: done, without a store, killed, told to stop."""

SECONDS_MAX = 20


class Troupe:
    """Actors by name. `deaths` says when a process was killed, by the monotonic clock."""

    def __init__(self, order: dict[str, Any], server: Path | None = None) -> None:
        self.order = order
        self._guarded = [] if server is None else [str(server)]
        self.alive: dict[str, int] = {}
        self.done: set[str] = set()
        self.deaths: dict[int, int] = {}
        self.codes: dict[int, int] = {}
        self._roles: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.torture.actors", *self._guarded],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._asked(do="leave")
            self._process.communicate(timeout=SECONDS_MAX)
        except BaseException:
            self._process.kill()  # the kernel ends its children with it
            self._process.wait()
            raise

    def _asked(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def enter(self, name: str, role: str) -> None:
        """Start an actor, in place of the one of that name."""
        self.alive[name] = self._asked(do="fork", role=role, **self.order)["pid"]
        self._roles[name] = role

    def kill(self, name: str) -> None:
        """Kill an actor, wherever it is."""
        process = self.alive[name]
        self.deaths.setdefault(process, time.monotonic_ns())
        os.kill(process, signal.SIGKILL)

    def stop(self, name: str) -> int:
        """Let an actor stand still; its process."""
        process = self.alive[name]
        os.kill(process, signal.SIGSTOP)
        return process

    def wake(self, name: str, process: int) -> None:
        """Let an actor go on that was stopped, if it is still the same."""
        if self.alive.get(name) == process:
            os.kill(process, signal.SIGCONT)

    def limit(self, name: str, file_bytes_max: int | None) -> None:
        """No file of an actor may grow beyond so many bytes: its disk is full. None: it has room again."""
        soft = resource.RLIM_INFINITY if file_bytes_max is None else file_bytes_max
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self.alive[name], resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    def tend(self) -> None:
        """Start others in place of those that ended, but for those that were done."""
        for name, code in self._reaped().items():
            if code == 0:
                self.done.add(name)
            else:
                self.enter(name, self._roles[name])

    def _reaped(self) -> dict[str, int]:
        """Who has ended since the last look, and how."""
        ended = {int(process): code for process, code in self._asked(do="reap")["ended"].items()}
        self.codes |= ended
        found = {}
        for name, process in list(self.alive.items()):
            if process in ended:
                found[name] = ended[process]
                del self.alive[name]
        return found

    def end(self, number: int) -> None:
        """End everybody who is there, and wait for it."""
        for process in self.alive.values():
            if number == signal.SIGKILL:
                self.deaths.setdefault(process, time.monotonic_ns())
            os.kill(process, signal.SIGCONT)
            os.kill(process, number)
        ends = time.monotonic() + SECONDS_MAX
        while self.alive:
            self._reaped()
            assert time.monotonic() < ends, f"they do not end: {self.alive}"
            time.sleep(0.01)
