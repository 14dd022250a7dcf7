"""Finding runs and ordering many at once, on the command line."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.surfaces.process import PRODUCT, SECONDS_MAX, run, run_on_terminal
from tests.surfaces.product import RUN, answer, begun
from tests.surfaces.talking import line as start_line
from tests.surfaces.talking import prepare, start

RUNS = [f"00000000-0000-4000-8000-{number:012}" for number in range(12)]
STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path)
    for number in range(3):
        team = "blue" if number else "red"
        start(tmp_path, "ask_only", "--attribute", f"team={team}", run_id=RUNS[number])
    return tmp_path


def found(folder: Path, *more: str) -> list[str]:
    return [row["run_id"] for row in answer(folder, "run", "list", *more)["items"]]


def test_runs_are_found_by_what_is_in_them_and_a_filter_is_kept(folder: Path) -> None:
    assert found(folder, "--attribute", "team=blue", "--state", "waiting", "--since", "1h") == [RUNS[2], RUNS[1]]
    assert found(folder, "--input", f"folder={folder}", "--output", f"begin={folder}", "--limit", "1") == [RUNS[2]]

    answer(folder, "filter", "save", "mine", "--attribute", "team=blue")
    assert found(folder, "--filter", "mine") == [RUNS[2], RUNS[1]]
    shown = run("filter", "list", program=PRODUCT, folder=folder).text.splitlines()
    assert shown[1].split()[:3] == ["mine", "--attribute", "team=blue"]
    answer(folder, "filter", "remove", "mine")
    assert answer(folder, "run", "list", "--filter", "mine", code=3)["error"]["code"] == "filter_not_found"


def test_pages_go_on_by_their_cursor(folder: Path) -> None:
    first = answer(folder, "run", "list", "--limit", "2")
    second = answer(folder, "run", "list", "--limit", "2", "--cursor", first["next"])

    assert [row["run_id"] for row in first["items"] + second["items"]] == RUNS[:3][::-1]
    assert second["next"] is None


def test_a_batch_is_shown_then_done_by_the_line_that_it_gave(folder: Path) -> None:
    line = ("run", "batch", "cancel", "--attribute", "team=blue", "--reason", "wrong team")
    shown = run(*line, program=PRODUCT, folder=folder)
    assert shown.code == 0
    assert "cancel, not yet: this is what would be told" in shown.text
    again = shown.err.splitlines()[-1].removeprefix("next: interlock ")
    assert again.endswith("--expect 2")
    assert found(folder, "--state", "cancelled") == []

    assert answer(folder, *line, "--expect", "3", code=4)["error"]["details"] == {"expected": 3, "found": 2}
    done = answer(folder, *line, "--expect", "2")
    assert (done["told"], done["refused"]) == (2, 0)
    assert found(folder, "--state", "cancelled") == [RUNS[2], RUNS[1]]
    report = answer(folder, "batch", "show", done["batch_id"])
    assert (report["batch"]["reason"], report["codes"]) == ("wrong team", {"told": 2})
    listed = run("batch", "list", program=PRODUCT, folder=folder).text.splitlines()
    assert listed[1].split()[:4] == [done["batch_id"], "cancel", "done", "2"]


def test_a_batch_whose_process_was_killed_is_completed_by_the_same_line(folder: Path) -> None:
    line = ("run", "batch", "pause", "--op", "ask_only", "--reason", "stop", "--expect", "3", "--batch-id", "b1")
    process = subprocess.Popen([*PRODUCT, *line], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ends = time.monotonic() + SECONDS_MAX
    while process.poll() is None and not answer(folder, "batch", "list")["items"]:
        assert time.monotonic() < ends
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert answer(folder, *line)["told"] == 3
    assert found(folder, "--state", "paused") == RUNS[:3][::-1]
    for run_id in RUNS[:3]:
        events = answer(folder, "run", "events", run_id)["items"]
        assert [event["type"] for event in events].count("engine.run_paused") == 1


def test_help_says_how_many_runs_a_page_looks_into(folder: Path) -> None:
    shown = " ".join(run("run", "list", "--help", program=PRODUCT, folder=folder).text.replace("│", "").split())

    assert "--input TEXT Only runs whose input has this value, PATH=VALUE. Looks into up to 500 runs a page" in shown


def test_lists_and_batches_fit_a_terminal_of_80_columns(folder: Path) -> None:
    answer(folder, "filter", "save", "mine", "--attribute", "team=blue", "--since", "7d", "--state", "waiting")
    for line in (("run", "list"), ("filter", "list"), ("run", "batch", "pause", "--reason", "x")):
        _, shown = run_on_terminal(*line, program=PRODUCT, folder=folder, environ={"NO_COLOR": "1", "COLUMNS": "80"})
        rows = [row for row in STYLE.sub("", shown).splitlines() if row.strip() and not row.startswith("next: ")]
        assert max(map(len, rows)) <= 80


def test_a_run_that_nobody_drives_is_queued_and_one_that_is_driven_runs(tmp_path: Path) -> None:
    prepare(tmp_path)
    process = begun(tmp_path, *PRODUCT, *start_line(tmp_path, "talk"), "--json")
    try:
        [row] = answer(tmp_path, "run", "list", "--state", "running")["items"]
        assert row["state"] == "running"
        assert answer(tmp_path, "run", "list", "--state", "queued")["items"] == []
    finally:
        process.kill()
        process.communicate()

    [row] = answer(tmp_path, "run", "list", "--state", "queued")["items"]
    assert (row["run_id"], row["state"]) == (RUN, "queued")
    assert answer(tmp_path, "run", "list", "--state", "running")["items"] == []
    assert answer(tmp_path, "run", "list")["items"][0]["state"] == "queued"
