"""The product's own command line, with its plans, for tests that follow a run over several processes."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.surfaces.process import PRODUCT, SECONDS_MAX, run

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
HELLO = """
from interlock import Plan

plan = Plan("greeting")


@plan.state
async def find(name: str) -> str:
    return name.title()


@plan.state
async def greet(find: str) -> dict[str, str]:
    return {"text": f"Hello {find}"}
"""
SHIP = r"""
import os
from pathlib import Path

with Path("delivered").open("a") as log:
    log.write("delivered\n")
if not Path("well").exists():
    Path("well").touch()
    os.kill(os.getpid(), 9)
print('{"receipt": 7}')
"""
SHIPPING = """
import sys

from interlock import Io, IoCall, Plan

plan = Plan("shipping")


@plan.state
async def pack(folder: str) -> str:
    return folder


@plan.state(side_effects="apply_side_effect")
async def ship(io: Io, pack: str) -> object:
    request = {"kind": "run_program_v1", "program_path": sys.executable, "argv": ["ship.py"], "cwd": pack}
    return (await io.call(IoCall("exec", request, "effect:ship"))).response["json"]


@plan.state(after=[ship])
async def tell() -> str:
    return "told"
"""
WAITING = """
import asyncio
from pathlib import Path

from interlock import Plan

plan = Plan("waiting")


@plan.state
async def prepare(folder: str) -> str:
    with Path(folder, "prepared").open("a") as log:
        log.write("prepared ")
    return folder


@plan.state
async def wait(prepare: str) -> int:
    Path(prepare, "waits").touch()
    while not Path(prepare, "open").exists():
        await asyncio.sleep(0.01)
    return 1
"""


def prepare(folder: Path) -> Path:
    """Put the plans into a folder; return it."""
    for name, text in (("hello", HELLO), ("ship", SHIP), ("shipping", SHIPPING), ("waiting", WAITING)):
        (folder / f"{name}.py").write_text(text)
    return folder


def answer(folder: Path, *line: str, code: int = 0) -> dict[str, Any]:
    """What the product answers to one command line that ends with this exit code."""
    done = run(*line, "--json", program=PRODUCT, folder=folder)
    assert done.code == code, (done.text, done.err)
    found: dict[str, Any] = json.loads(done.out)
    return found


def start_hello(folder: Path, *more: str) -> dict[str, Any]:
    return answer(folder, "run", "start", "hello:plan", "--input", '{"name": "ada"}', *more)


def start_waiting(folder: Path) -> tuple[str, ...]:
    """The line that starts the run which waits for the file `open`."""
    given = json.dumps({"folder": str(folder)})
    return (*PRODUCT, "run", "start", "waiting:plan", "--run-id", RUN, "--input", given, "--json")


def begun(folder: Path, *line: str) -> subprocess.Popen[bytes]:
    """A process that drives the run which waits, and is inside of its last handler."""
    process = subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ends = time.monotonic() + SECONDS_MAX
    while not (folder / "waits").exists():
        assert time.monotonic() < ends
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    (folder / "waits").unlink()
    return process
