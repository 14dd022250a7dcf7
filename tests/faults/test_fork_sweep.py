"""Real processes that make a fork, killed with SIGKILL at every durable operation, on both durable stores."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from interlock.testing.checker import check_run
from tests.faults.durable import Durable
from tests.faults.killing import Case, Zygote
from tests.faults.plans import PLANS

FORK_ID = "01890a5d-ac96-774b-bcce-b302099a8058"


def forked(case: Case, kill_at: int | None = None) -> dict[str, Any]:
    """Fork the run at its last state, with few records in an append."""
    last = PLANS[case.plan].build()
    step = last.states[last.order[-1]].id
    return case.act("fork", kill_at, fork_id=FORK_ID, step=step, records_max=2)


def source(durable: Durable, zygote: Zygote, folder: Path, plan: str) -> tuple[Case, str]:
    """A run that has completed, whose outside is noted anew from now on, and its final snapshot."""
    case = durable.case(zygote, folder, plan)
    answer = case.act("start")["answer"]
    assert answer["phase"] == "completed"
    (folder / "outside.log").unlink()
    return case, answer["snapshot"]


@pytest.mark.parametrize("plan", ["small", "full"])
def test_a_fork_killed_at_any_durable_operation_is_completed_by_the_next_process(
    zygote: Zygote, tmp_path: Path, swept: Durable, plan: str
) -> None:
    """I2, I4, I5, I6, I10: the same end, and no handler of an inherited state runs."""
    quiet, _ = source(swept, zygote, tmp_path / "quiet", plan)
    usual = forked(quiet)
    assert usual["answer"]["phase"] == "completed"
    handlers = {line for line in quiet.outside if line.startswith("handler")}
    assert len(handlers) <= 1
    for kill_at in range(1, len(usual["points"]) + 1, swept.stride(1, 4)):
        killed, snapshot = source(swept, zygote, tmp_path / f"kill-{kill_at}", plan)
        assert forked(killed, kill_at)["code"] == -9, f"not killed at {kill_at}"
        done = forked(killed)
        assert (done["answer"]["phase"], done["answer"]["snapshot"]) == ("completed", snapshot), kill_at
        check_run(asyncio.run(killed.events(FORK_ID)), plan=PLANS[plan].build())
        assert {line for line in killed.outside if line.startswith("handler")} <= handlers, kill_at
