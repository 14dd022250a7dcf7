"""What people see: colour only on a terminal, tables, and live progress. Real processes on real terminals."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.surfaces.process import PRODUCT, run, run_on_terminal
from tests.surfaces.product import RUN
from tests.surfaces.talking import line as start_line
from tests.surfaces.talking import order, prepare, start

ESCAPE = "\x1b["
STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PLAIN = {"NO_COLOR": "1"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / ".interlock"
    folder.mkdir()
    (folder / "store.db").write_text(json.dumps({"apples": 3, "\x1b[31mred": 1}))
    return tmp_path


def test_an_error_is_coloured_on_a_terminal_only(store: Path) -> None:
    code, shown = run_on_terminal("counter", "fail", "refused", folder=store)

    assert code == 5
    assert f"{ESCAPE}1;31merror:{ESCAPE}0m the toy does" in shown
    assert ESCAPE not in run("counter", "fail", "refused", folder=store).err


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_can_be_switched_off(store: Path, environ: dict[str, str]) -> None:
    for line in (("counter", "fail", "refused"), ("counter", "list"), ("counter", "--help")):
        _, shown = run_on_terminal(*line, folder=store, environ=environ)
        assert shown.strip()
        assert not re.search(r"\x1b\[[0-9;]*(?<![0-9])(3[0-8]|4[0-8]|9[0-7]|10[0-7])(?![0-9])", shown)


def test_a_list_is_a_table_and_stored_text_cannot_steer_the_terminal(store: Path) -> None:
    code, shown = run_on_terminal("counter", "list", folder=store, environ={"NO_COLOR": "1"})

    assert code == 0
    assert "changed at" in shown
    assert "─" in shown
    assert r"\x1b[31mred" in shown
    assert "\x1b[31m" not in shown


def test_an_empty_list_says_so_to_people(store: Path) -> None:
    (store / ".interlock" / "store.db").write_text("{}")

    assert run_on_terminal("counter", "list", folder=store) == (0, "nothing to show\r\n")


def test_progress_is_drawn_on_a_terminal_and_ends_with_every_step_done(store: Path) -> None:
    code, shown = run_on_terminal("run", "start", "toy", folder=store, environ={"NO_COLOR": "1"})

    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "· second" in plain
    assert plain.index("· second") < plain.index("✓ first") < plain.index("✓ second")
    assert plain.splitlines()[-5:-3] == ["✓ first  8 ms", "✓ second 8 ms"]
    assert plain.splitlines()[-2].split() == ["phase", "completed"]
    assert plain.splitlines()[-1].startswith("next: interlock run output ")


@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_of_a_status_is_wider_than_the_terminal(store: Path, columns: int) -> None:
    _, shown = run_on_terminal(
        *("run", "start", "toy"), folder=store, environ={"NO_COLOR": "1", "COLUMNS": str(columns)}
    )

    assert all(len(line) <= columns for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).splitlines())


def test_programs_and_pipes_get_no_progress(store: Path) -> None:
    piped = run("run", "start", "toy", folder=store)
    _, with_json = run_on_terminal("run", "start", "toy", "--json", folder=store)

    assert piped.text.splitlines()[1].split() == ["phase", "completed"]
    assert ESCAPE not in piped.err + with_json
    assert json.loads(with_json.splitlines()[-1])["phase"] == "completed"


def test_what_a_plan_prints_stays_out_of_the_answer(store: Path) -> None:
    done = run("run", "start", "toy", "--json", folder=store)

    assert json.loads(done.out)["phase"] == "completed"
    assert done.err == "a plan talks\n"


def test_progress_that_cannot_be_had_stops_nothing(store: Path) -> None:
    code, shown = run_on_terminal("run", "start", "unseen", folder=store)

    assert code == 0
    assert "completed" in shown


def test_an_error_of_what_is_driven_is_shown_like_any_other(store: Path) -> None:
    code, shown = run_on_terminal("run", "start", "broken", folder=store, environ={"NO_COLOR": "1"})

    assert code == 1
    assert "error: it broke [toy_failed]" in shown


def test_a_run_that_waits_shows_for_what_and_the_line_that_answers(tmp_path: Path) -> None:
    prepare(tmp_path)
    code, shown = run_on_terminal(*start_line(tmp_path, "ask_only"), program=PRODUCT, folder=tmp_path, environ=PLAIN)
    rows = STYLE.sub("", shown).splitlines()

    assert code == 8
    assert any(row.startswith("… decide waits for the answer until 20") for row in rows)
    assert rows[-1] == f"next: interlock run signal {RUN} decide 'the answer' --value JSON"


def test_pauses_skips_and_children_are_seen_in_the_progress_of_a_run(tmp_path: Path) -> None:
    prepare(tmp_path)
    start(tmp_path, "parent")
    order(tmp_path, "pause", "--reason", "lunch")
    _, shown = run_on_terminal("run", "resume", RUN, program=PRODUCT, folder=tmp_path, environ=PLAIN)
    plain = STYLE.sub("", shown)
    assert re.search(r"… paused +local:\S+: lunch", plain)
    assert re.search(r"… spawn +waits for the child one", plain)
    assert re.search(r"child [0-9a-f-]{36} +spawn/one", plain)

    order(tmp_path, "unpause")
    order(tmp_path, "skip", "spawn", "--reason", "we know")
    _, shown = run_on_terminal("run", "resume", RUN, program=PRODUCT, folder=tmp_path, environ=PLAIN)
    assert re.search(r"⊘ spawn +.*skipped", STYLE.sub("", shown))


def test_a_status_of_a_run_that_waits_fits_a_terminal_of_80_columns(tmp_path: Path) -> None:
    prepare(tmp_path)
    start(tmp_path, "ask_only")
    _, shown = run_on_terminal(
        "run", "status", RUN, program=PRODUCT, folder=tmp_path, environ={**PLAIN, "COLUMNS": "80"}
    )
    rows = [row for row in STYLE.sub("", shown).splitlines() if not row.startswith(("checkpoint", "input", "next:"))]

    assert max(map(len, rows)) <= 80
    assert any(row.split()[:3] == ["decide", "the", "answer"] for row in rows)


@pytest.mark.parametrize("columns", [60, 80])
def test_digests_and_types_keep_within_a_narrow_terminal(tmp_path: Path, columns: int) -> None:
    prepare(tmp_path)
    start(tmp_path, "nap", code=0)
    environ = {**PLAIN, "COLUMNS": str(columns)}
    for verb in ("status", "events"):
        _, shown = run_on_terminal("run", verb, RUN, program=PRODUCT, folder=tmp_path, environ=environ)
        rows = [row for row in STYLE.sub("", shown).splitlines() if not row.startswith("input")]
        assert max(map(len, rows)) <= columns
        if verb == "events":
            assert any("state_completed" in row for row in rows)
        else:
            assert any(re.fullmatch(r"final snapshot id  [0-9a-f]{16}…", row) for row in rows)
    piped = run("run", "status", RUN, program=PRODUCT, folder=tmp_path, environ=environ).text
    assert re.search(r"^final snapshot id  [0-9a-f]{64}$", piped, re.MULTILINE)


def test_a_conflict_on_a_terminal_shows_no_steps_of_the_other_run(tmp_path: Path) -> None:
    prepare(tmp_path)
    start(tmp_path, "ask_only")
    line = ("run", "start", "plans:ask_only", "--run-id", RUN, "--input", '{"folder": "elsewhere"}')
    code, shown = run_on_terminal(*line, program=PRODUCT, folder=tmp_path, environ=PLAIN)

    assert code == 4
    assert STYLE.sub("", shown).startswith("error: this run id belongs to another run; what differs: the input's fold")


def test_a_run_that_had_ended_says_that_nothing_was_run(tmp_path: Path) -> None:
    prepare(tmp_path)
    start(tmp_path, "nap", code=0)
    done = run(*start_line(tmp_path, "nap"), program=PRODUCT, folder=tmp_path)

    assert re.search(r"^note +it had ended before: nothing was run$", done.text, re.MULTILINE)
