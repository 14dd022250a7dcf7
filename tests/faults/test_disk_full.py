"""A disk without room left, under a run: a clear error, a store that can be read, and a run that goes on afterwards.

The disk is a real file system of a few megabytes, filled up to some kilobytes before a run is started or resumed;
where none can be mounted, the size of files is limited instead. SQLite alone: the disk of PostgreSQL is the server's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.doctor import examine
from interlock.engine import events as e
from interlock.journal.chain import Recorded
from interlock.journal.errors import DISK_FULL
from interlock.testing.checker import check_run
from tests.faults.killing import Case, Zygote, wait_for
from tests.faults.plans import PLANS

DISK_BYTES = 4 * 1024 * 1024
STORED_BYTES_MAX = 1024 * 1024
"""More than a finished `bulky` takes."""
KIB = 1024
FULL = {"disk_full", "outcome_unknown"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, options = shutil.which("mount"), f"size={DISK_BYTES}"
    done = mount and subprocess.run([mount, "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False).returncode == 0
    if not done:
        pytest.skip("no file system can be mounted here; look again by 2027-06-30")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)  # noqa: S607 — where mount is, it is too


def leave(disk: Path, room: int | None) -> None:
    """Fill the disk but for `room` bytes; None empties it of what filled it."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    if room is not None:
        status = os.statvfs(disk)
        ballast.write_bytes(bytes(max(status.f_bavail * status.f_frsize - room, 0)))


def events_of(case: Case) -> list[Recorded]:
    """The events so far; none where not even the store could be made, or opening it needs room that is not there."""
    try:
        events = asyncio.run(case.events())
    except InterlockError as fault:
        assert fault.code in ("store_not_found", "disk_full", "store_unwritable"), fault
        return []
    check_run(events, plan=PLANS[case.plan].build())
    return events


def case_on(disk: Path, zygote: Zygote, folder: Path, plan: str = "bulky") -> Case:
    folder.mkdir()
    for each in disk.iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    return Case(zygote, folder, plan, disk=disk)


@pytest.mark.parametrize("step", [48 * KIB, pytest.param(4 * KIB, marks=pytest.mark.slow)])
def test_a_run_that_meets_a_full_disk_ends_with_an_error_and_goes_on_when_there_is_room(
    zygote: Zygote, tmp_path: Path, disk: Path, step: int
) -> None:
    """F21, S9: whatever the append at which the room ends; nothing is lost and nothing is half there."""
    usual = case_on(disk, zygote, tmp_path / "usual").finish()["answer"]
    codes = []
    for room in range(0, STORED_BYTES_MAX, step):
        case = case_on(disk, zygote, tmp_path / f"room-{room}")
        leave(disk, room)
        met = case.act("start")
        assert met["code"] == 0, (room, met)
        codes.append(met["answer"].get("error"))
        before = events_of(case)

        leave(disk, None)
        done = case.act("start")

        assert done["answer"] == usual, (room, met["answer"])
        events = events_of(case)
        assert events[: len(before)] == before
        assert not [event for event in events if isinstance(event.record, e.StateFailed) and room_ran_out(event)]
        assert set(case.said("deliver ")) == {"bulk"}
        assert asyncio.run(examine(case.store)).findings == []
    assert set(codes) <= {*FULL, None}, codes
    assert codes[0] in FULL
    assert codes[-1] is None


def room_ran_out(event: Recorded) -> bool:
    return isinstance(event.record, e.StateFailed) and event.record.error.info.code in FULL


@pytest.mark.parametrize(
    ("plan", "word", "room"),
    [("stalling", "handler wait", 0), ("keyed", "sending", 0), ("heavy", "handler pack", 512 * KIB)],
)
def test_a_disk_that_fills_up_during_a_handler_stops_the_run_where_it_is(
    zygote: Zygote, tmp_path: Path, disk: Path, plan: str, word: str, room: int
) -> None:
    """F21, S9: it is no failure of the state, also where only its artifact finds no room; resumed, it stops again."""
    case = case_on(disk, zygote, tmp_path / "case", plan)
    zygote.send(**case.order("start"))
    wait_for(lambda: bool(case.said(word)))
    leave(disk, room)
    case.gate.touch()

    answers = [zygote.answer()["answer"], case.act("resume")["answer"]]

    assert [answer.get("error") for answer in answers] == ["disk_full"] * 2
    before = events_of(case)
    assert before, "the advice must not say that nothing was written"
    assert "what was recorded before it is kept" in DISK_FULL.advice
    assert ending(before) == []
    leave(disk, None)
    assert case.act("resume")["answer"]["phase"] == "completed"
    assert events_of(case)[: len(before)] == before


def ending(events: list[Recorded]) -> list[Recorded]:
    """Events by which a state or the run has failed or ended, but for attempts of processes that are gone."""
    return [
        event
        for event in events
        if isinstance(event.record, e.RunCompleted)
        or (isinstance(event.record, e.StateFailed) and event.record.error.info.code != "orphan_attempt_recovered")
    ]


@pytest.mark.parametrize("plan", ["bulky", "full"])
def test_a_run_whose_files_may_not_grow_stops_with_an_error_and_goes_on_later(
    zygote: Zygote, tmp_path: Path, plan: str
) -> None:
    """F21, S9: a quota of the process instead of the disk."""
    usual: dict[str, Any] | None = None
    codes = []
    for limit in (8 * KIB, 40 * KIB, 80 * KIB, 100 * KIB, 110 * KIB, 160 * KIB, 240 * KIB, 64 * 1024 * KIB):
        folder = tmp_path / str(limit)
        folder.mkdir()
        case = Case(zygote, folder, plan)
        met = zygote.order(**case.order("start", file_bytes_max=limit))
        assert met["code"] == 0, limit
        codes.append(met["answer"].get("error"))
        done = case.act("start")["answer"]
        usual = usual or done
        assert (done["phase"], done["waiting"]) == ("completed", None), (limit, met["answer"])
        assert not [event for event in events_of(case) if room_ran_out(event)]
    assert set(codes) <= {*FULL, "store_unwritable", None}, codes
    assert codes[0] is not None
    assert codes[-1] is None
