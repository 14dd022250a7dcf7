"""What people do to the file of a store while a run is driven: links, lost locks, a cut, a move; in real processes.

SQLite alone: a store in a database is at no place of a file system.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.surfaces.process import PRODUCT, SECONDS_MAX, run
from tests.surfaces.product import RUN, answer, begun, prepare, start_waiting


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the plans, a store `r.db` that is still to be made, and a link to it."""
    (tmp_path / "ln.db").symlink_to("r.db")
    return prepare(tmp_path)


def driving(folder: Path) -> subprocess.Popen[bytes]:
    """A process inside the last handler of the run, on `r.db`."""
    return begun(folder, *start_waiting(folder), "--store", "r.db")


def finish(folder: Path, *processes: subprocess.Popen[bytes]) -> list[tuple[int, dict[str, object]]]:
    """Let the handler end; exit code and answer of each process."""
    (folder / "open").touch()
    ended = [process.communicate(timeout=SECONDS_MAX) for process in processes]
    return [(each.returncode, json.loads(out)) for each, (out, _) in zip(processes, ended, strict=True)]


def resuming(folder: Path, store: str) -> subprocess.Popen[bytes]:
    line = (*PRODUCT, "run", "resume", RUN, "--store", store, "--json")
    return subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def owners(folder: Path) -> list[str]:
    """Who claimed the run, as its record tells."""
    events = answer(folder, "run", "events", RUN, "--limit", "500", "--store", "r.db")["items"]
    return [event["data"]["owner"] for event in events if event["type"] == "engine.owner_claimed"]


@pytest.mark.parametrize("how", ["by a link", "without its locks"])
def test_a_second_process_watches_whatever_it_calls_the_store_and_whoever_took_the_locks_away(
    folder: Path, how: str
) -> None:
    """One run has one owner: a link is the same store, and a missing lock is no dead owner."""
    owner = driving(folder)
    if how == "without its locks":
        shutil.rmtree(folder / "r.db.owners")
    second = resuming(folder, "ln.db" if how == "by a link" else "r.db")
    with pytest.raises(subprocess.TimeoutExpired):  # it watches; a second owner would be in the handler by now
        second.wait(2)
    assert not (folder / "waits").exists()

    [first, other] = finish(folder, owner, second)

    assert first == other
    assert (first[0], first[1]["phase"]) == (0, "completed")
    assert len(owners(folder)) == 1
    assert not (folder / "ln.db.owners").exists()


@pytest.mark.parametrize("size", [0, 1])
def test_a_killed_run_whose_store_was_cut_is_damage_for_every_verb_and_nothing_is_deleted(
    folder: Path, size: int
) -> None:
    """S12: what was committed stands in the log, and stays there until the file is back."""
    owner = driving(folder)
    owner.kill()
    owner.communicate()
    whole, log = (folder / "r.db").read_bytes(), (folder / "r.db-wal").read_bytes()
    os.truncate(folder / "r.db", size)

    for line in (
        ["run", "status", RUN],
        ["run", "list"],
        ["run", "events", RUN],
        ["run", "resume", RUN],
        ["run", "start", "hello:plan", "--input", '{"name": "ada"}'],
        ["backup", "copy.db"],
    ):
        assert answer(folder, *line, "--store", "r.db", code=7)["error"]["code"] == "store_corrupt", line
    report = answer(folder, "doctor", "--store", "r.db", code=7)

    assert "r.db-wal" in report["findings"][0]["message"]
    assert (folder / "r.db").stat().st_size == size
    assert (folder / "r.db-wal").read_bytes() == log
    (folder / "r.db").write_bytes(whole)
    assert answer(folder, "run", "status", RUN, "--store", "r.db")["run_id"] == RUN


def moved(store: Path) -> None:
    store.rename(store.with_name("elsewhere.db"))


def deleted(store: Path) -> None:
    store.unlink()


@pytest.mark.parametrize("change", [moved, deleted])
def test_a_run_whose_store_goes_away_does_not_end_as_if_it_were_recorded(folder: Path, change: object) -> None:
    """What is said to have ended can be found; and a moved store that is put back goes on."""
    assert callable(change)
    owner = driving(folder)
    change(folder / "r.db")

    [(code, said)] = finish(folder, owner)

    assert (code, said["error"]["code"]) == (1, "store_moved")  # type: ignore[index]
    if change is moved:
        (folder / "elsewhere.db").rename(folder / "r.db")
        resumed = run("run", "resume", RUN, "--store", "r.db", program=PRODUCT, folder=folder)
        assert resumed.code == 0, resumed.err
        assert answer(folder, "run", "status", RUN, "--store", "r.db")["phase"] == "completed"
