"""A program ends with the process that called for it: real processes, really killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.base.canonical import Json
from interlock.base.secrets import Secret, SecretRef
from interlock.engine.io.transports.exec import ExecSettings, ExecTransport
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.warden import Warden

CONTEXT = TransportContext("00000000-0000-4000-8000-000000000000", "m.s.l", 0, local_plan=True)
SECONDS_MAX = 20
PROGRAM = "echo $$ >> pids; sleep 600 & echo $! >> pids; wait"
"""A program with a child of its own."""
OWNER = """
import asyncio, os, signal, sys, threading
from interlock.engine.io.transports.warden import Warden
from tests.unit.engine.io.transports.test_warden import call

def fork_that_keeps_every_file_open():
    fork = os.fork()
    if fork == 0:
        threading.Event().wait()
    with open("fork", "w") as file:
        print(fork, file=file)

def killed_before_it_names_the_program(warden, group):
    while not os.path.exists("pids"):
        pass
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    await call("true", sys.argv[1])
    if sys.argv[2] == "forked":
        fork_that_keeps_every_file_open()
    if sys.argv[2] == "at once":
        await asyncio.gather(*(call(sys.argv[3], sys.argv[1]) for _ in range(5)))
    if sys.argv[2] == "before it is named":
        Warden.watch = killed_before_it_names_the_program
    await call(sys.argv[3], sys.argv[1])

asyncio.run(main())
"""


def secret(ref: SecretRef) -> Secret:
    raise AssertionError(ref)


TRANSPORT = ExecTransport(ExecSettings(), secret)


async def call(script: str, folder: str, transport: ExecTransport = TRANSPORT) -> object:
    argv: Json = ["-c", script]
    request: Json = {"kind": "run_program_v1", "program_path": "/bin/sh", "argv": argv, "cwd": folder}
    return await transport.call(request, CONTEXT)


def wait_for(found: Callable[[], bool]) -> None:
    ends = time.monotonic() + SECONDS_MAX
    while not found():
        assert time.monotonic() < ends
        time.sleep(0.005)


def pids(folder: Path) -> list[int]:
    file = folder / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def lives(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody has reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def start(folder: Path, how: str) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-W", "ignore", "-c", OWNER, str(folder), how, PROGRAM]
    return subprocess.Popen(line, cwd=folder, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


@pytest.mark.parametrize(("how", "count"), [("alone", 2), ("at once", 10), ("forked", 2)])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_a_program_and_its_children_end_with_an_owner_that_is_killed(
    tmp_path: Path, how: str, count: int, number: signal.Signals
) -> None:
    owner = start(tmp_path, how)
    wait_for(lambda: len(pids(tmp_path)) == count)

    owner.send_signal(number)

    assert owner.wait(SECONDS_MAX) == -number
    wait_for(lambda: not any(map(lives, pids(tmp_path))))
    if how == "forked":
        os.kill(int((tmp_path / "fork").read_text()), signal.SIGKILL)


def test_a_program_ends_with_an_owner_that_is_killed_in_the_instant_of_its_start(tmp_path: Path) -> None:
    owner = start(tmp_path, "before it is named")

    assert owner.wait(SECONDS_MAX) == -signal.SIGKILL
    wait_for(lambda: not any(map(lives, pids(tmp_path))))


def sleeping() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)


def test_a_program_that_ended_is_not_killed_for_a_number_that_is_anothers_by_then() -> None:
    async def main() -> None:
        warden = Warden()
        warden.start()
        stranger = sleeping()
        warden.watch(stranger.pid)
        warden.release(stranger.pid)
        await warden.close()
        assert lives(stranger.pid)
        stranger.kill()
        stranger.wait()

    asyncio.run(main())


def test_what_still_runs_is_killed_when_the_warden_is_closed() -> None:
    async def main() -> int:
        warden = Warden()
        warden.start()
        program = sleeping()
        warden.watch(program.pid)
        await warden.close()
        return program.wait(SECONDS_MAX)

    assert asyncio.run(main()) == -signal.SIGKILL


def children() -> set[int]:
    listed = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return {int(pid) for pid in listed.split()}


def test_a_transport_that_is_closed_leaves_no_process(tmp_path: Path) -> None:
    before = children()

    async def main() -> None:
        transport = ExecTransport(ExecSettings(), secret)
        await call("true", str(tmp_path), transport)
        assert len(children() - before) == 1
        await transport.close()
        await transport.close()

    asyncio.run(main())
    assert children() == before


def test_a_warden_that_was_killed_is_replaced_and_told_of_what_runs(tmp_path: Path) -> None:
    before = children()

    async def main() -> int:
        warden = Warden()
        warden.start()
        [first] = children() - before
        program = sleeping()
        warden.watch(program.pid)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: not lives(first))
        warden.start()
        await warden.close()
        return program.wait(SECONDS_MAX)

    assert asyncio.run(main()) == -signal.SIGKILL
    assert children() == before


def ignores(pid: int, number: signal.Signals) -> bool:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigIgn")]
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


def test_a_warden_outlives_what_ends_the_group_of_its_owner(tmp_path: Path) -> None:
    """A terminal or a supervisor signals all at once; the programs still end with their owner."""
    owner = start(tmp_path, "alone")
    wait_for(lambda: len(pids(tmp_path)) == 2)
    listed = Path(f"/proc/{owner.pid}/task/{owner.pid}/children").read_text()
    [warden] = {int(pid) for pid in listed.split()} - set(pids(tmp_path))

    wait_for(lambda: ignores(warden, signal.SIGHUP))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(warden, number)
    owner.kill()
    owner.wait(SECONDS_MAX)

    wait_for(lambda: not any(map(lives, [*pids(tmp_path), warden])))
