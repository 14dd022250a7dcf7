"""Several processes at one run at the same time: one owns it, the others watch, and all tell the same.

On both durable stores.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from interlock.engine import events as e
from interlock.journal.chain import Recorded
from interlock.testing.checker import check_run
from tests.faults.durable import Durable
from tests.faults.killing import Case, Zygote, wait_for
from tests.faults.plans import PLANS

PROCESSES = 4
ROUNDS = 5
WATCHFUL: dict[str, dict[str, object]] = {"engine": {"watch_interval_ms": 20, "claim_lease_ms": 1_000}}
"""A claim that ends soon where nobody sees who died, and not while its owner waits for a busy computer."""


@pytest.fixture(scope="module")
def crew() -> Iterator[list[Zygote]]:
    with ExitStack() as stack:
        zygotes = [Zygote() for _ in range(PROCESSES)]
        for zygote in zygotes:
            stack.callback(zygote.close)
        yield zygotes


def at_once(crew: list[Zygote], case: Case, orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Carry out each order in a process of its own; all have opened the store before any may begin."""
    barrier = case.folder / "begin"
    barrier.unlink(missing_ok=True)
    before = case.outside.count("ready")
    for zygote, order in zip(crew, orders, strict=True):
        zygote.send(**order, opened="ready", barrier=str(barrier))
    wait_for(lambda: case.outside.count("ready") == before + len(orders))
    barrier.touch()
    return [zygote.answer() for zygote in crew]


def events_of(case: Case) -> list[Recorded]:
    events = asyncio.run(case.events())
    check_run(events, plan=PLANS[case.plan].build())
    return events


def count(events: list[Recorded], kind: type) -> int:
    return sum(isinstance(event.record, kind) for event in events)


def case_of(durable: Durable, crew: list[Zygote], folder: Path, plan: str) -> Case:
    return durable.case(crew[0], folder, plan, WATCHFUL)


@pytest.mark.parametrize("plan", ["small", "full"])
def test_processes_that_start_one_run_at_once_start_it_once(
    crew: list[Zygote], tmp_path: Path, durable: Durable, plan: str
) -> None:
    """K5, K1, P15: one RunStarted, one owner, every handler once, the same answer for all."""
    for turn in range(ROUNDS):
        case = case_of(durable, crew, tmp_path / str(turn), plan)

        answers = at_once(crew, case, [case.order("start")] * PROCESSES)

        assert [answer["answer"] for answer in answers] == [answers[0]["answer"]] * PROCESSES
        assert answers[0]["answer"]["phase"] == "completed"
        events = events_of(case)
        assert (count(events, e.RunStarted), count(events, e.RunCompleted)) == (1, 1)
        assert count(events, e.OwnerClaimed) == 1
        assert count(events, e.StateEntered) == len(case.said("handler"))
        assert count(events, e.StateCompleted) == len(PLANS[plan].build().states)


def test_processes_that_resume_one_run_at_once_drive_it_once(
    crew: list[Zygote], tmp_path: Path, durable: Durable
) -> None:
    """K1, K2, F17: one closes the attempt of the dead owner and goes on; the others call no handler."""
    points = len(case_of(durable, crew, tmp_path / "quiet", "small").finish()["points"])
    for kill_at in range(points // 2, points, 3):
        case = case_of(durable, crew, tmp_path / str(kill_at), "small")
        assert case.act("start", kill_at)["code"] == -signal.SIGKILL
        before = events_of(case)

        answers = at_once(crew, case, [case.order("resume")] * PROCESSES)

        assert [answer["answer"] for answer in answers] == [answers[0]["answer"]] * PROCESSES
        assert answers[0]["answer"]["phase"] == "completed"
        events = events_of(case)
        assert count(events, e.OwnerClaimed) == 2
        assert count(events, e.StateEntered) == len(case.said("handler"))
        assert events[: len(before)] == before


def test_processes_that_start_one_id_with_different_plans_do_not_mix(
    crew: list[Zygote], tmp_path: Path, durable: Durable
) -> None:
    """K5: one manifest wins, whoever has another is told so."""
    for turn in range(ROUNDS):
        case = case_of(durable, crew, tmp_path / str(turn), "small")
        rival = replace(case, plan="unkeyed")
        answers = at_once(crew, case, [case.order("start"), rival.order("start")] * (PROCESSES // 2))

        conflicts = [answer["answer"].get("error") == "run_conflict" for answer in answers]
        assert conflicts in ([True, False] * 2, [False, True] * 2)
        assert count(asyncio.run(case.events()), e.RunStarted) == 1


def test_processes_with_runs_of_their_own_share_a_store(crew: list[Zygote], tmp_path: Path, durable: Durable) -> None:
    """P15: nothing of one stands in the other, and none fails because of another."""
    shared = case_of(durable, crew, tmp_path / "shared", "full")
    cases = [replace(shared, zygote=zygote, run_id=str(uuid4())) for zygote in crew]
    for case in cases:
        case.zygote.send(**case.order("start"))

    answers = [case.zygote.answer()["answer"] for case in cases]
    assert [answer.get("phase") for answer in answers] == ["completed"] * PROCESSES, answers
    for case in cases:
        events_of(case)


@pytest.mark.parametrize("rounds", [60, pytest.param(500, marks=pytest.mark.slow)])
def test_processes_that_make_one_store_at_the_same_instant_all_open_it(
    tmp_path: Path, durable: Durable, rounds: int
) -> None:
    """K5: who comes second finds the store, and is not told that it is busy or somebody else's."""
    rounds = rounds if durable.on_files else rounds // 4
    place = str(durable.url or tmp_path)
    line = [sys.executable, "-m", "tests.faults.creating", place, str(PROCESSES), str(rounds)]
    done = subprocess.run(line, cwd=Path(__file__).parents[2], capture_output=True, check=True, timeout=100)

    assert json.loads(done.stdout) == {"opened": PROCESSES * rounds}


def test_a_run_survives_a_crowd_in_which_processes_die(crew: list[Zygote], tmp_path: Path, durable: Durable) -> None:
    """K1, K2, F15: all at once, each dies at another operation, again and again; its effect is one."""
    case = case_of(durable, crew, tmp_path / "case", "small")
    case.settings["engine"]["crash_budget"] = 100
    died = 0
    for turn in range(4):
        orders = [case.order("start", kill_at=4 + 2 * turn + place) for place in range(PROCESSES)]
        answers = at_once(crew, case, orders)
        died += sum(answer["code"] == -signal.SIGKILL for answer in answers)
        events_of(case)

    assert died >= PROCESSES
    assert case.finish()["answer"]["phase"] == "completed"
    events_of(case)
    assert set(case.said("deliver")) == {"k1"}
