"""Real processes killed while runs wait, run states at once and have children (SIGKILL, SIGSTOP).

On both durable stores.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from interlock.engine import events as e
from interlock.journal.chain import Recorded
from tests.faults.durable import Durable
from tests.faults.killing import Case, Zygote, stopped, wait_for

SHORT: dict[str, dict[str, object]] = {"engine": {"claim_lease_ms": 200, "watch_interval_ms": 20, "crash_budget": 100}}
LIVES_MAX = 6
SAMPLED = 7
"""On PostgreSQL every seventh operation."""


def case(durable: Durable, zygote: Zygote, folder: Path, plan: str = "tree") -> Case:
    return durable.case(zygote, folder, plan, SHORT)


def records(case: Case) -> list[Any]:
    return [event.record for event in asyncio.run(case.logs())[case.run_id]]


def finished(case: Case) -> dict[str, Any]:
    """Start, answer and start again until the run has ended."""
    answer: dict[str, Any] = {}
    for _ in range(LIVES_MAX):
        answer = case.act("start")["answer"]
        if answer.get("phase") != "running":
            return answer
        case.act("answer")
    raise AssertionError(answer)


def lived(case: Case, first: int | None, second: int | None, *, checks: bool = True) -> dict[str, Any]:
    """A process that starts the run and dies, one that answers and dies, then as many as it takes."""
    case.act("start", first)
    if checks and case.present:
        asyncio.run(case.logs())
    case.act("answer", second)
    if checks and case.present:
        asyncio.run(case.logs())
    return finished(case)


def proved(case: Case, answer: dict[str, Any], expected: dict[str, Any]) -> None:
    logs = asyncio.run(case.logs())
    assert answer == expected
    assert len(logs) == 2
    linked = [r for r in records(case) if isinstance(r, e.ChildRunSpawned | e.ChildRunCompleted)]
    assert [type(each) for each in linked] == [e.ChildRunSpawned, e.ChildRunCompleted]
    assert set(case.said("deliver")) == {"kid1"}


def quiet(durable: Durable, zygote: Zygote, folder: Path) -> tuple[dict[str, Any], int, int]:
    """What the run comes to, and how many operations starting and answering take."""
    usual = case(durable, zygote, folder / "quiet")
    started = usual.act("start")
    told = usual.act("answer")
    answer = finished(usual)
    assert answer["phase"] == "completed"
    proved(usual, answer, answer)
    return answer, len(started["points"]), len(told["points"])


def test_a_family_killed_at_any_durable_operation_ends_as_if_it_had_not_been(
    zygote: Zygote, tmp_path: Path, swept: Durable
) -> None:
    """C1 to C23, F1 to F15, H1, H2, H3, W1, P1: of the process that drives parent and child."""
    expected, points, _ = quiet(swept, zygote, tmp_path)
    for kill_at in range(1, points + 1, swept.stride(1, SAMPLED)):
        killed = case(swept, zygote, tmp_path / f"kill-{kill_at}")
        proved(killed, lived(killed, kill_at, None), expected)


def test_an_answer_whose_process_is_killed_at_any_operation_is_taken_once(
    zygote: Zygote, tmp_path: Path, swept: Durable
) -> None:
    """W2, W4, P1: of the process that gives the answer, and takes it as nobody drives the run."""
    expected, _, points = quiet(swept, zygote, tmp_path)
    for kill_at in range(1, points + 1, swept.stride(1, SAMPLED)):
        killed = case(swept, zygote, tmp_path / f"kill-{kill_at}")
        proved(killed, lived(killed, None, kill_at), expected)
        answers = [each for each in records(killed) if isinstance(each, e.SignalReceived)]
        assert len(answers) == 1, kill_at


def pairs(durable: Durable, zygote: Zygote, folder: Path, stride: int) -> None:
    expected, points, _ = quiet(durable, zygote, folder)
    every = [
        (first, second)
        for number, first in enumerate(range(1, points + 1))
        for second in range(1 + number % stride, points + 3, stride)
    ]
    for first, second in every[:: durable.stride(1, 1 if stride == 1 else 10)]:
        killed = case(durable, zygote, folder / f"kill-{first}-{second}")
        killed.act("start", first)
        killed.act("start", second)
        answer = finished(killed)
        proved(killed, answer, expected)


def test_a_family_survives_some_pairs_of_kills(zygote: Zygote, tmp_path: Path, swept: Durable) -> None:
    """C22, C23, F14, F15, H1 to H3."""
    pairs(swept, zygote, tmp_path, stride=41)


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_a_family_survives_every_pair_of_kills(zygote: Zygote, tmp_path: Path, durable: Durable) -> None:
    """C22, C23, F14, F15, H1 to H3."""
    pairs(durable, zygote, tmp_path, stride=1)


def begun(case: Case, word: str) -> int:
    """Start the run; the process that says `word`."""
    case.zygote.send(**case.order("start"))
    wait_for(lambda: bool(case.said(word)))
    return int(case.said(word)[0])


def settled(case: Case) -> int:
    """Start a run of two branches; the process that drives it, once one branch waits and the other is busy."""
    process = begun(case, "handler right")

    def waits() -> bool:
        return any(isinstance(event.record, e.StateSuspended) for event in asyncio.run(case.events()))

    wait_for(waits)
    return process


def test_a_parent_killed_while_its_child_runs_is_resumed_with_it(
    zygote: Zygote, other: Zygote, tmp_path: Path, durable: Durable
) -> None:
    """H3, H4, D10: the child is resumed by itself first, and the parent takes its end."""
    killed = case(durable, zygote, tmp_path / "case", "slow_tree")
    os.kill(begun(killed, "handler dawdle"), signal.SIGKILL)
    assert zygote.answer()["code"] == -signal.SIGKILL
    killed.gate.touch()
    logs = asyncio.run(killed.logs())
    [child] = [run_id for run_id in logs if run_id != killed.run_id]
    order = killed.order("resume") | {"run_id": child, "plan": "slow_kid"}
    assert other.order(**order)["answer"]["phase"] == "completed"

    assert finished(killed)["phase"] == "completed"
    ended = [each.status for each in records(killed) if isinstance(each, e.ChildRunCompleted)]
    assert ended == [e.RunStatus.COMPLETED]
    assert len(killed.said("handler dawdle")) == 2


def test_a_worker_of_another_process_drives_a_whole_family(
    zygote: Zygote, other: Zygote, tmp_path: Path, swept: Durable
) -> None:
    """H3, H1: killed at each operation that opens the child, the rest is a worker's."""
    expected, points, _ = quiet(swept, zygote, tmp_path)
    for kill_at in range(6, points, swept.stride(3, 25)):
        killed = case(swept, zygote, tmp_path / f"kill-{kill_at}")
        killed.act("start", kill_at)
        killed.act("answer")
        other.order(**killed.order("work"))
        answer = other.order(**killed.order("work"))["answer"]
        if answer.get("phase") == "running" and answer["waiting"] == "suspended":
            killed.act("answer")
            answer = other.order(**killed.order("work"))["answer"]
        proved(killed, answer, expected)


def test_an_owner_of_branches_that_stood_still_writes_nothing_more(
    zygote: Zygote, other: Zygote, tmp_path: Path, durable: Durable
) -> None:
    """F18, K2, W1: the run is answered and finished by others while one branch of its owner is frozen."""
    frozen = case(durable, zygote, tmp_path / "case", "stuck")
    with stopped(settled(frozen)):
        frozen.gate.touch()
        wait_for(lambda: other.order(**frozen.order("resume"))["answer"].get("waiting") == "suspended")
        other.order(**frozen.order("answer"))
        taken = other.order(**frozen.order("resume"))
        before = asyncio.run(frozen.logs())
    awake = zygote.answer()

    assert taken["answer"]["phase"] == "completed"
    assert awake["answer"] == taken["answer"], "it watches the run that it has lost"
    assert asyncio.run(frozen.logs()) == before


def codes(events: list[Recorded]) -> list[str]:
    return [each.record.error.info.code for each in events if isinstance(each.record, e.StateFailed)]


@pytest.mark.parametrize("action", ["cancel", "cancel_now"])
def test_a_run_under_way_is_cancelled_from_another_process(
    zygote: Zygote, other: Zygote, tmp_path: Path, durable: Durable, action: str
) -> None:
    """K7: one branch waits, the other is in its handler; the owner closes it, ends the run and returns cancelled."""
    driven = case(durable, zygote, tmp_path / "case", "stuck")
    settled(driven)
    told = other.order(**driven.order(action))
    if action == "cancel_now":  # one that lost its run learns it from its next append
        driven.gate.touch()
    owner = zygote.answer()

    assert "error" not in told["answer"]
    assert owner["answer"]["phase"] == "cancelled"
    events = asyncio.run(driven.logs())[driven.run_id]
    assert codes(events) == ["run_cancelled"]
    assert isinstance(events[-1].record, e.RunCompleted)


def test_a_run_of_a_frozen_owner_is_seized_and_ended(
    zygote: Zygote, other: Zygote, tmp_path: Path, durable: Durable
) -> None:
    """K7, F18: the closure and the end are one append; the owner that wakes up finds the end."""
    driven = case(durable, zygote, tmp_path / "case", "stuck")
    with stopped(settled(driven)):
        seized = other.order(**driven.order("cancel_now"))
        before = asyncio.run(driven.logs())
        driven.gate.touch()
    awake = zygote.answer()

    assert seized["answer"].get("phase") == awake["answer"]["phase"] == "cancelled", seized
    assert asyncio.run(driven.logs()) == before


def test_processes_that_resume_a_family_at_once_drive_it_once(
    zygote: Zygote, other: Zygote, tmp_path: Path, swept: Durable
) -> None:
    """F17, K1: the loser makes no call, whatever the dead owner left open."""
    _, points, _ = quiet(swept, zygote, tmp_path)
    for kill_at in range(8, points, swept.stride(7, 25)):
        raced = case(swept, zygote, tmp_path / f"race-{kill_at}")
        raced.act("start", kill_at)
        raced.act("answer")
        zygote.send(**raced.order("resume"))
        other.send(**raced.order("resume"))
        answers = [zygote.answer()["answer"], other.answer()["answer"]]
        assert answers[0] == answers[1]
        asyncio.run(raced.logs())
        assert finished(raced)["phase"] == "completed"
        assert set(raced.said("deliver")) == {"kid1"}
