"""Every kind of verb refuses an address with a mistake in it, as a real process, and shows no password of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.surfaces.process import PRODUCT, Ended, run
from tests.surfaces.test_cli_postgres import PLAN

SECRET = "not-to-be-shown"  # noqa: S105 - of nothing
TYPO = f"postgresq://ada:{SECRET}@host/db"
STORE = ("--store", TYPO)
LINES = (
    ("run", "list", *STORE),
    ("run", "status", "60000000-0000-4000-8000-000000000001", *STORE),
    ("run", "start", "hello.py:plan", *STORE),
    ("filter", "save", "good", "--state", "failed", *STORE),
    ("pack", "export", "--run", "60000000-0000-4000-8000-000000000001", "--out", "a.pack", *STORE),
    ("work", "--until-idle", *STORE),
    ("doctor", *STORE),
    ("backup", "copy.db", *STORE),
    ("backup", TYPO, "--store", "a.db"),
    ("store", "copy", TYPO, "a.db"),
    ("store", "copy", "a.db", TYPO),
)


def call(folder: Path, *line: str, environ: dict[str, str] | None = None) -> Ended:
    done = run(*line, program=PRODUCT, folder=folder, environ=environ)
    assert SECRET not in done.text + done.err
    return done


@pytest.mark.parametrize("line", LINES, ids=lambda line: " ".join(line[:3]).replace(TYPO, "TYPO"))
def test_a_typo_in_the_scheme_is_refused_by_every_kind_of_verb(tmp_path: Path, line: tuple[str, ...]) -> None:
    (tmp_path / "hello.py").write_text(PLAN)

    done = call(tmp_path, *line, "--json")

    error = msgspec.json.decode(done.out)["error"]
    assert (done.code, error["code"]) == (2, "store_name_invalid")
    assert "did you mean postgresql://?" in error["message"]
    assert [path.name for path in tmp_path.iterdir()] == ["hello.py"]


@pytest.mark.parametrize("name", [f"postgresql:/ada:{SECRET}@host/db", f"mysql://ada:{SECRET}@host/db"])
def test_people_are_told_how_a_store_is_named(tmp_path: Path, name: str) -> None:
    """From the environment, too."""
    done = call(tmp_path, "run", "list", environ={"INTERLOCK_STORE": name})

    assert (done.code, "[store_name_invalid]" in done.err) == (2, True)
    assert "postgresql://USER@HOST:PORT/DATABASE?schema=NAME" in done.err


def test_a_backup_into_a_database_is_refused(tmp_path: Path) -> None:
    done = call(tmp_path, "backup", f"postgresql://ada:{SECRET}@host/db", "--store", "a.db")

    assert (done.code, "postgresql://ada@host/db is a database" in done.err) == (2, True)


def test_a_copy_of_a_store_that_is_not_there_says_which_name_comes_first(tmp_path: Path) -> None:
    done = call(tmp_path, "store", "copy", "nothere.db", "new.db")

    assert (done.code, f"there is no store at {tmp_path}/nothere.db [copy_source_not_found]" in done.err) == (3, True)
    assert "Name first a store that exists" in done.err
    assert "Start a run" not in done.err
    assert list(tmp_path.iterdir()) == []
