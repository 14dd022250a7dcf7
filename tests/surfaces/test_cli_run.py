"""The verbs about runs as people and scripts use them: real processes, a real store, a real plan."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.surfaces.process import PRODUCT, SECONDS_MAX, Ended, run, run_on_terminal

PLAN = """
from interlock import Plan

plan = Plan("greeting")


@plan.state
async def find(name: str) -> str:
    print("looking")
    return name.title()


@plan.state
async def greet(find: str, fail: bool = False) -> dict[str, str]:
    if fail:
        raise ValueError("no greeting")
    return {"text": f"Hello {find}"}
"""
SLOW = """
import asyncio, sys
from interlock import Plan

plan = Plan("slow")


@plan.state
async def wait() -> str:
    print("waiting", file=sys.stderr, flush=True)
    await asyncio.sleep(1000)
    return ""
"""
STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hello.py").write_text(PLAN)
    return tmp_path


def interlock(folder: Path, *line: str, given: bytes = b"") -> Ended:
    return run(*line, program=PRODUCT, folder=folder, given=given)


def answer(folder: Path, *line: str, code: int = 0) -> dict[str, Any]:
    done = interlock(folder, *line, "--json")
    assert done.code == code, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def start(folder: Path, *more: str, code: int = 0) -> dict[str, Any]:
    return answer(folder, "run", "start", "hello:plan", "--input", '{"name": "ada"}', *more, code=code)


def test_a_run_that_completes_exits_0_and_leaves_its_store(folder: Path) -> None:
    result = start(folder)

    assert result["phase"] == "completed"
    assert result["waiting"] is None
    assert len(result["final_snapshot_id"]) == 64
    assert (folder / ".interlock" / "store.db").exists()


def test_the_status_of_a_run_has_its_steps(folder: Path) -> None:
    report = answer(folder, "run", "status", start(folder)["run_id"])

    assert {"run_id", "phase", "waiting", "final_snapshot_id", "steps"} <= set(report)
    assert [(step["name"], step["status"]) for step in report["steps"]] == [
        ("find", "completed"),
        ("greet", "completed"),
    ]


def test_a_run_that_fails_exits_1_and_why_says_so(folder: Path) -> None:
    (folder / "input.json").write_text('{"name": "ada", "fail": true}')
    result = answer(folder, "run", "start", "hello:plan", "--input", "@input.json", code=1)

    assert result["phase"] == "failed"
    assert answer(folder, "run", "why", result["run_id"])["reasons"]
    assert answer(folder, "run", "status", result["run_id"])["phase"] == "failed"


def test_a_detached_start_exits_0_and_is_resumed_later(folder: Path) -> None:
    started = start(folder, "--detach", "--run-id", UNKNOWN)
    assert started["phase"] == "running"
    assert (folder / ".interlock").is_dir()

    assert answer(folder, "run", "resume", UNKNOWN)["phase"] == "completed"


def test_the_same_id_and_input_attach_and_another_input_is_a_conflict(folder: Path) -> None:
    first = start(folder, "--run-id", UNKNOWN)
    assert start(folder, "--run-id", UNKNOWN) == {**first, "had_ended": True}
    assert answer(folder, "run", "resume", UNKNOWN) == {**first, "had_ended": True}

    line = ("run", "start", "hello:plan", "--input", '{"name": "bob"}', "--run-id", UNKNOWN)
    refused = answer(folder, *line, code=4)["error"]
    assert (refused["category"], refused["message"]) == (
        "conflict",
        "this run id belongs to another run; what differs: the input's name",
    )


@pytest.mark.parametrize("verb", ["status", "events", "why", "resume"])
def test_an_unknown_run_exits_3(folder: Path, verb: str) -> None:
    start(folder)

    assert answer(folder, "run", verb, UNKNOWN, code=3)["error"]["code"] == "run_not_found"


def test_a_query_of_a_store_that_does_not_exist_exits_3_and_makes_none(folder: Path) -> None:
    assert answer(folder, "run", "list", code=3)["error"]["code"] == "store_not_found"
    assert not (folder / ".interlock").exists()


@pytest.mark.parametrize(
    "line",
    [
        ("run", "start", "hello:plan", "--input", "[1]"),
        ("run", "start", "hello:plan", "--run-id", "nope"),
        ("run", "status", "nope"),
        ("run", "list", "--limit", "0"),
        ("run", "list", "--cursor", "nope"),
    ],
)
def test_unacceptable_input_exits_2_with_an_advice(folder: Path, line: tuple[str, ...]) -> None:
    start(folder)
    error = answer(folder, *line, code=2)["error"]

    assert error["category"] == "invalid"
    assert error["advice"]


@pytest.mark.parametrize("plan", ["nowhere:plan", "hello:nothing", "hello"])
def test_a_plan_that_is_not_found_exits_3_and_leaves_no_run(folder: Path, plan: str) -> None:
    assert answer(folder, "run", "start", plan, code=3)["error"]["code"] == "plan_not_found"
    assert answer(folder, "run", "list")["items"] == []


def test_a_list_for_people_has_one_line_for_each_run(folder: Path) -> None:
    ids = {start(folder)["run_id"] for _ in range(2)}
    lines = interlock(folder, "run", "list").text.splitlines()

    assert lines[0].split()[:3] == ["RUN", "ID", "OP"]
    assert {line.split()[0] for line in lines[1:]} == ids


def test_a_person_sees_the_steps_and_the_outcome(folder: Path) -> None:
    code, shown = run_on_terminal(
        "run", "start", "hello:plan", "--input", '{"name": "ada"}', program=PRODUCT, folder=folder
    )

    assert code == 0
    assert "find" in shown
    assert "✓" in shown
    assert "completed" in shown


def test_a_person_learns_the_id_before_anything_else_and_what_comes_next(folder: Path) -> None:
    done = interlock(folder, "run", "start", "hello:plan", "--input", '{"name": "ada", "fail": true}')
    told = done.err.splitlines()

    assert done.code == 1
    run_id = told[0].removeprefix("run ")
    assert told[-1] == f"next: interlock run why {run_id}"
    assert f"run id             {run_id}" in done.text
    assert "failed step        greet" in done.text


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (("nowhere:plan",), 3),
        (("hello:nope",), 3),
        (("../../etc/passwd:x",), 3),
        (("hello:plan", "--run-id", "mine"), 2),
        (("hello:plan",), 2),
        (("hello:plan", "--input", '{"name": 1}'), 2),
    ],
)
def test_a_start_that_is_refused_names_no_run_and_makes_none(folder: Path, line: tuple[str, ...], code: int) -> None:
    done = interlock(folder, "run", "start", *line)

    assert done.code == code
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
    assert answer(folder, "run", "list")["items"] == []


def test_a_detached_start_says_how_the_run_is_driven(folder: Path) -> None:
    done = interlock(folder, "run", "start", "hello:plan", "--input", '{"name": "ada"}', "--detach")
    run_id = done.err.splitlines()[0].removeprefix("run ")

    assert done.err == f"run {run_id}\nnext: interlock run resume {run_id}\n"


def test_a_page_that_is_not_the_last_names_the_line_of_the_next_one(folder: Path) -> None:
    run_id = start(folder)["run_id"]
    start(folder)
    first = interlock(folder, "run", "events", run_id, "--limit", "2")
    assert first.err == f"next: interlock run events {run_id} --after 2 --limit 2\n"
    assert "next" not in first.text
    following = interlock(folder, *first.err.split()[2:], "--json")
    assert [event["seq"] for event in json.loads(following.out)["items"]] == [3, 4]
    assert interlock(folder, "run", "events", run_id).err == ""

    page = interlock(folder, "run", "list", "--op", "greeting", "--limit", "1")
    assert page.err.endswith(" --op greeting --limit 1\n")
    last = interlock(folder, *page.err.split()[2:])
    assert run_id in last.text
    assert last.err == ""


def test_the_events_of_the_contract_are_shown_to_people_too(folder: Path) -> None:
    run_id = start(folder)["run_id"]
    done = interlock(folder, "run", "events", run_id, "--contract", "--limit", "5")

    assert done.code == 0
    assert [row.split()[2] for row in done.text.splitlines()[1:]] == [
        "RunStarted",
        "interlock.plan_recorded",
        "interlock.owner_claimed",
        "StateEntered",
        "StateCompleted",
    ]
    assert "--contract" in done.err


@pytest.mark.parametrize("verb", ["demo", "canonical"])
def test_a_verb_that_uses_no_store_takes_none(folder: Path, verb: str) -> None:
    assert "--store" not in interlock(folder, verb, "--help").text
    done = interlock(folder, verb, "--store", "my.db", given=b"1")

    assert done.code == 2
    assert "option --store" in done.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("--after", "garbage"), "--after: a whole number is expected"),
        (("--limit", "1001"), "`limit`: it is out of bounds; expected: 1 to 1000"),
        (("--limit", "9" * 30), "--limit: the number is out of bounds; expected: 1 to 1000"),
    ],
)
def test_a_number_that_is_none_and_one_that_is_too_large_are_told_apart(
    folder: Path, line: tuple[str, str], words: str
) -> None:
    done = interlock(folder, "run", "events", UNKNOWN, *line)

    assert done.code == 2
    assert words in done.err


def test_a_run_that_waits_has_the_checkpoint_that_it_has_reached(folder: Path) -> None:
    started = start(folder, "--detach")
    assert len(started["final_snapshot_id"]) == 64
    status = answer(folder, "run", "status", started["run_id"])
    assert status["final_snapshot_id"] == started["final_snapshot_id"]
    ended = answer(folder, "run", "resume", started["run_id"])

    assert ended["final_snapshot_id"] != started["final_snapshot_id"]


@pytest.mark.parametrize(
    ("ending", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_an_interrupted_run_is_kept_and_named(folder: Path, ending: signal.Signals, code: int, word: str) -> None:
    (folder / "slow.py").write_text(SLOW)
    line = [*PRODUCT, "run", "start", "slow:plan", "--store", "my.db"]
    with subprocess.Popen(line, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        run_id = process.stderr.readline().strip().removeprefix("run ")
        assert process.stderr.readline() == "waiting\n"
        process.send_signal(ending)
        _, err = process.communicate(timeout=SECONDS_MAX)

    assert process.returncode == code
    assert err == f"{word}; the run is kept: interlock run resume {run_id} --store my.db\n"
    assert answer(folder, "run", "status", run_id, "--store", "my.db")["phase"] == "running"


EXITING = """
import sys
from pathlib import Path

from interlock import Io, Plan

child = Plan("child")


@child.state
async def leave() -> str:
    if not Path("stay").exists():
        sys.exit({status!r})
    return "stayed"


parent = Plan("parent")


@parent.state
async def ask(io: Io) -> str:
    return (await io.child(child, name="it")).status
"""


@pytest.mark.parametrize("plan", ["child", "parent"])
@pytest.mark.parametrize(("status", "shown"), [(0, "(0)"), (3, "(3)"), ("s3cret", "")])
def test_a_handler_that_ends_the_process_does_not_choose_the_exit_code(
    folder: Path, plan: str, status: object, shown: str
) -> None:
    """G7: the attempt is left open, and whoever called learns how to go on."""
    (folder / "exiting.py").write_text(EXITING.format(status=status))
    done = interlock(folder, "run", "start", f"exiting:{plan}", "--store", "my.db")
    run_id = done.err.partition("interlock run resume ")[2].partition(" ")[0]

    assert done.code == 1
    kept = f"the run is kept: interlock run resume {run_id} --store my.db"
    assert f"error: the code of the plan ended the process with sys.exit{shown}; {kept} [program_exited]" in done.err
    assert "Traceback" not in done.err
    assert "s3cret" not in done.err
    (folder / "stay").touch()
    assert answer(folder, "run", "resume", run_id, "--store", "my.db")["phase"] == "completed"


def test_a_resume_where_no_store_is_makes_none(folder: Path) -> None:
    done = interlock(folder, "run", "resume", UNKNOWN)

    assert done.code == 3
    assert f"there is no store at {folder / '.interlock' / 'store.db'}" in done.err
    assert "starting a run or defining a scenario" in done.err
    assert not (folder / ".interlock").exists()


def test_tables_fit_a_terminal_of_80_columns(folder: Path) -> None:
    run_id = start(folder)["run_id"]
    for line in (("status", run_id), ("events", run_id), ("list",)):
        _, shown = run_on_terminal(
            "run", *line, program=PRODUCT, folder=folder, environ={"NO_COLOR": "1", "COLUMNS": "80"}
        )
        # A digest of 64 characters stands on a line of its own, which no table has to hold.
        rows = [row for row in STYLE.sub("", shown).splitlines() if row.strip() and not row.startswith("final")]
        assert max(map(len, rows)) <= 80
        assert re.search(r" \d\d:\d\d:\d\d ", rows[-1])


def test_settings_reach_the_engine_and_wrong_ones_are_refused(folder: Path) -> None:
    (folder / "interlock.toml").write_text("[engine]\ncrash_bugdet = 1\n")
    error = start(folder, code=2)["error"]

    assert error["code"] == "setting_unknown"
    assert "did you mean crash_budget?" in error["message"]
    assert not (folder / ".interlock").exists()
