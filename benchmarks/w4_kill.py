"""W4: W2 is killed (SIGKILL) half-way, and the same program is started again: what is lost, done twice, and the time.

Every state notes its execution in a file outside, as an effect would. The time of the restart counts from the start of
its process; it is held against what the rest of the work takes in a process that was never killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

from workloads import PURE, median

from interlock import App, Context, ExecutionPlan, StateMeta, StateNode
from interlock.engine.plan import DependencyEdge
from interlock.engine.run_state import StepStatus

RUNS = 500
STATES = 10
ROUNDS = 3
IDS = [f"{number:08x}-0000-4000-8000-000000000004" for number in range(RUNS)]


class Noted:
    """A state that appends its name and that of its run to a file."""

    def __init__(self, number: int, file: int) -> None:
        self._name = f"s{number:05d}"
        self._file = file

    def meta(self) -> StateMeta:
        return PURE

    async def handle(self, ctx: Context, io: object, rec: object) -> None:
        run = await ctx.require("run", str)
        os.write(self._file, f"{run} bench.{self._name}.main\n".encode())


def plan(folder: Path) -> ExecutionPlan:
    file = os.open(folder / "executed", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    ids = [f"bench.s{number:05d}.main" for number in range(STATES)]
    states = [StateNode(state_id, Noted(number, file)) for number, state_id in enumerate(ids)]
    return ExecutionPlan("bench", "1", tuple(states), tuple(DependencyEdge(*pair) for pair in pairwise(ids)))


async def crowd(folder: Path) -> None:
    """Start every run, or attach to it where it exists, and drive it to its end."""
    work = plan(folder)
    async with App.open(folder / "store.db") as app:
        results = await asyncio.gather(*(app.runs.start(work, {"run": run}, run_id=run) for run in IDS))
    if {result.phase for result in results} != {"completed"}:
        raise RuntimeError("a run did not complete")


async def completed(folder: Path) -> set[str]:
    """Every state that the store holds as completed, with its run."""
    found: set[str] = set()
    async with App.open(folder / "store.db", create=False) as app:
        listed = await app.store.events.heads([f"default/run/{run}" for run in IDS])
        for run in [run for run, head in zip(IDS, listed, strict=True) if head.seq]:
            steps = (await app.runs.read.state(run)).steps
            found |= {f"{run} {name}" for name, step in steps.items() if step.status is StepStatus.COMPLETED}
    return found


def executed(folder: Path) -> list[str]:
    file = folder / "executed"
    return file.read_text("utf-8").splitlines() if file.exists() else []


def process(folder: Path) -> subprocess.Popen[bytes]:
    code = f"import asyncio, pathlib, w4_kill as w; asyncio.run(w.crowd(pathlib.Path({str(folder)!r})))"
    return subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent)


def ended(running: subprocess.Popen[bytes]) -> None:
    if running.wait() != 0:
        raise RuntimeError("the workload did not end well")


def undisturbed() -> float:
    """Seconds of one state in a process that nobody kills, its start included."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        ended(process(Path(folder)))
        return (time.perf_counter() - began) / (RUNS * STATES)


def killed(folder: Path) -> None:
    """Let the program come half-way, and kill it."""
    running = process(folder)
    while len(executed(folder)) < RUNS * STATES // 2:
        if running.poll() is not None:
            raise RuntimeError("it ended before it could be killed")
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.wait()


def round_trip() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        killed(folder)
        durable, before = asyncio.run(completed(folder)), executed(folder)
        began = time.perf_counter()
        ended(process(folder))
        seconds = time.perf_counter() - began
        counts, again = Counter(executed(folder)), Counter(executed(folder)[len(before) :])
        wanted = {f"{run} bench.s{number:05d}.main" for run in IDS for number in range(STATES)}
        return {
            "left": len(wanted) - len(durable),
            "lost": len(wanted - set(counts)),
            "repeated": sum(1 for state in durable if again[state]),
            "in_flight": sum(1 for count in counts.values() if count > 1),
            "seconds": seconds,
        }


def run() -> dict[str, float]:
    rounds = [round_trip() for _ in range(ROUNDS)]
    a_state = median([undisturbed() for _ in range(ROUNDS)])
    ratios = [each["seconds"] / (each["left"] * a_state) for each in rounds]
    return {
        "states_lost": sum(each["lost"] for each in rounds),
        "completed_states_run_again": sum(each["repeated"] for each in rounds),
        "open_states_run_again": max(each["in_flight"] for each in rounds),
        "states_left": round(median([each["left"] for each in rounds])),
        "restart_ms": round(1000 * median([each["seconds"] for each in rounds])),
        "restart_to_rest": round(median(ratios), 2),
    }
