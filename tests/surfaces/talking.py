"""Plans that are told things while they run, and processes that drive them, for the tests of control."""

from __future__ import annotations

import json
import select
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.surfaces.process import PRODUCT, SECONDS_MAX
from tests.surfaces.product import RUN, answer

TALK = """
import asyncio, time
from pathlib import Path

from interlock import Io, Plan, RetryPolicy, StateFailure

talk = Plan("talk")


@talk.state
async def work(folder: str) -> int:
    Path(folder, "waits").touch()
    while not Path(folder, "open").exists():
        await asyncio.sleep(0.01)
    return 1


@talk.state(after=[work])
async def ask(io: Io) -> dict:
    return await io.wait("go", dict)


ask_only = Plan("ask_only")


@ask_only.state
async def begin(folder: str) -> str:
    return folder


@ask_only.state
async def decide(io: Io, begin: str) -> dict:
    return await io.wait("the answer", dict, timeout_ms=3_600_000)


@ask_only.state
async def end(decide: dict) -> str:
    return decide["text"]


hung = Plan("hung")


@hung.state
async def block(folder: str) -> int:
    Path(folder, "waits").touch()
    time.sleep(1000)
    return 1


flaky = Plan("flaky")


@flaky.state(retry=RetryPolicy.fixed(3, 3_600_000))
async def fetch(folder: str) -> str:
    if Path(folder, "open").exists():
        return "there"
    raise StateFailure("net_down", "no answer", retryable=True)


@flaky.state(after=[fetch])
async def tell() -> str:
    return "told"


nap = Plan("nap")


@nap.state
async def sleep(io: Io, folder: str) -> str:
    await io.sleep("short", 50)
    return "slept"


parent = Plan("parent")


@parent.state
async def spawn(io: Io, folder: str) -> str:
    return (await io.child(ask_only, {"folder": folder}, name="one")).status
"""


def prepare(folder: Path) -> Path:
    (folder / "plans.py").write_text(TALK)
    return folder


def line(folder: Path, plan: str, *more: str, run_id: str = RUN) -> tuple[str, ...]:
    """The line that starts a run of a plan."""
    given = json.dumps({"folder": str(folder)})
    return ("run", "start", f"plans:{plan}", "--run-id", run_id, "--input", given, *more)


def start(folder: Path, plan: str, *more: str, code: int = 8, run_id: str = RUN) -> dict[str, Any]:
    return answer(folder, *line(folder, plan, *more, run_id=run_id), code=code)


def order(folder: Path, verb: str, *more: str, code: int = 0) -> dict[str, Any]:
    """An order to the run; what has a reason is given one."""
    reason = () if verb == "signal" or "--reason" in more else ("--reason", "because")
    return answer(folder, "run", verb, RUN, *more, *reason, code=code)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, dict[str, Any]]:
    """How a process that drives ended, and its answer."""
    out, err = process.communicate(timeout=SECONDS_MAX)
    assert out, err
    return process.returncode, json.loads(out.splitlines()[-1])


class Worker:
    """A process of `interlock work`, and the lines that it writes."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.process = subprocess.Popen(
            [*PRODUCT, "work", "--json", *more], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        self.owner: str = self.line()["owner"]

    def line(self) -> dict[str, Any]:
        """The next line that it writes."""
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], SECONDS_MAX)[0], "the worker is silent"
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def ended(self) -> tuple[int, list[dict[str, Any]], str]:
        """Its exit code, its last lines, and what it said on standard error."""
        out, err = self.process.communicate(timeout=SECONDS_MAX)
        return self.process.returncode, [json.loads(each) for each in out.splitlines()], err.decode()


def wait_for_file(path: Path) -> None:
    """Return once a file is there; take it away."""
    ends = time.monotonic() + SECONDS_MAX
    while not path.exists():
        assert time.monotonic() < ends, path
        time.sleep(0.01)
    path.unlink()
