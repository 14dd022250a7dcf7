"""A store that cannot be written, as its readers meet it: what only reads answers, and leaves nothing behind.

Files and folders are really closed; where the tests run as root, the processes give up root's right to write anywhere.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.surfaces.process import PRODUCT, SECONDS_MAX, run
from tests.surfaces.product import RUN, answer, begun, prepare, start_hello, start_waiting

WITHOUT_RIGHTS = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
if os.getuid() == 0:
    for right in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, right, 0, 0, 0) != 0:
            sys.exit("root's rights cannot be given up here")
os.execv(sys.argv[1], sys.argv[1:])
"""
BOUND = (sys.executable, "-c", WITHOUT_RIGHTS, *PRODUCT)
LOG_HEADER_BYTES, FRAME_BYTES = 32, 24 + 4096
CLOSED = {"file": (0o444, 0o755), "folder": (0o644, 0o555), "both": (0o444, 0o555)}
READING = (("run", "list"), ("run", "status", RUN), ("run", "events", RUN), ("run", "why", RUN), ("doctor",))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder for a store, which can be taken away in the end."""
    folder = tmp_path / "place"
    folder.mkdir()
    prepare(folder)
    yield folder
    folder.chmod(0o755)


def close(place: Path, how: str) -> None:
    """Take the right to write away."""
    file, folder = CLOSED[how]
    for path in place.iterdir():
        if path.is_file():
            path.chmod(file)
    place.chmod(folder)


def files(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}


def bound(place: Path, *line: str, code: int = 0) -> dict[str, Any]:
    """What the product answers to a process that may not write."""
    done = run(*line, "--json", "--store", "store.db", program=BOUND, folder=place)
    assert done.code == code, (line, done.text, done.err)
    found: dict[str, Any] = json.loads(done.out)
    return found


def told(place: Path) -> list[dict[str, Any]]:
    return [bound(place, *line) for line in READING]


@pytest.mark.parametrize("listed", [True, False], ids=["listed before", "never listed"])
@pytest.mark.parametrize("how", CLOSED)
def test_all_that_only_reads_answers_as_on_a_store_that_can_be_written(place: Path, how: str, listed: bool) -> None:
    start_hello(place, "--run-id", RUN, "--store", "store.db")
    if listed:
        answer(place, "run", "list", "--store", "store.db")
    before = files(place)
    close(place, how)

    found = told(place)

    assert files(place) == before
    place.chmod(0o755)
    (place / "store.db").chmod(0o644)
    assert [item["run_id"] for item in found[0]["items"]] == [RUN]
    assert found[-1]["healthy"]
    assert found[:-1] == [answer(place, *line, "--store", "store.db") for line in READING[:-1]]


@pytest.mark.parametrize("how", CLOSED)
def test_what_writes_is_refused_with_the_way_out_and_changes_nothing(place: Path, how: str) -> None:
    start_hello(place, "--run-id", RUN, "--store", "store.db")
    before = files(place)
    close(place, how)

    error = bound(place, "run", "start", "hello:plan", "--input", '{"name": "bo"}', code=1)["error"]

    assert error["code"] == "store_unwritable"
    assert "copy the store to a folder that can be written" in error["message"]
    assert files(place) == before


def killed(place: Path) -> None:
    """Leave behind what a process leaves that is killed: its commits in the log."""
    owner = begun(place, *start_waiting(place), "--store", "store.db")
    owner.kill()
    owner.communicate(timeout=SECONDS_MAX)
    assert (place / "store.db-wal").stat().st_size > 0


@pytest.mark.parametrize("how", CLOSED)
def test_a_store_whose_owner_was_killed_can_be_read_with_what_it_left(place: Path, how: str) -> None:
    killed(place)
    before = files(place)
    close(place, how)

    assert [item["run_id"] for item in told(place)[0]["items"]] == [RUN]
    assert files(place) == before


def test_a_log_that_cannot_be_read_without_writing_is_named_and_not_passed_over(place: Path) -> None:
    killed(place)
    (place / "store.db-shm").unlink()
    before = files(place)
    close(place, "both")

    for line in READING:
        error = bound(place, *line, code=1)["error"]
        assert (error["code"], "log" in error["message"]) == ("store_unwritable", True), error
    assert files(place) == before


def test_an_index_of_the_log_that_cannot_be_written_refuses_writes_and_leaves_no_doubt(place: Path) -> None:
    killed(place)
    (place / "store.db-shm").chmod(0o444)

    error = bound(place, "run", "start", "hello:plan", "--input", '{"name": "bo"}', code=1)["error"]

    assert error["code"] == "store_unwritable"
    (place / "store.db-shm").chmod(0o644)
    assert bound(place, "run", "start", "hello:plan", "--input", '{"name": "bo"}')["phase"] == "completed"


@pytest.mark.parametrize("how", CLOSED)
def test_a_log_that_is_damaged_in_its_middle_is_named_also_where_nothing_can_be_written(place: Path, how: str) -> None:
    """S2, P20: there SQLite does not tell how much of the log it uses."""
    killed(place)
    log = bytearray((place / "store.db-wal").read_bytes())
    log[LOG_HEADER_BYTES + FRAME_BYTES + FRAME_BYTES // 2] ^= 1
    (place / "store.db-wal").write_bytes(log)
    before = files(place)
    close(place, how)

    assert bound(place, "run", "status", RUN, code=7)["error"]["code"] == "store_corrupt"
    assert not bound(place, "doctor", code=7)["healthy"]
    assert files(place) == before


def names(place: Path) -> Sequence[str]:
    return sorted(path.name for path in place.iterdir() if path.is_file())


def test_doctor_leaves_nothing_beside_a_store_that_nobody_uses(place: Path) -> None:
    start_hello(place, "--run-id", RUN, "--store", "store.db")
    before = files(place)

    assert answer(place, "doctor", "--store", "store.db")["healthy"]

    assert files(place) == before


def test_doctor_leaves_the_log_of_a_killed_process_as_it_was(place: Path) -> None:
    killed(place)
    before = {name: content for name, content in files(place).items() if name != "store.db-shm"}

    assert answer(place, "doctor", "--store", "store.db")["healthy"]

    assert {name: content for name, content in files(place).items() if name != "store.db-shm"} == before


def test_doctor_takes_nothing_away_from_who_has_the_store_open(place: Path) -> None:
    owner = begun(place, *start_waiting(place), "--store", "store.db")
    before = names(place)

    assert answer(place, "doctor", "--store", "store.db")["healthy"]

    assert names(place) == before
    (place / "open").touch()
    out, _ = owner.communicate(timeout=SECONDS_MAX)
    assert json.loads(out)["phase"] == "completed"
