"""`interlock backup` as people and scripts use it: while a run is going on, and where it must be refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.surfaces.process import PRODUCT, SECONDS_MAX, run
from tests.surfaces.product import RUN, answer, begun, prepare, start_hello, start_waiting

BULKY = """
from interlock import Context, Plan, Recorder

plan = Plan("bulky")


@plan.state
async def produce(ctx: Context, rec: Recorder) -> str:
    ctx.write("large", "l" * 100_000)
    return await rec.artifact("Output", b"bulk " * 40_000)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepare(tmp_path)


def test_a_backup_of_a_store_in_use_is_whole_and_its_run_can_be_resumed_there(folder: Path) -> None:
    """S13: a moment of the store, from which the run goes on as after a crash."""
    owner = begun(folder, *start_waiting(folder))
    made = answer(folder, "backup", "copy.db")
    (folder / "open").touch()
    owner.communicate(timeout=SECONDS_MAX)

    assert made["bytes"] == (folder / "copy.db").stat().st_size
    assert answer(folder, "doctor", "--store", "copy.db")["healthy"]
    steps = answer(folder, "run", "status", RUN, "--store", "copy.db")["steps"]
    assert [step["status"] for step in steps] == ["completed", "running"]
    assert answer(folder, "run", "resume", RUN, "--store", "copy.db")["phase"] == "completed"
    assert (folder / "prepared").read_text() == "prepared "


def test_large_artifacts_come_along_in_their_files(folder: Path) -> None:
    (folder / "bulky.py").write_text(BULKY)
    answer(folder, "run", "start", "bulky:plan")

    made = answer(folder, "backup", "copy.db")

    assert made["artifact_files"] == 2
    assert answer(folder, "doctor", "--store", "copy.db")["healthy"]


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        (("backup", "taken"), 4, "backup_target_exists"),
        (("backup", "nowhere/copy.db"), 1, "store_unwritable"),
        (("backup", "copy.db", "--store", "absent.db"), 3, "store_not_found"),
        (("backup", "copy.db", "--store", "taken"), 7, "store_foreign"),
    ],
)
def test_what_cannot_be_backed_up_is_refused_and_leaves_nothing(
    folder: Path, line: tuple[str, ...], code: int, error: str
) -> None:
    start_hello(folder, "--store", "store.db")
    (folder / "taken").write_text("somebody's own text " * 40)
    before = {path.name for path in folder.iterdir()}
    named = line if "--store" in line else (*line, "--store", "store.db")

    done = run(*named, "--json", program=PRODUCT, folder=folder)

    assert (done.code, json.loads(done.out)["error"]["code"]) == (code, error)
    assert {path.name for path in folder.iterdir()} == before
    assert (folder / "taken").read_text().startswith("somebody's own text")
