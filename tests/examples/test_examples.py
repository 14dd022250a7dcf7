"""Each example comes to what it shows by its own commands, and to the same when it is killed half-way.

The commands stand in the docstring of a program, and in the first comment of a document.

The commands run in bash, in a folder that holds nothing but `examples/`; answers come from a process of their own.
"""

from __future__ import annotations

import ast
import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from interlock import App

ROOT = Path(__file__).parents[2]
BASH = shutil.which("bash") or "bash"
HELPERS = {"outside", "release.yaml", "release_checks.yaml"}
"""What others run: the outside of the agent, and the documents of the demonstration, which has tests of its own."""
LINES_MAX = 80
SENT = "Dear all [letter:send]\n"
NOTES = "1.4.0: plan documents, and 1 more [notes-1.4.0]\n"
UNDONE = "".join(f"{line} [trip:{line}]\n" for line in ("book flight", "book hotel", "undo hotel", "undo flight"))


class Shown(NamedTuple):
    """What an example comes to: values of its run, and files outside."""

    values: Mapping[str, Any]
    files: Mapping[str, str] = {}


EXPECTED = {
    "hello": Shown({"greet": "Hello, Ada", "measure": 12}),
    "retry": Shown({"words": 3, "verdict": "long enough"}),
    "wait_for_a_person": Shown({"send": "sent as number 1: well said"}, {"sent.txt": SENT}),
    "saga": Shown({"book_car": False, "undo_hotel": True, "undo_flight": True}, {"trip.txt": UNDONE}),
    "fan_out_over_files": Shown({}),
    "child_runs": Shown({"book": {"begin": 3, "middle": "failed", "end": 3}}),
    "release_notes.yaml": Shown({"changes": {"count": 2, "first": "plan documents"}}, {"examples/notes.txt": NOTES}),
    "approval.yaml": Shown(
        {"report": {"text": "approved by Ada"}},
        {"examples/notes.txt": NOTES.replace("1.4.0", "2.0.0")},
    ),
    "agent_tool_call": Shown({"act": "done, line 1"}, {"done.txt": "delete copies/ [agent:act]\n"}),
}


class Ended(NamedTuple):
    """What a run came to."""

    phase: str
    final_snapshot_id: str | None
    values: dict[str, Any]


def commands(example: str) -> str:
    """The commands of an example's docstring."""
    if example.endswith(".yaml"):
        lines = (ROOT / "examples" / example).read_text("utf-8").splitlines()
        text = "\n".join(line[2:] for line in takewhile(lambda line: line.startswith("#"), lines))
    else:
        text = ast.get_docstring(ast.parse((ROOT / "examples" / f"{example}.py").read_text("utf-8"))) or ""
    return "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))


def folder_of(place: Path) -> Path:
    """A folder with the examples, and nothing else."""
    shutil.copytree(ROOT / "examples", place / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    return place


def run(example: str, folder: Path, environ: Mapping[str, str] | None = None) -> str:
    """Run the commands of an example as a person would; everything that they print."""
    return run_script(commands(example), folder, environ)


def run_script(script: str, folder: Path, environ: Mapping[str, str] | None = None) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [BASH, "-uc", script],
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def ended(example: str, folder: Path) -> Ended:
    """What the run of an example came to, as its store says."""

    async def read() -> Ended:
        async with App.open(folder / ".interlock" / "store.db", create=False) as app:
            result = await app.runs.read.result(run_id(example))
            return Ended(result.phase, result.final_snapshot_id, await app.runs.read.context(run_id(example)))

    return asyncio.run(read())


def written(example: str, folder: Path) -> dict[str, str]:
    """The files that the example left outside."""
    return {name: (folder / name).read_text() for name in EXPECTED[example].files}


def run_id(example: str) -> str:
    found = re.search(r"RUN=(\S+)", commands(example))
    assert found is not None
    return found[1]


@dataclass(frozen=True)
class Whole:
    """An example that nobody disturbed: what it printed, and how many appends its runs made."""

    folder: Path
    printed: str
    appends: int


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Whole]:
    """Runs an example in whole, once for all tests."""
    known: dict[str, Whole] = {}

    def made(example: str) -> Whole:
        if example not in known:
            folder = folder_of(tmp_path_factory.mktemp(example))
            printed = run(example, folder, counting(folder))
            known[example] = Whole(folder, printed, (folder / "appends").stat().st_size)
        return known[example]

    return made


def counting(folder: Path, kill_at: int = 0) -> dict[str, str]:
    """Variables that let the drivers of runs count their appends, and kill the one that makes a certain one."""
    hook = folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text("from tests.examples.killing import install\n\ninstall()\n")
    return {
        "PYTHONPATH": f"{hook}:{ROOT}",
        "APPENDS_FILE": str(folder / "appends"),
        "APPENDS_KILL_AT": str(kill_at),
    }


@pytest.mark.parametrize("example", EXPECTED)
def test_an_example_comes_to_what_it_shows(example: str, undisturbed: Callable[[str], Whole]) -> None:
    whole = undisturbed(example)

    assert "error" not in whole.printed, whole.printed
    done = ended(example, whole.folder)
    assert done.phase == "completed", whole.printed
    assert {name: done.values[name] for name in EXPECTED[example].values} == EXPECTED[example].values
    assert written(example, whole.folder) == EXPECTED[example].files


@pytest.mark.parametrize("example", EXPECTED)
def test_an_example_that_is_killed_half_way_and_run_again_comes_to_the_same(
    example: str, undisturbed: Callable[[str], Whole], tmp_path: Path
) -> None:
    whole, cut = undisturbed(example), folder_of(tmp_path)

    printed = run(example, cut, counting(cut, whole.appends // 2))
    assert (cut / "killed").exists(), printed
    again = run(example, cut)

    assert ended(example, cut) == ended(example, whole.folder), f"{printed}\nand again:\n{again}"
    assert written(example, cut) == EXPECTED[example].files


def test_the_digests_over_files_are_those_of_the_files(undisturbed: Callable[[str], Whole]) -> None:
    whole = undisturbed("fan_out_over_files")

    done = ended("fan_out_over_files", whole.folder)
    lanes = [done.values[f"lane_{number}"] for number in range(4)]
    assert [len(lane) for lane in lanes] == [3, 2, 2, 2]
    assert set().union(*lanes) == {f"papers/{number}.txt" for number in range(1, 10)}
    assert done.values["joined"]["files"] == 9
    assert "├─ ✓ lane_0" in whole.printed


def test_every_example_is_short_and_opens_with_its_commands() -> None:
    files = {path.stem: path for path in (ROOT / "examples").glob("*.py")}
    files |= {path.name: path for path in (ROOT / "examples").glob("*.yaml")}

    assert set(files) == {*EXPECTED, *HELPERS}
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in files.items()}
    assert {name: lines for name, lines in lengths.items() if lines >= LINES_MAX} == {}
    assert [name for name in EXPECTED if not commands(name).startswith("RUN=")] == []


def test_an_answer_of_another_form_is_refused_where_it_is_sent(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    script = commands("wait_for_a_person").replace('"approved": true', '"approved": "yes"')

    printed = run_script(script, folder)

    assert "signal_invalid" in printed
    assert not (folder / "sent.txt").exists()
    assert ended("wait_for_a_person", folder).phase == "running"
