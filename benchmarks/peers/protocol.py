"""What the program of every contender does: open its engine, drive a workload, tell the seconds, wait to be let go.

It runs in the contender's own environment, so it needs the standard library alone. It reads only its own clock: whoever
started it counts flushes and memory, and kills it. Rules: one workload a process; a workload is one call of `Crowd`,
which starts all its runs at once and returns when all have ended; nothing listens elsewhere than on 127.0.0.1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

RESULT = "RESULT "
HOST = "127.0.0.1"
NOTES = "executed"
PORTS_FILE = "ports.json"
SERVER_START_S_MAX = 90
NO_FILE = 1 << 30

# Runs and the states of each. W4 is W2 with states that note what they did, so that a kill can be judged.
WORKLOADS = {"W1": (1, 200), "W2": (500, 10), "W3": (1, 1), "W4": (500, 10)}
WARMED = ("W1", "W2")

Crowd = Callable[[Sequence[str], int], Awaitable[None]]


@dataclass(frozen=True)
class Given:
    """What a program is told: where its files go, its variant, its database, and whether states note that they ran."""

    folder: Path
    variant: str
    database: str
    noted: bool

    def note(self, run: str, state: int) -> None:
        """Do what a state does: nothing, or one line in a file outside, as an effect would."""
        if self.noted:
            os.write(_notes(self.folder), f"{run} {state}\n".encode())

    def ports(self, count: int) -> list[int]:
        """Free ports, the same ones after a restart on the same folder."""
        kept = self.folder / PORTS_FILE
        if not kept.exists():
            kept.write_text(json.dumps(_free_ports(count)), encoding="utf-8")
        found: list[int] = json.loads(kept.read_text(encoding="utf-8"))
        return found


Opened = Callable[[Given], AbstractAsyncContextManager[Crowd]]


def main(opened: Opened) -> None:
    """Run the workload of the command line."""
    parser = argparse.ArgumentParser(description="Run one workload of one contender.")
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--variant", default="")
    parser.add_argument("--database", default="")
    told = parser.parse_args()
    given = Given(told.folder, told.variant, told.database, noted=told.workload == "W4")
    asyncio.run(_measured(told.workload, given, opened))


async def _measured(workload: str, given: Given, opened: Opened) -> None:
    runs, states = WORKLOADS[workload]
    async with opened(given) as crowd:
        if workload in WARMED:
            await crowd([run_id(workload, "warm", 0)], states)
        ids = [run_id(workload, "work", number) for number in range(runs)]
        mark()
        began = time.perf_counter()
        await crowd(ids, states)
        seconds = time.perf_counter() - began
        mark()
        print(RESULT + json.dumps({"seconds": seconds}), flush=True)
        # The processes stay as they are until whoever measures has looked at them.
        await asyncio.to_thread(sys.stdin.read)


def run_id(workload: str, purpose: str, number: int) -> str:
    """The id of a run: the same after a restart, and of the form of a UUID, which every contender takes."""
    return f"{number:08x}-0000-4000-8{'0' if purpose == 'work' else '1'}0{workload[1]}-000000000000"


@cache
def _notes(folder: Path) -> int:
    return os.open(folder / NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def mark() -> None:
    """Leave a mark between the flushes of a traced process: one of a file that cannot be."""
    with contextlib.suppress(OSError):
        os.fsync(NO_FILE)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


@asynccontextmanager
async def server(
    given: Given, name: str, arguments: Sequence[str], port: int, environment: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    """A server beside the program, from when its port answers until the program is done."""
    process = _started(given.folder / f"{name}.log", arguments, environment or {})
    try:
        await _answering(process, name, port)
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        # A server may leave workers that outlive it and keep its port.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _started(log: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **environment},
            start_new_session=True,
        )


async def _answering(process: subprocess.Popen[bytes], name: str, port: int) -> None:
    until = time.monotonic() + SERVER_START_S_MAX
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with {process.returncode} before it answered")
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        await asyncio.sleep(0.01)
    raise RuntimeError(f"{name} did not answer in {SERVER_START_S_MAX} s")
