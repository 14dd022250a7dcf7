"""Runs that earlier versions recorded replay identically with today's code.

The files are never written again: what was recorded is the proof. `scripts/record_replays.py` adds those of a new
version.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock import __version__
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.histories.replay.plans import LIVES, PLANS
from tests.histories.replay.recorded import FOLDER, files, load, put_back
from tests.simulation.crashes import RUN_ID
from tests.simulation.replays import Forbidden

FILES = files()
BYTES_MAX = 200_000


def test_every_life_is_recorded_by_this_version_and_takes_little_room() -> None:
    assert {path.stem for path in (FOLDER / __version__).glob("*.json")} == set(LIVES) == set(PLANS)
    assert sum(path.stat().st_size for path in FILES) < BYTES_MAX


@pytest.mark.unproved("the store holds what a replay reads, and no derived rows")
@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}/{path.stem}" for path in FILES])
def test_a_recorded_run_replays_identically_with_the_code_of_today(path: Path) -> None:
    async def scenario() -> None:
        history = load(path)
        app = memory_app(await put_back(history), transports={"outside": Forbidden()})
        app.journal.clock = app.journal.entropy = Forbidden()
        report = await app.runs.replay(RUN_ID, PLANS[history.plan]())

        assert report.divergence is None
        assert report.warnings == []
        assert report.phase in ("completed", "failed")
        assert report.compared > 0

    run(scenario())
