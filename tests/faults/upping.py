"""`interlock up` as real processes on a store, and clients that find it by its file.

Rule: every process that a test began, and every child that it was told of, is ended with the test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx2

from tests.surfaces.process import PRODUCT

SECONDS_MAX: Final = 30.0
POLL_SECONDS: Final = 0.02


def until(done: Any, what: str, seconds: float = SECONDS_MAX) -> None:
    """Wait for something."""
    ends = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < ends, what
        time.sleep(POLL_SECONDS)


def alive(pid: int) -> bool:
    """Whether a process lives; one that has ended and that nobody has asked about does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class Up:
    """One supervisor, and the children that it told of."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.callers: list[Caller] = []
        self.children: dict[str, list[int]] = {"work": [], "serve": []}
        self.process = subprocess.Popen(
            [*PRODUCT, "up", "--port", "0", "--json"],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._heard = threading.Thread(target=self._hear, daemon=True)
        self._heard.start()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with suppress(ValueError, KeyError, TypeError):
                told = json.loads(line)
                if told["ended"] is None:
                    self.children[told["name"]].append(told["pid"])

    def caller(self) -> Caller:
        """A client that is closed with the test."""
        self.callers.append(Caller(self.folder))
        return self.callers[-1]

    def child(self, name: str) -> int:
        """The newest child of a name, which lives."""
        until(lambda: self.children[name] and alive(self.children[name][-1]), f"no {name}")
        return self.children[name][-1]

    def kill(self, name: str) -> None:
        """End a child at once."""
        with suppress(ProcessLookupError):
            os.kill(self.child(name), signal.SIGKILL)

    def kill_supervisor(self) -> list[int]:
        """End the supervisor at once; the children that it leaves behind."""
        left = [pid for pids in self.children.values() for pid in pids if alive(pid)]
        self.process.kill()
        self.process.wait()
        return left

    def end(self) -> int:
        """Tell it to stop; its exit code."""
        self.process.terminate()
        return self.process.wait(SECONDS_MAX)

    def clear(self) -> None:
        """End everything that is left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in [pid for pids in self.children.values() for pid in pids if alive(pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: not alive(pid), "a child outlived everything")
        for caller in self.callers:
            caller.client.close()
        self._heard.join(SECONDS_MAX)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def working_in(folder: Path) -> set[int]:
    """The processes that live in a folder, whoever knows of them."""
    found = set()
    for place in Path("/proc").iterdir():
        with suppress(OSError):  # it has ended meanwhile, or is somebody else's
            if place.name.isdecimal() and (place / "cwd").readlink() == folder and alive(int(place.name)):
                found.add(int(place.name))
    return found


@contextmanager
def brought_up(folder: Path, **environment: str) -> Iterator[Up]:
    """A supervisor for the length of a test; `environment` is what its own has beside that of the test."""
    made = Up(folder, **environment)
    try:
        yield made
    finally:
        made.clear()


class Caller:
    """A client that looks the server up for each request, as programs of the same user do."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / ".interlock" / "server.json"
        self.client = httpx2.Client(timeout=10, trust_env=False)

    def place(self) -> Mapping[str, Any]:
        """What the server's file says."""
        found: Mapping[str, Any] = json.loads(self._file.read_bytes())
        return found

    def try_(self, method: str, path: str, **more: Any) -> httpx2.Response | None:
        """The answer; None where nobody answered, or one that says to ask again."""
        try:
            place = self.place()
            headers = {"Authorization": f"Bearer {place['token']}", **more.pop("headers", {})}
            answer = self.client.request(method, f"{place['url']}{path}", headers=headers, **more)
        except (httpx2.TransportError, OSError, ValueError):
            return None
        return None if answer.status_code in {401, 429, 503} else answer

    def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """The answer, asked for until there is one."""
        found: list[httpx2.Response] = []

        def asked() -> bool:
            answer = self.try_(method, path, **dict(more))
            found.extend([] if answer is None else [answer])
            return bool(found)

        until(asked, f"nobody answers {path}")
        return found[0]
