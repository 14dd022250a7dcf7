"""W3: process start to the first completed run of one state, cold; and the start-up of the command line."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from workloads import median, new_store

ROUNDS = 7
SCRIPT = """
import interlock
plan = interlock.Plan("cold")
@plan.state
async def only() -> int:
    return 1
with interlock.open_sync({store!r}) as app:
    assert app.start(plan).phase == "completed"
"""
MODULE = SCRIPT.partition("with")[0]


def _seconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(arguments, check=True, capture_output=True)
    return time.perf_counter() - began


def run() -> dict[str, float]:
    script, start, usage, bare = [], [], [], []
    cli = [sys.executable, "-m", "interlock.surfaces.cli.main"]
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.py"
        plan.write_text(MODULE)
        for _ in range(ROUNDS):
            store = new_store(folder)
            bare.append(_seconds([sys.executable, "-c", "pass"]))
            script.append(_seconds([sys.executable, "-c", SCRIPT.format(store=store)]))
            start.append(_seconds([*cli, "run", "start", f"{plan}:plan", "--store", new_store(folder)]))
            usage.append(_seconds([*cli, "--help"]))
    return {
        "python_ms": round(median(bare) * 1000),
        "script_ms": round(median(script) * 1000),
        "run_start_ms": round(median(start) * 1000),
        "help_ms": round(median(usage) * 1000),
    }
