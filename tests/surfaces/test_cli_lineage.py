"""`run fork`, `run diff` and `run migrate` as people call them, each in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.surfaces.process import PRODUCT, Ended, run, run_on_terminal
from tests.surfaces.product import RUN, answer, begun, prepare, start_waiting

STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
OTHER = "01890a5d-ac96-774b-bcce-b302099a8058"
LETTERS = r"""
import os
import sys
from pathlib import Path

from interlock import Io, IoCall, Plan, StateFailure

plan = Plan("letters", version="1")
APPEND = "print(open('sent', 'a').write('sent\\n'))"


@plan.state
async def compose(name: str) -> str:
    with Path("composed").open("a") as log:
        log.write("composed\n")
    return f"Dear {name}"


@plan.state(side_effects="apply_side_effect", idempotency="letter:1")
async def send(io: Io, compose: str) -> object:
    request = {"kind": "run_program_v1", "program_path": sys.executable, "argv": ["-c", APPEND], "cwd": os.getcwd()}
    return (await io.call(IoCall("exec", request, "letter"))).response["json"]


@plan.state(after=[send])
async def note(compose: str) -> str:
    if not Path("paper").exists():
        raise StateFailure("no_paper", "there is no paper")
    return f"noted: {compose}"


later = Plan("letters", version="2")
later.state(compose)
later.state(send)
later.state(note, )


@later.state(after=["note"])
async def file(note: str) -> str:
    return f"filed: {note}"


lacking = Plan("letters", version="3")


@lacking.state
async def write() -> str:
    return "nothing"
"""
ASKING = """
from interlock import Io, Plan

plan = Plan("asking", version="1")
later = Plan("asking", version="2")


async def first(name: str) -> str:
    return name


async def ask(first: str, io: Io) -> str:
    return await io.wait("word", str)


async def last(ask: str) -> str:
    return f"heard {ask}"


for each in (plan, later):
    each.state(first)
    each.state(ask)
later.state(last)
"""
SIGNAL = """
import asyncio, sys
from interlock import App
from interlock.base.principal import local_principal

async def main() -> None:
    async with App.open(".interlock/store.db") as app:
        await app.runs.control.signal(sys.argv[1], "ask", "word", sys.argv[2], principal=local_principal("ada"))

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "letters.py").write_text(LETTERS)
    (tmp_path / "asking.py").write_text(ASKING)
    (tmp_path / "signal_it.py").write_text(SIGNAL)
    return prepare(tmp_path)


def start(folder: Path, plan: str = "letters:plan", code: int = 1) -> dict[str, Any]:
    return answer(folder, "run", "start", plan, "--run-id", RUN, "--input", '{"name": "Ada"}', code=code)


def lines(folder: Path, name: str) -> int:
    return len((folder / name).read_text().splitlines())


def plain(folder: Path, *line: str) -> Ended:
    return run("run", *line, program=PRODUCT, folder=folder)


def signal(folder: Path, run_id: str, word: str) -> None:
    subprocess.run([PRODUCT[0], "signal_it.py", run_id, word], cwd=folder, check=True)


def test_a_failed_run_is_forked_by_another_process_where_it_failed(folder: Path) -> None:
    start(folder)
    (folder / "paper").touch()
    fork = answer(folder, "run", "fork", RUN, "--run-id", OTHER)

    assert (fork["run_id"], fork["phase"], fork["from_step"]) == (OTHER, "completed", "note")
    assert [each["step"] for each in fork["inherited"]] == ["compose", "send"]
    assert (lines(folder, "composed"), lines(folder, "sent")) == (1, 1)
    assert answer(folder, "run", "output", OTHER, "note")["values"] == {"note": "noted: Dear Ada"}
    assert answer(folder, "run", "fork", RUN, "--run-id", OTHER) == fork


def test_a_status_says_of_what_a_run_is_a_fork_and_what_it_inherits(folder: Path) -> None:
    start(folder)
    (folder / "paper").touch()
    answer(folder, "run", "fork", RUN, "--run-id", OTHER)
    report = answer(folder, "run", "status", OTHER)

    assert (report["forked_from"], report["from_step"]) == (RUN, "note")
    assert {step["name"]: step["inherited"] for step in report["steps"]} == {
        "compose": True,
        "send": True,
        "note": False,
    }
    shown = plain(folder, "status", OTHER).text
    assert f"forked from        {RUN}" in shown
    assert re.search(r"^send +inherited", shown, re.MULTILINE)


def test_a_status_says_that_a_run_was_dry(folder: Path) -> None:
    (folder / "paper").touch()
    line = ("run", "start", "letters:plan", "--run-id", RUN, "--input", '{"name": "Ada"}')
    answer(folder, *line, "--dry-run")

    assert answer(folder, "run", "status", RUN)["skips_tags"] == ["apply_side_effect"]


def test_effects_need_a_choice_and_are_named(folder: Path) -> None:
    start(folder)
    (folder / "paper").touch()
    line = ("run", "fork", RUN, "--from", "send", "--run-id", OTHER)
    refused = answer(folder, *line, code=5)["error"]

    assert (refused["code"], refused["details"]["effects"]) == ("fork_choice_needed", ["letter"])
    assert "--absorb letter or --again letter" in refused["message"]
    assert answer(folder, "run", "status", OTHER, code=3)["error"]["code"] == "run_not_found"
    assert answer(folder, *line, "--again", "letter")["effects"][0]["choice"] == "again"
    assert lines(folder, "sent") == 2


def test_a_fork_that_fails_exits_as_a_run_that_does(folder: Path) -> None:
    start(folder)
    done = plain(folder, "fork", RUN, "--run-id", OTHER)

    assert done.code == 1
    assert "no_paper" in done.text
    assert f"next: interlock run why {OTHER}" in done.err
    assert plain(folder, "why", OTHER).text.splitlines()[-1] == f"  interlock run fork {OTHER}"


def test_a_fork_says_its_id_before_it_acts(folder: Path) -> None:
    start(folder)
    (folder / "paper").touch()
    done = plain(folder, "fork", RUN)

    made = done.err.splitlines()[0].removeprefix("run ")
    assert f"run id          {made}" in done.text.splitlines()
    refused = plain(folder, "fork", RUN, "--from", "send")
    assert refused.err.startswith("error: "), "a fork that is refused was not begun"


def test_a_fork_with_another_plan_and_input_goes_on_with_both(folder: Path) -> None:
    start(folder)
    (folder / "paper").touch()
    line = ("run", "fork", RUN, "--plan", "letters:later", "--input", '{"name": "Bob"}', "--run-id", OTHER)
    fork = answer(folder, *line)
    values = answer(folder, "run", "output", OTHER)["values"]

    assert fork["has_other_plan"]
    assert (values["name"], values["file"]) == ("Bob", "filed: noted: Dear Ada")
    refused = answer(folder, "run", "fork", RUN, "--plan", "letters:lacking", code=4)
    assert refused["error"]["code"] == "plan_drifted"


def test_a_run_whose_process_was_killed_is_forked_while_it_is_left(folder: Path) -> None:
    process = begun(folder, *start_waiting(folder))
    process.kill()
    process.communicate()
    (folder / "open").touch()
    fork = answer(folder, "run", "fork", RUN, "--run-id", OTHER)

    assert (fork["phase"], fork["from_step"], [each["step"] for each in fork["inherited"]]) == (
        "completed",
        "wait",
        ["prepare"],
    )
    assert (folder / "prepared").read_text() == "prepared "
    assert answer(folder, "run", "status", RUN)["phase"] == "running"


def test_a_fork_is_shown_on_a_terminal_with_its_steps(folder: Path) -> None:
    start(folder)
    (folder / "paper").touch()
    code, shown = run_on_terminal("run", "fork", RUN, "--from", "send", "--absorb-all", program=PRODUCT, folder=folder)

    assert code == 0
    for word in ("completed", "inherited", "compose", "effects", "letter", "absorb"):
        assert word in shown
    assert re.search(r"✓ compose inherited", STYLE.sub("", shown))


def test_the_difference_of_two_runs_fits_one_screen_and_sets_the_exit_code(folder: Path) -> None:
    start(folder)
    (folder / "paper").touch()
    answer(folder, "run", "fork", RUN, "--run-id", OTHER)
    done = plain(folder, "diff", RUN, OTHER)
    whole = answer(folder, "run", "diff", RUN, OTHER, code=1)

    assert (done.code, done.err) == (1, "")
    assert len(done.text.splitlines()) < 24
    assert "note: failed [no_paper]" in done.text
    assert 'note: – | "noted: Dear Ada"' in done.text
    assert [each["step"] for each in whole["steps"]] == ["note"]
    assert whole["b"]["forked_from"] == RUN
    assert plain(folder, "diff", RUN, RUN).code == 0
    assert answer(folder, "run", "diff", RUN, "0" * 8 + OTHER[8:], code=3)["error"]["code"] == "run_not_found"


def test_a_run_is_migrated_in_one_process_and_goes_on_in_another(folder: Path) -> None:
    start(folder, "asking:plan", code=8)
    shown = answer(folder, "run", "migrate", RUN, "--plan", "asking:later")
    line = ("run", "migrate", RUN, "--plan", "asking:later", "--apply", "--reason", "one more step")
    assert answer(folder, *line, code=4)["error"]["code"] == "migration_unseen"
    assert answer(folder, *line, "--expect", "0" * 64, code=4)["error"]["code"] == "migration_unseen"
    applied = answer(folder, *line, "--expect", shown["fingerprint"])
    signal(folder, RUN, "yes")

    assert (shown["is_possible"], shown["is_applied"], applied["is_applied"]) == (True, False, True)
    assert answer(folder, "run", "resume", RUN, "--plan", "asking:plan", code=4)["error"]["code"] == "plan_drifted"
    assert answer(folder, "run", "resume", RUN)["phase"] == "completed"
    assert answer(folder, "run", "output", RUN, "last")["values"] == {"last": "heard yes"}


def test_a_plan_that_does_not_fit_is_shown_with_what_speaks_against_it(folder: Path) -> None:
    start(folder, "asking:plan", code=8)
    (folder / "other.py").write_text('from interlock import Plan\nplan = Plan("asking", version="3")\n' + BARE)
    done = plain(folder, "migrate", RUN, "--plan", "other.py:plan")

    assert done.code == 1
    assert "the run cannot go on with this plan" in done.text
    assert "ask is suspended, and the plan lacks it" in done.text
    assert done.err == ""


BARE = """

@plan.state
async def first(name: str) -> str:
    return name
"""


def test_what_is_shown_names_the_line_that_applies_it(folder: Path) -> None:
    start(folder, "asking:plan", code=8)
    done = plain(folder, "migrate", RUN, "--plan", "asking:later")

    assert "+ asking.last.main" in done.text
    assert f"next: interlock run migrate {RUN} --plan asking:later --apply --expect" in done.err
    assert json.loads(plain(folder, "migrate", RUN, "--plan", "asking:later", "--json").out)["fingerprint"] in done.err
