"""What scripts rely on: where answers and errors go, their shapes, and the exit codes. Real processes."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests.surfaces.process import SECONDS_MAX, TOY, run

EXIT_CODES = {
    "failed": 1,
    "storage": 1,
    "unavailable": 1,
    "invalid": 2,
    "not_found": 3,
    "conflict": 4,
    "refused": 5,
    "overloaded": 6,
    "corrupt": 7,
}


@pytest.fixture(autouse=True)
def _buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the program buffer its output as it does for people; unbuffered, late faults would not be seen."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / ".interlock"
    folder.mkdir()
    (folder / "store.db").write_text('{"apples": 3}')
    return folder / "store.db"


def test_an_answer_for_people_goes_to_standard_output(store: Path) -> None:
    done = run("counter", "list", folder=store.parent)

    assert done.code == 0
    assert done.text.splitlines() == ["NAME    COUNT  CHANGED AT", "apples  3      2023-11-14T22:13:20.123Z"]
    assert done.err == ""


def test_an_answer_for_programs_is_one_json_object(store: Path) -> None:
    done = run("counter", "list", "--json", folder=store.parent)

    assert done.code == 0
    assert done.text.count("\n") == 1
    assert json.loads(done.out)["counters"][0]["name"] == "apples"
    assert done.err == ""


@pytest.mark.parametrize(("category", "code"), EXIT_CODES.items())
def test_the_exit_code_follows_from_the_category(store: Path, category: str, code: int) -> None:
    done = run("counter", "fail", category, "--json", folder=store.parent)

    assert done.code == code
    assert json.loads(done.out) == {
        "error": {
            "code": f"toy_{category}",
            "category": category,
            "retryable": False,
            "message": "the toy does \x1b[31mnot\x1b[0m like it",
            "advice": "Do it differently.",
            "details": {"limit": 3},
        }
    }
    assert done.err == ""


def test_an_error_for_people_goes_to_standard_error_with_code_and_advice(store: Path) -> None:
    done = run("counter", "fail", "refused", folder=store.parent)

    assert done.code == 5
    assert done.out == b""
    assert done.err.splitlines() == [
        r"error: the toy does \x1b[31mnot\x1b[0m like it [toy_refused]",
        "       Do it differently.",
    ]


def test_a_fault_of_the_program_is_an_error_like_any_other_with_its_trace(store: Path) -> None:
    done = run("counter", "fail", "fault", "--json", folder=store.parent)

    assert done.code == 1
    assert json.loads(done.out)["error"]["code"] == "program_fault"
    assert "not foreseen" not in done.text
    assert "RuntimeError: not foreseen" in done.err


@pytest.mark.parametrize("code", [0, 1, 8])
def test_a_verb_that_drives_exits_by_the_outcome(store: Path, code: int) -> None:
    done = run("counter", "end", str(code), "--json", folder=store.parent)

    assert (done.code, json.loads(done.out)) == (code, {"code": code})


@pytest.mark.parametrize(
    "line", [("--json", "counter", "list"), ("counter", "--json", "list"), ("counter", "list", "--json")]
)
def test_options_of_every_verb_are_taken_anywhere_but_inside_a_name(store: Path, line: tuple[str, ...]) -> None:
    done = run(*line, folder=store.parent)

    if line[1] == "--json":  # a noun has no options of its own; the error says so, as JSON
        assert (done.code, json.loads(done.out)["error"]["code"]) == (2, "usage_invalid")
    else:
        assert json.loads(done.out)["counters"]


def test_the_store_is_that_of_the_nearest_folder_upwards(store: Path) -> None:
    deep = store.parent.parent / "a" / "b"
    deep.mkdir(parents=True)

    assert json.loads(run("where", "--json", folder=deep).out)["store"] == str(store)


def test_without_any_such_folder_the_store_belongs_to_the_working_directory(tmp_path: Path) -> None:
    done = run("where", "--json", folder=tmp_path)

    assert json.loads(done.out)["store"] == str(tmp_path / ".interlock" / "store.db")
    assert list(tmp_path.iterdir()) == []


def test_a_named_store_wins_over_the_variable_and_the_variable_over_the_default(store: Path) -> None:
    environ = {"INTERLOCK_STORE": "variable.db", "INTERLOCK_CONFIG": "settings.toml"}
    by_variable = run("where", "--json", folder=store.parent, environ=environ)
    by_option = run("--store", "option.db", "where", "--json", folder=store.parent, environ=environ)

    assert json.loads(by_variable.out) == {"store": "variable.db", "config": "settings.toml", "actor": None}
    assert json.loads(by_option.out)["store"] == "option.db"


def test_an_empty_variable_is_no_variable(store: Path) -> None:
    done = run("where", "--json", folder=store.parent, environ={"INTERLOCK_STORE": ""})

    assert json.loads(done.out)["store"] == str(store)


def test_the_principal_is_the_person_that_the_system_knows(store: Path) -> None:
    done = run("counter", "whoami", "--json", folder=store.parent, environ={"USER": "mallory"})

    assert json.loads(done.out)["actor"] == f"local:{pwd.getpwuid(os.getuid()).pw_name}"


def test_a_query_makes_no_store_and_a_change_does(tmp_path: Path) -> None:
    asked = run("counter", "list", folder=tmp_path)
    assert asked.code == 3
    assert list(tmp_path.iterdir()) == []

    changed = run("counter", "add", "apples", folder=tmp_path)
    assert changed.code == 0
    assert (tmp_path / ".interlock" / "store.db").exists()


def test_what_may_not_make_a_store_makes_none_even_if_it_drives(tmp_path: Path) -> None:
    assert run("counter", "sleep", folder=tmp_path).code == 3
    assert list(tmp_path.iterdir()) == []


def test_an_unacceptable_change_makes_no_store(tmp_path: Path) -> None:
    assert run("counter", "add", "apples", "--by", "0", folder=tmp_path).code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("ending", "code", "word"), [(signal.SIGINT, 130, b"interrupted\n"), (signal.SIGTERM, 143, b"terminated\n")]
)
def test_what_ends_a_call_from_outside_ends_it_quietly(
    store: Path, ending: signal.Signals, code: int, word: bytes
) -> None:
    with subprocess.Popen(
        [*TOY, "counter", "sleep"], cwd=store.parent, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"asleep\n"
        process.send_signal(ending)
        out, err = process.communicate(timeout=SECONDS_MAX)

    assert (process.returncode, out, err) == (code, b"", word)


def test_an_answer_that_cannot_be_written_is_an_error(store: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*TOY, "counter", "list"], cwd=store.parent, stdout=full, stderr=subprocess.PIPE, check=False
        )

    assert done.returncode == 1
    assert b"the answer cannot be written: No space left on device [output_unwritable]" in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_error_that_cannot_be_written_still_has_its_exit_code(store: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        line = [*TOY, "counter", "fail", "conflict", "--json"]
        done = subprocess.run(line, cwd=store.parent, stdout=full, stderr=subprocess.PIPE, check=False)

    assert (done.returncode, done.stderr) == (4, b"")


def test_closed_streams_are_no_fault(store: Path) -> None:
    for closed in ("<&-", ">&-", "2>&-"):
        line = f"{shlex.join(TOY)} counter add a --note - {closed}"
        done = subprocess.run(["/bin/bash", "-c", line], cwd=store.parent, capture_output=True, check=False, input=b"1")
        assert done.returncode == (2 if closed == "<&-" else 0), (closed, done.stderr)


def test_a_reader_that_leaves_is_no_news(store: Path) -> None:
    many = {f"counter-{number:04}": number for number in range(3000)}
    store.write_text(json.dumps(many))
    with subprocess.Popen(
        [*TOY, "counter", "list"], cwd=store.parent, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(SECONDS_MAX) == 141
