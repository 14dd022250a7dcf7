"""A store that somebody prepared (T3, T21, T22): looking at it runs nothing, and writing to it never obeys it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import apsw
import pytest

from tests.surfaces.product import RUN, answer, prepare, start_hello

PLANTED = """
from pathlib import Path

Path("obeyed").touch()
"""
READS = (["status", RUN], ["events", RUN], ["why", RUN], ["output", RUN], ["graph", RUN], ["list"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store that waits for its next owner, and the plan it names replaced by other code."""
    folder = prepare(tmp_path)
    start_hello(folder, "--run-id", RUN, "--detach", "--store", "s.db")
    (folder / "hello.py").write_text(PLANTED)
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    return folder


def change(folder: Path, statement: str) -> None:
    connection = apsw.Connection(str(folder / "s.db"))
    connection.execute(statement)
    connection.close()


def test_looking_at_a_store_imports_nothing_that_it_names(folder: Path) -> None:
    """T3: a name in a store is followed only by who goes on with the run."""
    for line in READS:
        answer(folder, "run", *line, "--store", "s.db")
    answer(folder, "doctor", "--store", "s.db")
    answer(folder, "backup", "copy.db", "--store", "s.db")

    assert not (folder / "obeyed").exists()


def test_code_under_the_name_of_the_plan_that_is_no_plan_drives_nothing(folder: Path) -> None:
    """T3: what stands at the source must be a plan, and the recorded one."""
    (folder / "hello.py").write_text("plan = open\n")
    error = answer(folder, "run", "resume", RUN, "--store", "s.db", code=3)["error"]
    assert error["code"] == "plan_not_found"
    (folder / "hello.py").write_text(
        'from interlock import Plan\nplan = Plan("greeting")\n@plan.state\nasync def find() -> str:\n'
        '    open("obeyed", "w").close()\n    return ""\n'
    )
    assert answer(folder, "run", "resume", RUN, "--store", "s.db", code=4)["error"]["code"] == "plan_drifted"

    assert not (folder / "obeyed").exists()


PROGRAMS = {
    "a trigger that deletes": "CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM event; END",
    "a trigger that copies": "CREATE TRIGGER t AFTER INSERT ON artifact BEGIN UPDATE meta SET value = new.content; END",
    "a view in the place of a table": "ALTER TABLE meta RENAME TO m; CREATE VIEW meta AS SELECT name, value FROM m",
    "an index over an expression": "CREATE INDEX i ON meta (upper(value))",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_store_with_a_program_in_it_is_refused_by_every_verb_and_not_written_to(folder: Path, program: str) -> None:
    """T21: SQLite would run it within our own writes, before or after what is acknowledged."""
    change(folder, PROGRAMS[program])
    before = (folder / "s.db").read_bytes()

    for line in (*READS, ["resume", RUN], ["start", "shipping:plan", "--input", '{"folder": "."}']):
        error = answer(folder, "run", *line, "--store", "s.db", code=7)["error"]
        assert error["code"] == "store_corrupt", line
    answer(folder, "backup", "copy.db", "--store", "s.db", code=7)
    report = answer(folder, "doctor", "--store", "s.db", code=7)

    assert "schema" in {finding["kind"] for finding in report["findings"]}
    assert (folder / "s.db").read_bytes() == before
    assert not (folder / "copy.db").exists()


def test_a_link_to_a_store_reaches_no_other_locks_and_no_other_artifacts(folder: Path) -> None:
    """T22: a folder prepared beside the link, with locks that say that all are dead, is never looked at."""
    trap = folder / "trap"
    trap.mkdir()
    (trap / "s.db").symlink_to(folder / "s.db")
    (trap / "s.db.owners").symlink_to("/nonexistent")
    (trap / "s.db.artifacts").symlink_to("/nonexistent")

    assert answer(folder, "run", "status", RUN, "--store", "trap/s.db")["run_id"] == RUN
    assert answer(folder, "doctor", "--store", "trap/s.db")["healthy"]


def test_a_second_name_of_a_store_is_refused(folder: Path) -> None:
    """T22: two names would be two sets of locks over one database."""
    os.link(folder / "s.db", folder / "twin.db")

    for name in ("s.db", "twin.db"):
        for line in (["run", "list"], ["run", "resume", RUN], ["doctor"]):
            assert answer(folder, *line, "--store", name, code=1)["error"]["code"] == "store_linked"
