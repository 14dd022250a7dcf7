"""The write-ahead log of a finished run, cut anywhere: it opens as a prefix, and the run ends as it had ended.

Each cut is a crash that lost what had not reached the disk. Cuts are made at the end of every frame, and at places
drawn between; a finer sweep goes by the marker `slow`. The log is SQLite's own: what a database loses is tested in
`test_rollback`.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from interlock import App, Context, Io, IoCall, Plan, Recorder
from interlock.base.errors import InterlockError
from interlock.doctor import examine
from interlock.engine.reports.records import RunResult
from interlock.journal.chain import Recorded
from interlock.journal.store_name import StoreName
from interlock.settings import Settings
from interlock.stores.sqlite import open_sqlite
from interlock.testing.app import read_run
from interlock.testing.checker import check_run
from tests.faults.logs import FRAME_BYTES, HEADER_BYTES, copied, place

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
REQUEST = {"kind": "call_function_v1", "function": "look", "input": "q"}


@dataclass(frozen=True)
class Finished:
    """A run that has ended, and the bytes of its store before anything was moved out of the log."""

    database: bytes
    log: bytes
    events: list[Recorded]
    result: RunResult


def plan() -> Plan:
    """Facts, a large value, an artifact: and the same end whenever it is run."""
    plan = Plan("cut")

    @plan.state
    async def one(ctx: Context, rec: Recorder) -> str:
        ctx.write("large", "l" * 5000)
        return await rec.artifact("Output", b"report")

    @plan.state(side_effects="read_only_io")
    async def two(one: str, io: Io) -> Any:
        return [one, (await io.call(IoCall("python", REQUEST, "look:1"))).response]

    @plan.state
    async def three(two: list[Any], ctx: Context) -> int:
        return len(two) + len(str(await ctx.read("large")))

    return plan


def look(given: object) -> object:
    return {"given": given}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder, copies = tmp_path_factory.mktemp("finished"), tmp_path_factory.mktemp("copies")

    async def main() -> Finished:
        async with App.open(folder / "store", functions={"look": look}) as app:
            result = await app.runs.start(plan(), run_id=RUN)
            events = await read_run(app, RUN)
            return Finished(*await copied(folder / "store", copies), events, result)

    return asyncio.run(main())


def frames(log: bytes) -> list[int]:
    return [*range(HEADER_BYTES, len(log) + 1, FRAME_BYTES)]


def drawn(log: bytes, count: int) -> list[int]:
    return sorted(random.Random(count).sample(range(len(log)), count))  # noqa: S311 - no secret


def test_a_finished_run_whose_log_is_cut_between_frames_is_a_prefix_and_ends_the_same(
    tmp_path: Path, finished: Finished
) -> None:
    """F19, S1."""
    left = [gone_on(tmp_path, finished, at) for at in frames(finished.log)]

    assert left == sorted(left)
    assert (left[0], left[-1]) == (0, len(finished.events))
    assert len(set(left)) >= 6, "one for each append"


@pytest.mark.parametrize("count", [30, pytest.param(1_000, marks=pytest.mark.slow)])
def test_a_finished_run_whose_log_is_cut_anywhere_is_a_prefix_and_ends_the_same(
    tmp_path: Path, finished: Finished, count: int
) -> None:
    """F19, S1."""
    assert len({gone_on(tmp_path, finished, at) for at in drawn(finished.log, count)}) > 3


def gone_on(folder: Path, finished: Finished, at: int) -> int:
    """Open the store with the log cut at `at` and go on with the run; how many of its events were left."""
    path = place(folder, finished.database, finished.log[:at])
    seen = asyncio.run(seen_by_a_reader(path))
    assert log_of(path) == finished.log[:at], "whoever only reads changes nothing"

    left = asyncio.run(ended_alike(path, finished.events, finished.result))
    assert left == seen, at
    assert asyncio.run(examine(path)).findings == []
    return left


async def ended_alike(
    name: StoreName, events: list[Recorded], result: RunResult, settings: Settings | None = None
) -> int:
    """Go on with the run of which a store holds a beginning; it ends as it had ended. How many events were left."""
    async with App.open(name, functions={"look": look}, settings=settings) as app:
        before = await read_run(app, RUN)
        assert before == events[: len(before)]
        again = await (app.runs.resume(RUN, plan=plan()) if before else app.runs.start(plan(), run_id=RUN))
        after = await read_run(app, RUN)
    assert (again.phase, again.final_snapshot_id) == ("completed", result.final_snapshot_id), len(before)
    assert after[: len(before)] == before
    check_run(after, plan=plan().build(), result=again)
    return len(before)


async def seen_by_a_reader(path: Path) -> int:
    """How many events of the run somebody sees who may not write."""
    try:
        store = await open_sqlite(path, read_only=True)
    except InterlockError as fault:
        assert fault.code in {"store_not_found", "store_unwritable"}  # not even the tables had reached the disk
        return 0
    try:
        return len(await store.events.read(f"default/run/{RUN}", 0, 1_000))
    finally:
        await store.close()


def log_of(path: Path) -> bytes:
    log = Path(f"{path}-wal")
    return log.read_bytes() if log.exists() else b""
