"""A run over several processes of the command line: parked, decided, interrupted, watched, damaged.

Every process is the program that people run; the exit code says what a script must know.
"""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import apsw
import pytest

from tests.surfaces.process import PRODUCT, SECONDS_MAX
from tests.surfaces.product import RUN, answer, begun, prepare, start_hello, start_waiting


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepare(tmp_path)


# A step that waits for an operator


def parked(folder: Path) -> str:
    """A run whose effect nobody knows to have happened: its program died."""
    given = json.dumps({"folder": str(folder)})
    result = answer(folder, "run", "start", "shipping:plan", "--input", given, code=8)
    assert (result["phase"], result["waiting"]["kind"]) == ("running", "parked")
    run_id: str = result["run_id"]
    return run_id


def delivered(folder: Path) -> int:
    return len((folder / "delivered").read_text().splitlines())


def test_a_run_that_waits_for_an_operator_exits_8_and_says_how_to_go_on(folder: Path) -> None:
    """C7, P18: parked, listed as parked, and why names the commands that release it."""
    run_id = parked(folder)

    assert answer(folder, "run", "resume", run_id, code=8)["waiting"]["kind"] == "parked"
    assert delivered(folder) == 1
    [row] = answer(folder, "run", "list", "--state", "parked")["items"]
    assert row["run_id"] == run_id
    [reason] = answer(folder, "run", "why", run_id)["reasons"]
    assert [f"run resolve {run_id} ship" in line for line in reason["release"]] == [True] * 3

    because = ("--reason", "to see")
    assert answer(folder, "run", "resolve", run_id, "ship", *because, code=2)["error"]["advice"]
    refused = answer(folder, "run", "resolve", run_id, "pack", "--retry", *because, code=4)
    assert refused["error"]["code"] == "resolve_invalid"
    answer(folder, "run", "resolve", RUN, "ship", "--retry", *because, code=3)


@pytest.mark.parametrize(
    ("decision", "deliveries", "code", "phase"),
    [
        (["--adopt", '{"json": {"receipt": 3}}'], 1, 0, "completed"),
        (["--retry"], 2, 0, "completed"),
        (["--abandon"], 1, 1, "failed"),
    ],
)
def test_an_operator_decides_a_parked_step(
    folder: Path, decision: list[str], deliveries: int, code: int, phase: str
) -> None:
    run_id = parked(folder)

    done = answer(folder, "run", "resolve", run_id, "ship", *decision, "--reason", "looked at it")
    assert done == {"run_id": run_id, "step": "ship", "action": decision[0].removeprefix("--")}
    assert answer(folder, "run", "resume", run_id, code=code)["phase"] == phase
    assert delivered(folder) == deliveries
    events = answer(folder, "run", "events", run_id)["items"]
    [resolved] = [event["data"] for event in events if event["type"] == "engine.effect_resolved"]
    assert resolved["reason"] == "looked at it"
    assert resolved["actor"].startswith("local:")


def test_a_dry_run_applies_no_side_effect(folder: Path) -> None:
    """P13, M15: the step is skipped, its program never started; what comes after it runs."""
    given = json.dumps({"folder": str(folder)})
    run_id = answer(folder, "run", "start", "shipping:plan", "--dry-run", "--input", given)["run_id"]

    assert not (folder / "delivered").exists()
    events = answer(folder, "run", "events", run_id)["items"]
    assert [event["data"]["name"] for event in events if event["type"] == "engine.domain_emitted"] == ["state_skipped"]
    completed = [event["data"]["state_id"] for event in events if event["type"] == "engine.state_completed"]
    assert completed == ["shipping.pack.main", "shipping.ship.main", "shipping.tell.main"]


# Several processes, and processes that are ended


@pytest.mark.parametrize(
    ("ending", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_run_that_is_interrupted_can_be_resumed_at_once(folder: Path, ending: signal.Signals, code: int) -> None:
    """C6, G7: what has completed is not done again."""
    process = begun(folder, *start_waiting(folder))
    process.send_signal(ending)
    out, err = process.communicate(timeout=SECONDS_MAX)

    assert process.returncode == code
    assert b"Traceback" not in out + err
    assert answer(folder, "run", "status", RUN)["waiting"]["kind"] == "queued"
    (folder / "open").touch()
    assert answer(folder, "run", "resume", RUN)["phase"] == "completed"
    assert (folder / "prepared").read_text() == "prepared "


def test_a_second_process_watches_the_run_and_tells_the_same(folder: Path) -> None:
    """K5: the same start in two processes is one run; questions are answered meanwhile."""
    first = begun(folder, *start_waiting(folder))
    second = subprocess.Popen(start_waiting(folder), cwd=folder, stdout=subprocess.PIPE)
    assert answer(folder, "run", "status", RUN)["waiting"] is None
    assert answer(folder, "run", "why", RUN)["reasons"][0]["kind"] == "running"
    (folder / "open").touch()

    told = [json.loads(process.communicate(timeout=SECONDS_MAX)[0]) for process in (first, second)]

    assert [told[0]["phase"], first.returncode, second.returncode] == ["completed", 0, 0]
    assert told[0] == told[1]
    assert (folder / "prepared").read_text() == "prepared "


def test_processes_that_start_runs_at_once_make_one_store(folder: Path) -> None:
    """The store, its folder and its schema are made once, whoever comes first."""
    line = [*PRODUCT, "run", "start", "hello:plan", "--input", '{"name": "ada"}', "--json"]
    processes = [subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE) for _ in range(4)]
    told = [json.loads(process.communicate(timeout=SECONDS_MAX)[0]) for process in processes]

    assert [each.get("phase") for each in told] == ["completed"] * 4, told
    listed = answer(folder, "run", "list")["items"]
    assert {row["run_id"] for row in listed} == {each["run_id"] for each in told}


# A damaged store


def test_a_damaged_history_exits_7_and_names_the_place(folder: Path) -> None:
    """P20, S3: the place is named, and nothing is taken for a success."""
    run_id = start_hello(folder)["run_id"]
    connection = apsw.Connection(str(folder / ".interlock" / "store.db"))
    connection.execute("UPDATE event SET data = CAST(replace(data, 'find', 'fund') AS BLOB) WHERE seq = 5")
    connection.close()

    for verb in ("status", "resume"):
        error = answer(folder, "run", verb, run_id, code=7)["error"]
        assert (error["category"], error["code"]) == ("corrupt", "event_corrupt"), verb
        assert run_id in error["message"]


def test_a_file_that_is_no_store_exits_7_and_is_left_as_it_was(folder: Path) -> None:
    (folder / "other.db").write_text("not a database, but quite long enough to be looked at" * 20)
    before = (folder / "other.db").read_bytes()

    assert answer(folder, "run", "list", "--store", "other.db", code=7)["error"]["code"] == "store_foreign"
    assert (folder / "other.db").read_bytes() == before
