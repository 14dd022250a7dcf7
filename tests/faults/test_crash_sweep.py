"""Real processes killed with SIGKILL at every durable operation, and at pairs of them, on both durable stores.

The checker is independent of the engine; what happened outside is believed from a log that only the outside writes.
"""

from __future__ import annotations

import asyncio
from itertools import product
from pathlib import Path

import pytest

from interlock.engine import events as e
from interlock.journal.chain import Recorded
from interlock.testing.checker import check_run
from tests.faults.durable import Durable
from tests.faults.killing import Case, Zygote
from tests.faults.plans import PLANS

PARTS = 4
"""Tests that a long sweep is cut into, so that each ends well within its time on a busy machine."""

SAMPLED = {"small": 1, "full": 4}
"""On PostgreSQL each operation of the small plan, and every fourth of the full one."""

POINTS_MIN = 10
"""Durable operations that the smallest plan has at least: with fewer, a sweep would show little."""


def effective(events: list[Recorded]) -> list[object]:
    """Domain events of attempts that completed, in order, without what only says when: what P1 compares."""
    found: list[object] = []
    current: list[object] = []
    for event in events:
        record = event.record
        if isinstance(record, e.StateEntered):
            current = []
        elif isinstance(record, (e.DomainEmitted, e.ArtifactWritten)):
            current.append(record)
        elif isinstance(record, e.StateCompleted):
            found.extend(current)
    return found


def completed(events: list[Recorded]) -> list[str]:
    return [event.record.state_id for event in events if isinstance(event.record, e.StateCompleted)]


def checked(case: Case) -> list[Recorded]:
    events = asyncio.run(case.events())
    check_run(events, plan=PLANS[case.plan].build())
    return events


@pytest.mark.parametrize("plan", ["small", "full"])
def test_a_run_killed_at_any_durable_operation_ends_as_if_it_had_not_been(
    zygote: Zygote, tmp_path: Path, swept: Durable, plan: str
) -> None:
    """C1–C23, F1–F15, P1: one kill at each operation, then the same end, and no completed state twice."""
    quiet = swept.case(zygote, tmp_path / "quiet", plan)
    usual = quiet.finish()
    assert usual["answer"]["phase"] == "completed"
    assert {point for point in usual["points"] if point.startswith("append")} == set(swept.points)
    whole = checked(quiet)
    for kill_at in range(1, len(usual["points"]) + 1, swept.stride(1, SAMPLED[plan])):
        killed = swept.case(zygote, tmp_path / f"kill-{kill_at}", plan)
        first = killed.act("start", kill_at)
        assert first["code"] == -9, f"not killed at {kill_at}"
        log = checked(killed) if killed.present else []
        if not log:  # C1, C2, F1–F3: then no run exists, and there is nothing to resume
            assert killed.act("resume")["answer"] == {"error": "run_not_found"}
        before = completed(log)
        handlers = list(killed.outside)
        done = killed.finish()
        assert done["answer"]["phase"] == "completed", (kill_at, done)
        events = checked(killed)
        if plan == "small":
            assert done["answer"]["snapshot"] == usual["answer"]["snapshot"], kill_at
        assert effective(events) == effective(whole), kill_at
        again = killed.outside[len(handlers) :]
        for state_id in before:
            assert f"handler {state_id.split('.')[1]}" not in again, (kill_at, state_id)
        assert len(set(completed(events))) == len(completed(events))


@pytest.mark.parametrize("part", range(PARTS))
def test_a_small_run_survives_every_pair_of_kills(zygote: Zygote, tmp_path: Path, swept: Durable, part: int) -> None:
    """C22, C23, F14, F15: a second kill at each operation of the resumed run."""
    usual = swept.case(zygote, tmp_path / "quiet", "small").finish()
    points = len(usual["points"])
    assert points >= POINTS_MIN
    pairs = list(product(range(1 + part, points + 1, PARTS), range(1, points + 3)))
    for first, second in pairs[:: swept.stride(1, 17)]:
        killed = swept.case(zygote, tmp_path / f"kill-{first}-{second}", "small")
        done = killed.finish([first, second])
        if done["code"] != 0:
            done = killed.finish()
        assert done["answer"]["phase"] == "completed", (first, second, done)
        assert done["answer"]["snapshot"] == usual["answer"]["snapshot"], (first, second)
        checked(killed)
        assert {line for line in killed.outside if line.startswith("deliver")} == {"deliver k1"}


def test_an_effect_without_a_key_is_delivered_at_most_once_whenever_the_process_dies(
    zygote: Zygote, tmp_path: Path, swept: Durable
) -> None:
    """F6, C7–C9 for an effect without a key: it happened once, or the run is parked; never twice."""
    points = len(swept.case(zygote, tmp_path / "quiet", "unkeyed").finish()["points"])
    endings = set()
    for kill_at in range(1, points + 1, swept.stride(1, 2)):
        killed = swept.case(zygote, tmp_path / f"kill-{kill_at}", "unkeyed")
        killed.act("start", kill_at)
        done = killed.finish()
        endings.add((done["answer"]["phase"], done["answer"]["waiting"]))
        assert killed.outside.count("deliver once") <= 1, kill_at
        checked(killed)
        if done["answer"]["waiting"] is None:
            assert killed.outside.count("deliver once") == 1, kill_at
    assert endings == {("completed", None), ("running", "parked")}


def test_a_recorded_read_is_not_repeated_after_a_crash(zygote: Zygote, tmp_path: Path, swept: Durable) -> None:
    """C10, F8, P3, M6: one read for each kill before the fact was durable, and none after."""
    points = len(swept.case(zygote, tmp_path / "quiet", "full").finish()["points"])
    seen: set[bool] = set()
    for kill_at in range(1, points + 1, swept.stride(1, 5)):
        killed = swept.case(zygote, tmp_path / f"kill-{kill_at}", "full")
        killed.act("start", kill_at)
        recorded = killed.present and any(
            isinstance(event.record, e.FactRecorded) and event.record.key == "read:1" for event in checked(killed)
        )
        seen.add(recorded)
        reads = killed.outside.count("read")
        killed.finish()
        assert killed.outside.count("read") == (reads if recorded else reads + 1), kill_at
        # C9: the answer that was recorded is the one that binds, and an earlier one that was lost is nowhere.
        assert asyncio.run(killed.output("fetch"))["answer"] == killed.outside.count("read"), kill_at
    assert seen == {True, False}
