"""Owners that stand still, and come back after somebody else has taken their run; owners that died.

On both durable stores, but for what a death means: the kernel tells who writes to the same file, and nobody tells who
is on another computer, so that on PostgreSQL a run is taken when the claim on it ends. Processes are really stopped
(SIGSTOP) inside a handler or while an effect is on its way, and really continued.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from interlock.engine import events as e
from interlock.journal.chain import Recorded
from interlock.testing.checker import check_run
from tests.faults.durable import Durable
from tests.faults.killing import Case, Zygote, stopped, wait_for
from tests.faults.plans import PLANS

SHORT: dict[str, dict[str, object]] = {"engine": {"claim_lease_ms": 100, "watch_interval_ms": 20}}
SECOND: dict[str, dict[str, object]] = {"engine": {"claim_lease_ms": 1_000, "watch_interval_ms": 20}}
"""Short, and no claim that a process of a busy computer lets end: nobody else can tell that from a death."""

LONG: dict[str, dict[str, object]] = {"engine": {"claim_lease_ms": 3_600_000, "watch_interval_ms": 20}}


def events_of(case: Case) -> list[Recorded]:
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


def completed(case: Case, answer: dict[str, Any]) -> bool:
    return bool(answer["code"] == 0 and answer["answer"]["phase"] == "completed")


def test_an_owner_that_stood_still_in_a_handler_writes_and_does_nothing_more(
    zygote: Zygote, other: Zygote, tmp_path: Path, durable: Durable
) -> None:
    """F18, K2, M3: the other process takes the run when the claim ends; the first stops at its next append."""
    case = durable.case(zygote, tmp_path, "stalling", SHORT)
    with stopped(begun(case, "handler wait")):
        case.gate.touch()
        taken = other.order(**case.order("resume"))
        before = asyncio.run(case.events())
    awake = zygote.answer()

    assert completed(case, taken)
    assert awake["answer"] == taken["answer"], "it watches the run that it has lost"
    after = events_of(case)
    assert after == before
    assert len(set(owners(after))) == 2
    assert case.outside.count("handler ship") == 1
    assert case.outside.count("deliver shipped") == 1


def test_an_effect_that_a_zombie_sends_is_absorbed_by_its_key(
    zygote: Zygote, other: Zygote, tmp_path: Path, durable: Durable
) -> None:
    """F18, C7: what was on its way lands after another owner sent the same; the key makes them one."""
    case = durable.case(zygote, tmp_path, "keyed", SHORT)
    with stopped(begun(case, "sending")):
        case.gate.touch()
        taken = other.order(**case.order("resume"))
        before = asyncio.run(case.events())
    awake = zygote.answer()

    assert completed(case, taken)
    assert awake["answer"] == taken["answer"]
    assert case.outside.count("deliver handed") == 2
    assert events_of(case) == before
    intents = [event.record for event in before if isinstance(event.record, e.EffectIntended)]
    assert len({(intent.idempotency_key, intent.request_digest) for intent in intents}) == 1


def test_an_effect_without_a_key_that_a_zombie_sends_is_not_sent_by_another(
    zygote: Zygote, other: Zygote, tmp_path: Path, durable: Durable
) -> None:
    """F18, C7: the other owner parks the run instead, and the late answer does not unpark it."""
    case = durable.case(zygote, tmp_path, "keyless", SHORT)
    with stopped(begun(case, "sending")):
        taken = other.order(**case.order("resume"))
        case.gate.touch()
    awake = zygote.answer()

    parked = {"phase": "running", "waiting": "parked"}
    assert taken["answer"].items() >= parked.items()
    assert awake["answer"].items() >= parked.items()
    assert case.outside.count("deliver handed") == 1
    assert isinstance(events_of(case)[-1].record, e.OwnerClaimed | e.RunParked)


def test_a_run_is_not_taken_from_an_owner_that_lives_and_renews(
    zygote: Zygote, other: Zygote, tmp_path: Path, durable: Durable
) -> None:
    """K2: however short its claim; who asks meanwhile watches, and gets the same result."""
    case = durable.case(zygote, tmp_path, "stalling", SHORT if durable.on_files else SECOND)
    begun(case, "handler wait")
    other.send(**case.order("resume", opened="watching"))
    wait_for(lambda: case.outside.count("watching") == 1)
    case.gate.touch()

    assert other.answer()["answer"] == zygote.answer()["answer"]
    assert len(owners(events_of(case))) == 1
    assert len(case.said("handler wait")) == 1


def test_a_run_that_is_stolen_from_a_living_owner_goes_on_once(
    zygote: Zygote, other: Zygote, tmp_path: Path, durable: Durable
) -> None:
    """K2, K3: the first is awake and in its handler; it loses the run at its next append."""
    case = durable.case(zygote, tmp_path, "stalling", LONG)
    begun(case, "handler wait")
    other.send(**case.order("resume", steal=True))
    wait_for(lambda: len(case.said("handler wait")) == 2)
    case.gate.touch()

    assert other.answer()["answer"] == zygote.answer()["answer"]
    assert case.outside.count("handler ship") == 1
    assert case.outside.count("deliver shipped") == 1
    assert len(set(owners(events_of(case)))) == 2


def test_the_run_of_a_dead_owner_is_taken_at_once(zygote: Zygote, other: Zygote, tmp_path: Path) -> None:
    """F18, K2: its claim is good for an hour, but the kernel knows that it is dead."""
    case = Case(zygote, tmp_path, "stalling", settings=LONG)
    os.kill(begun(case, "handler wait"), signal.SIGKILL)
    assert zygote.answer()["code"] == -signal.SIGKILL
    case.gate.touch()

    assert completed(case, other.order(**case.order("resume")))
    assert len(set(owners(events_of(case)))) == 2


def test_a_watcher_takes_the_run_when_its_owner_dies(zygote: Zygote, other: Zygote, tmp_path: Path) -> None:
    """K2: it waits for nobody's claim."""
    case = Case(zygote, tmp_path, "stalling", settings=LONG)
    owner = begun(case, "handler wait")
    other.send(**case.order("resume", opened="watching"))
    wait_for(lambda: case.outside.count("watching") == 1)
    os.kill(owner, signal.SIGKILL)
    zygote.answer()
    case.gate.touch()

    assert completed(case, other.answer())
    assert case.outside.count("deliver shipped") == 1
    events_of(case)


def test_the_run_of_an_owner_that_nobody_saw_die_is_taken_when_its_claim_ends(
    zygote: Zygote, other: Zygote, tmp_path: Path, durable: Durable
) -> None:
    """F18, K2: nobody on another computer knows that it is dead, so that its claim must expire."""
    case = durable.case(zygote, tmp_path, "stalling", SHORT)
    os.kill(begun(case, "handler wait"), signal.SIGKILL)
    assert zygote.answer()["code"] == -signal.SIGKILL
    case.gate.touch()

    assert completed(case, other.order(**case.order("resume")))
    assert len(set(owners(events_of(case)))) == 2
