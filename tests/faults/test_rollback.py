"""An older copy of the store is put back (S13): what shows it, and what protects the outside all the same.

On both durable stores.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from interlock import App
from interlock.doctor import examine
from interlock.engine import events as e
from interlock.engine.reports.records import RunResult
from interlock.journal.chain import Recorded
from interlock.parts import installed_parts, sections_of
from interlock.settings import load
from interlock.stores.postgres import open_postgres
from interlock.testing.app import read_run
from interlock.testing.checker import check_run
from tests.faults.durable import SHORT_CLAIM, Durable, keep, keep_schema
from tests.faults.killing import Zygote
from tests.faults.plans import PLANS
from tests.faults.test_cut_logs import RUN, ended_alike, look, plan
from tests.postgres import fresh_schema


def test_an_older_copy_of_the_store_looks_like_an_earlier_crash_and_only_a_witness_outside_shows_it(
    zygote: Zygote, tmp_path: Path, durable: Durable
) -> None:
    """S13: the effect is sent again under its key; from inside nothing is wrong, a head noted outside is missing."""
    case = durable.case(zygote, tmp_path, "keyed")
    kill_at = 1
    while not case.said("handler hand_over"):  # until it is killed in its state, before anything is sent
        assert case.act("start", kill_at)["code"] != 0
        kill_at += 1
    restore = keep(case.name, tmp_path / "copy")
    case.gate.touch()
    assert case.finish()["answer"]["phase"] == "completed"
    witness = asyncio.run(case.events())[-1]
    before = len(case.said("deliver"))

    restore()
    restored = asyncio.run(case.events())
    assert asyncio.run(examine(case.name)).findings == []
    assert witness.digest not in {event.digest for event in restored}
    assert len(restored) < witness.envelope.seq

    assert case.finish()["answer"]["phase"] == "completed"
    again = asyncio.run(case.events())
    check_run(again, plan=PLANS["keyed"].build())
    assert len(case.said("deliver")) == before + 1
    assert set(case.said("deliver")) == {"handed"}
    assert sum(isinstance(event.record, e.FactRecorded) for event in again) == 1
    assert witness.digest not in {event.digest for event in again}


def test_a_database_put_back_to_any_commit_is_a_prefix_and_ends_the_same(postgres_url: str) -> None:
    """F19, S1: what a restore to a point in time leaves, or a replica that was behind; files: `test_cut_logs`."""
    url, copies = fresh_schema(postgres_url), list[Callable[[], None]]()
    engine: dict[str, dict[str, object]] = {"engine": dict(SHORT_CLAIM)}
    settings = load(sections_of(installed_parts()), arguments=engine, environ={}, folder=Path(os.devnull))

    def copied(point: str) -> None:
        if point == "append:after_commit":
            copies.append(keep_schema(url, f"kept{len(copies)}"))

    async def finished() -> tuple[RunResult, list[Recorded]]:
        store = await open_postgres(url, faults=copied)
        try:
            async with App.open(store, functions={"look": look}, settings=settings) as app:
                result = await app.runs.start(plan(), run_id=RUN)
                return result, await read_run(app, RUN)
        finally:
            await store.close()

    result, events = asyncio.run(finished())
    left = []
    for restore in copies.copy():
        restore()
        left.append(asyncio.run(ended_alike(url, events, result, settings)))
        assert asyncio.run(examine(url)).findings == []

    assert left == sorted(left)
    assert left[-1] == len(events)
    assert len(set(left)) >= 6, "one for each append"
