"""The worker: it drives what wants an owner, fires timers, and leaves its runs to the next when it is ended."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.surfaces.process import PRODUCT, run, run_on_terminal
from tests.surfaces.product import RUN, answer
from tests.surfaces.talking import Worker, order, prepare, start, wait_for_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepare(tmp_path)


def test_a_worker_drives_what_is_due_and_ends_when_nothing_is(folder: Path) -> None:
    start(folder, "ask_only", "--detach", code=0)
    worker = Worker(folder, "--until-idle")
    code, lines, _ = worker.ended()

    assert code == 0
    assert lines == [
        {"run_id": RUN, "phase": "running", "waiting": "suspended", "code": None, "under_way": 0},
        {"driven": 1, "fired": 0, "delivered": 0, "ended": "idle"},
    ]
    order(folder, "signal", "decide", "the answer", "--value", '{"text": "yes"}')
    _, lines, _ = Worker(folder, "--until-idle").ended()
    assert lines[0]["phase"] == "completed"


def test_a_worker_that_stays_answers_signals_and_fires_timers(folder: Path) -> None:
    start(folder, "ask_only")
    worker = Worker(folder)
    order(folder, "signal", "decide", "the answer", "--value", '{"text": "yes"}')
    assert worker.line()["phase"] == "completed"

    other = "00000000-0000-4000-8000-000000000001"
    start(folder, "nap", "--detach", code=0, run_id=other)
    told = [worker.line(), worker.line()]
    assert [(each["run_id"], each["phase"], each["waiting"]) for each in told] == [
        (other, "running", "suspended"),
        (other, "completed", None),
    ]
    worker.process.send_signal(signal.SIGTERM)
    code, lines, _ = worker.ended()
    assert code == 0
    assert lines[-1] == {"driven": 3, "fired": 1, "delivered": 0, "ended": "SIGTERM"}


def test_a_worker_counts_what_it_has_delivered(folder: Path) -> None:
    start(folder, "ask_only", "--detach", code=0)
    answer(folder, "subscription", "add", "log", "--sink", "log")
    code, lines, _ = Worker(folder, "--until-idle").ended()
    stands = answer(folder, "subscription", "show", "log")

    assert (code, lines[-1]["delivered"] > 0, stands["behind"]) == (0, True, 0)


@pytest.mark.parametrize(
    ("ending", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_worker_that_is_ended_leaves_its_run_to_the_next_at_once(
    folder: Path, ending: signal.Signals, code: int
) -> None:
    start(folder, "talk", "--detach", code=0)
    first = Worker(folder)
    wait_for_file(folder / "waits")
    assert answer(folder, "run", "status", RUN)["owner"] == first.owner
    first.process.send_signal(ending)
    ended, lines, err = first.ended()

    assert ended == code, err
    assert "Traceback" not in err
    assert [line.get("ended") for line in lines] == ([] if code else [ending.name])
    (folder / "open").touch()
    second = Worker(folder, "--until-idle")
    _, lines, _ = second.ended()
    assert [line["waiting"] for line in lines[:-1]] == ["suspended"]
    assert answer(folder, "run", "status", RUN)["waits"][0]["name"] == "go"


def test_two_workers_share_the_runs_and_none_is_driven_twice(folder: Path) -> None:
    runs = [f"00000000-0000-4000-8000-{number:012}" for number in range(6)]
    for run_id in runs:
        start(folder, "ask_only", "--detach", code=0, run_id=run_id)
    workers = [Worker(folder, "--until-idle", "--concurrency", "2") for _ in range(2)]
    driven = [line["run_id"] for worker in workers for line in worker.ended()[1][:-1]]

    assert sorted(driven) == runs


def test_a_run_whose_plan_is_gone_is_told_and_left_alone(folder: Path) -> None:
    start(folder, "ask_only", "--detach", code=0)
    (folder / "plans.py").unlink()
    code, lines, _ = Worker(folder, "--until-idle").ended()

    assert code == 0
    assert [line["code"] for line in lines[:-1]] == ["plan_not_found"]


def test_a_worker_makes_no_store(folder: Path) -> None:
    assert run("work", "--until-idle", program=PRODUCT, folder=folder).code == 3
    assert not (folder / ".interlock").exists()


def test_a_person_sees_one_line_that_is_written_over(folder: Path) -> None:
    start(folder, "ask_only", "--detach", code=0)
    code, shown = run_on_terminal("work", "--until-idle", program=PRODUCT, folder=folder, environ={"NO_COLOR": "1"})

    assert code == 0
    assert f"\r\x1b[2K1 driven, 0 timers fired, 0 under way; {RUN} waits: suspended" in shown
    rows = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).splitlines()
    ended = [["driven", "1"], ["fired", "0"], ["delivered", "0"], ["ended", "idle"]]
    assert [row.split() for row in rows if row.split()][-4:] == ended


def test_scripts_get_no_line_that_is_written_over(folder: Path) -> None:
    start(folder, "ask_only", "--detach", code=0)
    done = run("work", "--until-idle", program=PRODUCT, folder=folder)

    assert (done.code, done.err) == (0, "")
    assert "\x1b" not in done.text
