"""The store on PostgreSQL with real processes: killed at every durable operation, and standing still.

Nobody on another computer sees that an owner has died, so a run is taken when the claim on it ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.engine import events as e
from interlock.journal.chain import Recorded
from interlock.testing.checker import check_run
from tests.faults.killing import Case, Zygote, stopped, wait_for
from tests.faults.plans import PLANS
from tests.faults.test_crash_sweep import completed, effective
from tests.faults.test_processes import at_once
from tests.postgres import fresh_schema

STRIDES = {"small": 1, "full": 4}
"""Kills at each operation of the small plan, and at every fourth of the full one: before, under way, after in turn."""
SHORT: dict[str, dict[str, object]] = {"engine": {"claim_lease_ms": 150, "watch_interval_ms": 20}}
LONG: dict[str, dict[str, object]] = {"engine": {"claim_lease_ms": 3_600_000, "watch_interval_ms": 20}}


@pytest.fixture(scope="module")
def other() -> Iterator[Zygote]:
    """A second process beside the first."""
    zygote = Zygote()
    yield zygote
    zygote.close()


def case(zygote: Zygote, folder: Path, url: str, plan: str, settings: dict[str, dict[str, object]] = SHORT) -> Case:
    folder.mkdir(parents=True, exist_ok=True)
    return Case(zygote, folder, plan, settings=settings, url=fresh_schema(url))


def checked(case: Case) -> list[Recorded]:
    events = asyncio.run(case.events())
    check_run(events, plan=PLANS[case.plan].build())
    return events


def owners(events: list[Recorded]) -> list[str]:
    return [event.record.owner for event in events if isinstance(event.record, e.OwnerClaimed)]


def begun(case: Case, word: str) -> int:
    """Start the run; the process that waits where it says `word`."""
    case.zygote.send(**case.order("start"))
    wait_for(lambda: bool(case.said(word)))
    return int(case.said(word)[0])


def ended(answer: dict[str, Any]) -> bool:
    return bool(answer["code"] == 0 and answer["answer"]["phase"] == "completed")


@pytest.mark.parametrize("plan", ["small", "full"])
def test_a_run_killed_at_any_durable_operation_ends_as_if_it_had_not_been(
    zygote: Zygote, tmp_path: Path, postgres_url: str, plan: str
) -> None:
    """C1–C23, F1–F15, P1 on PostgreSQL: before a batch is sent, while it is on its way, and once it is committed."""
    quiet = case(zygote, tmp_path / "quiet", postgres_url, plan)
    usual = quiet.finish()
    assert usual["answer"]["phase"] == "completed"
    assert set(usual["points"]) == {"append:before", "append:sent", "append:after_commit"}
    whole = checked(quiet)
    for kill_at in range(1, len(usual["points"]) + 1, STRIDES[plan]):
        killed = case(zygote, tmp_path / f"kill-{kill_at}", postgres_url, plan)
        assert killed.act("start", kill_at)["code"] == -signal.SIGKILL, f"not killed at {kill_at}"
        handlers = list(killed.outside)
        done = killed.finish()
        assert done["answer"]["phase"] == "completed", (kill_at, done)
        events = checked(killed)
        assert effective(events) == effective(whole), kill_at
        assert len(set(completed(events))) == len(completed(events))
        again = killed.outside[len(handlers) :]
        for state_id in completed(before_the_next_owner(events)):
            assert f"handler {state_id.split('.')[1]}" not in again, (kill_at, state_id)


def before_the_next_owner(events: list[Recorded]) -> list[Recorded]:
    """What the owner that was killed left; nothing if its run was never written, or had ended."""
    first = owners(events)[0]
    for at, event in enumerate(events):
        if isinstance(event.record, e.OwnerClaimed) and event.record.owner != first:
            return events[:at]
    return []


def test_processes_that_start_one_run_at_once_start_it_once(
    zygote: Zygote, other: Zygote, tmp_path: Path, postgres_url: str
) -> None:
    """K5, K1: one RunStarted, one owner, every handler once, the same answer for all."""
    for turn in range(3):
        shared = case(zygote, tmp_path / str(turn), postgres_url, "small")

        answers = at_once([zygote, other], shared, [shared.order("start")] * 2)

        assert answers[0]["answer"] == answers[1]["answer"]
        assert answers[0]["answer"]["phase"] == "completed"
        events = checked(shared)
        assert len(owners(events)) == 1
        assert shared.said("handler") == ["first", "second"]


def test_an_owner_that_stood_still_in_a_handler_writes_and_does_nothing_more(
    zygote: Zygote, other: Zygote, tmp_path: Path, postgres_url: str
) -> None:
    """F18, K2, M3: the other process takes the run when the claim ends; the first stops at its next append."""
    still = case(zygote, tmp_path, postgres_url, "stalling")
    with stopped(begun(still, "handler wait")):
        still.gate.touch()
        taken = other.order(**still.order("resume"))
        before = asyncio.run(still.events())
    awake = zygote.answer()

    assert ended(taken)
    assert awake["answer"] == taken["answer"], "it watches the run that it has lost"
    assert checked(still) == before
    assert len(set(owners(before))) == 2
    assert still.outside.count("handler ship") == 1
    assert still.outside.count("deliver shipped") == 1


def test_an_effect_that_a_zombie_sends_is_absorbed_by_its_key(
    zygote: Zygote, other: Zygote, tmp_path: Path, postgres_url: str
) -> None:
    """F18, C7: what was on its way lands after another owner sent the same; the key makes them one."""
    still = case(zygote, tmp_path, postgres_url, "keyed")
    with stopped(begun(still, "sending")):
        still.gate.touch()
        taken = other.order(**still.order("resume"))
        before = asyncio.run(still.events())
    awake = zygote.answer()

    assert ended(taken)
    assert awake["answer"] == taken["answer"]
    assert checked(still) == before


def test_a_run_is_not_taken_from_an_owner_that_lives_and_renews(
    zygote: Zygote, other: Zygote, tmp_path: Path, postgres_url: str
) -> None:
    """K2: however short its claim; who asks meanwhile watches, and gets the same result."""
    alive = case(zygote, tmp_path, postgres_url, "stalling", {"engine": {"claim_lease_ms": 1_000}})
    begun(alive, "handler wait")
    other.send(**alive.order("resume", opened="watching"))
    wait_for(lambda: alive.outside.count("watching") == 1)
    alive.gate.touch()

    assert other.answer()["answer"] == zygote.answer()["answer"]
    assert len(owners(checked(alive))) == 1
    assert len(alive.said("handler wait")) == 1


def test_a_run_that_is_stolen_from_a_living_owner_goes_on_once(
    zygote: Zygote, other: Zygote, tmp_path: Path, postgres_url: str
) -> None:
    """K2, K3: the first is awake and in its handler; it loses the run at its next append."""
    stolen = case(zygote, tmp_path, postgres_url, "stalling", LONG)
    begun(stolen, "handler wait")
    other.send(**stolen.order("resume", steal=True))
    wait_for(lambda: len(stolen.said("handler wait")) == 2)
    stolen.gate.touch()

    assert other.answer()["answer"] == zygote.answer()["answer"]
    assert stolen.outside.count("handler ship") == 1
    assert len(set(owners(checked(stolen)))) == 2


def test_the_run_of_a_dead_owner_is_taken_when_its_claim_ends(
    zygote: Zygote, other: Zygote, tmp_path: Path, postgres_url: str
) -> None:
    """F18, K2: nobody on another computer knows that it is dead, so that its claim must expire."""
    dead = case(zygote, tmp_path, postgres_url, "stalling")
    os.kill(begun(dead, "handler wait"), signal.SIGKILL)
    assert zygote.answer()["code"] == -signal.SIGKILL
    dead.gate.touch()

    assert ended(other.order(**dead.order("resume")))
    assert len(set(owners(checked(dead)))) == 2
