"""`run graph` as people call it: the text itself on standard output, ready for a file."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.surfaces.process import PRODUCT, Ended, run, run_on_terminal
from tests.surfaces.product import RUN, answer, begun, prepare, start_hello, start_waiting


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepare(tmp_path)


def graph(folder: Path, *line: str) -> Ended:
    return run("run", "graph", *line, program=PRODUCT, folder=folder)


def test_a_completed_run_is_drawn_as_a_tree(folder: Path) -> None:
    run_id = start_hello(folder)["run_id"]
    title, summary, _, find, greet = graph(folder, run_id).text.splitlines()

    assert title == "greeting"
    assert summary == f"  run {run_id} · completed · 2 completed"
    assert find.startswith("✓ find   completed · ")
    assert greet.startswith("✓ greet  completed · ")


def test_the_record_of_the_drawing_is_its_form_and_its_text(folder: Path) -> None:
    run_id = start_hello(folder)["run_id"]

    assert answer(folder, "run", "graph", run_id) == {"format": "tree", "text": graph(folder, run_id).text}


def test_an_svg_goes_into_a_file_as_it_is(folder: Path) -> None:
    run_id = start_hello(folder)["run_id"]
    done = graph(folder, run_id, "--format", "svg")

    assert done.err == ""
    root = ET.fromstring(done.out)  # noqa: S314 - the text is our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert run_id in root.attrib["aria-label"]


def test_a_run_that_is_driven_shows_what_runs_and_what_comes(folder: Path) -> None:
    process = begun(folder, *start_waiting(folder))
    during = graph(folder, RUN).text.splitlines()
    process.kill()
    process.communicate()
    after = graph(folder, RUN).text.splitlines()

    assert " · running · 1 running, 1 completed" in during[1]
    assert during[4].startswith("▶ wait     running · ")
    assert " · running, queued · 1 queued, 1 completed" in after[1]
    assert after[4] == "◌ wait     queued"


def test_a_parked_run_shows_where_it_is_parked(folder: Path) -> None:
    given = json.dumps({"folder": str(folder)})
    run_id = answer(folder, "run", "start", "shipping:plan", "--input", given, code=8)["run_id"]
    lines = graph(folder, run_id).text.splitlines()

    assert [line.split()[:3] for line in lines[3:]] == [
        ["✓", "pack", "completed"],
        ["◆", "ship", "parked"],
        ["○", "tell", "pending"],
    ]


def test_a_plan_is_drawn_without_a_run_and_without_a_store(folder: Path) -> None:
    done = graph(folder, "--plan", "hello:plan", "--format", "mermaid")

    assert 'n0["○ find<br/>planned"]:::planned' in done.text
    assert "n0 --> n1" in done.text
    assert not (folder / ".interlock").exists()


@pytest.mark.parametrize("line", [[], [RUN, "--plan", "hello:plan"]])
def test_exactly_one_of_a_run_and_a_plan_is_drawn(folder: Path, line: list[str]) -> None:
    assert answer(folder, "run", "graph", *line, code=2)["error"]["code"] == "graph_subject_unclear"


def test_a_run_that_is_not_there_is_not_drawn(folder: Path) -> None:
    start_hello(folder)

    assert answer(folder, "run", "graph", RUN, code=3)["error"]["code"] == "run_not_found"


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_colours_beside_symbols_and_words(
    folder: Path, environ: dict[str, str], coloured: bool
) -> None:
    run_id = start_hello(folder)["run_id"]
    code, shown = run_on_terminal("run", "graph", run_id, program=PRODUCT, folder=folder, environ=environ)

    assert code == 0
    assert ("\x1b[32m✓\x1b[0m find   \x1b[32mcompleted\x1b[0m · " in shown) == coloured
    assert ("✓ find   completed · " in shown) != coloured
