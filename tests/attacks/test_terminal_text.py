"""Text from elsewhere on a terminal (T13): no escape that a handler, a plan or a store brought is passed on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.surfaces.process import PRODUCT, run
from tests.surfaces.product import RUN, prepare

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\r\x08"
HOSTILE = f"""
from interlock import Plan, StateFailure

TEXT = {ESCAPES!r}
plan = Plan("hostile")


@plan.state
async def says() -> str:
    return TEXT


@plan.state
async def fails(says: str) -> str:
    raise StateFailure("hostile", "it says " + TEXT)
"""
VERBS = (["status", RUN], ["why", RUN], ["events", RUN], ["output", RUN], ["graph", RUN], ["list"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = prepare(tmp_path)
    (folder / "hostile.py").write_text(HOSTILE)
    return folder


def test_what_a_handler_says_reaches_no_terminal_as_it_is(folder: Path) -> None:
    done = run(
        "run",
        "start",
        "hostile:plan",
        "--run-id",
        RUN,
        "--store",
        "s.db",
        "--input",
        "{}",
        program=PRODUCT,
        folder=folder,
    )
    assert done.code == 1
    shown = [done, *(run("run", *line, "--store", "s.db", program=PRODUCT, folder=folder) for line in VERBS)]

    for each in shown:
        for escape in ("\x1b", "\x07", "\x9b", "\x08", "\u202e"):
            assert escape not in each.text + each.err, each
    assert any("it says" in each.text + each.err for each in shown)


@pytest.mark.parametrize("place", ["run", "store", "plan", "reason"])
def test_what_was_typed_or_pasted_reaches_no_terminal_as_it_is(folder: Path, place: str) -> None:
    lines = {
        "run": ["run", "status", ESCAPES],
        "store": ["run", "list", "--store", f"{ESCAPES}.db"],
        "plan": ["run", "start", f"{ESCAPES}:plan"],
        "reason": ["run", "resolve", RUN, ESCAPES, "--retry", "--reason", ESCAPES, "--store", "none.db"],
    }

    done = run(*lines[place], program=PRODUCT, folder=folder)

    assert done.code in (2, 3)
    for escape in ("\x1b", "\x07", "\x9b", "\x08", "\u202e"):
        assert escape not in done.text + done.err
