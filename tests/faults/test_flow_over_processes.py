"""A key's limit over real processes on one durable store, one of which is killed in the midst of its work."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from interlock import settings as settings_loader
from interlock.app import App
from interlock.engine.authoring import Plan
from interlock.engine.flow.limits import Flow
from interlock.engine.reports.records import RunResult
from interlock.journal.leases.views import LeaseRow
from interlock.journal.store_name import StoreName, store_name
from interlock.parts import PARTS, sections_of
from tests.faults.durable import Durable

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
LIMIT = 2
RUNS = 10
LEASE_MS = 1_500


def plan(log: Path) -> Plan:
    """One state that notes when it begins and when it ends, for whoever counts afterwards."""
    made = Plan("noted")

    @made.state
    async def only(name: str) -> None:
        note(log, "begin", name)
        await asyncio.sleep(0.15)
        note(log, "end", name)

    return made


def note(log: Path, what: str, name: str) -> None:
    with log.open("a") as file:  # one short write to the end of a file: lines of several processes do not mix
        file.write(f"{time.monotonic_ns()} {what} {name} {os.getpid()}\n")


def opened(store: StoreName) -> AbstractAsyncContextManager[App]:
    settings = settings_loader.load(
        sections_of(PARTS), arguments={"engine": {"claim_lease_ms": LEASE_MS}}, environ={}, folder=Path(os.devnull)
    )
    return App.open(store, parts=PARTS, settings=settings)


async def work(store: StoreName, log: Path) -> None:
    async with opened(store) as app:
        app.runs.plans.add(plan(log))
        await app.runs.worker.work()


def at_once(log: Path, killed: dict[str, int]) -> int:
    """The most handlers that were under way at any instant; those of a killed process ended when it was killed."""
    changes: list[tuple[int, int]] = []
    open_by: dict[tuple[str, str], int] = {}
    for line in log.read_text().splitlines():
        at_ns, what, name, pid = line.split()
        key = (name, pid)
        changes.append((int(at_ns), 1 if what == "begin" else -1))
        open_by[key] = open_by.get(key, 0) + changes[-1][1]
    for (_, pid), left in open_by.items():
        assert left == 0 or pid in killed
        changes += [(killed.get(pid, 0), -1)] * left
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def started(store: StoreName, log: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, str(store), str(log)], env=ENVIRONMENT)


async def phases_of(app: App, runs: list[RunResult]) -> set[str]:
    return {(await app.runs.read.result(each.run_id)).phase for each in runs}


async def leases_of(app: App) -> list[LeaseRow]:
    return list((await app.views.query("default", "leases", {}, None, 10)).items)


def begun(log: Path, pid: int) -> bool:
    return log.exists() and any(line.endswith(f" {pid}") for line in log.read_text().splitlines())


def test_a_limit_holds_over_processes_also_when_one_is_killed_and_every_run_is_driven(
    tmp_path: Path, durable: Durable
) -> None:
    store, log = durable.fresh(tmp_path), tmp_path / "log"

    async def main() -> tuple[set[str], list[LeaseRow], int]:
        async with opened(store) as app:
            runs = [
                await app.runs.start(plan(log), {"name": str(n)}, flow=Flow(key="k", limit=LIMIT), detach=True)
                for n in range(RUNS)
            ]
            processes = started(store, log), started(store, log)
            try:
                # Whichever comes first: it could have done all the work before the other has begun any.
                while (victim := next((each for each in processes if begun(log, each.pid)), None)) is None:
                    await asyncio.sleep(0.01)
                victim.send_signal(signal.SIGKILL)
                victim.wait()
                killed = {str(victim.pid): time.monotonic_ns()}
                # The last unit is given back after the end of its run is durable.
                while "running" in await phases_of(app, runs) or (await leases_of(app))[0].units_held:
                    await asyncio.sleep(0.05)
            finally:
                for process in processes:
                    process.kill()
                    process.wait()
            return await phases_of(app, runs), await leases_of(app), at_once(log, killed)

    phases, [lease], most = asyncio.run(main())

    assert phases == {"completed"}
    assert most <= LIMIT
    assert (lease.units_held, lease.queued) == (0, 0)


if __name__ == "__main__":
    asyncio.run(work(store_name(sys.argv[1]), Path(sys.argv[2])))
