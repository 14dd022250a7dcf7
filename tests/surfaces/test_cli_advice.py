"""What the command line says to somebody who mistyped: the name that was meant, and the line that helps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from tests.surfaces.process import PRODUCT, Ended, run
from tests.surfaces.product import RUN

HELLO = """
from interlock import Plan

plan = Plan("hello")
other = Plan("other")


@plan.state
async def greet(name: str) -> str:
    return f"Hello {name}"


@other.state(name="greet")
async def greets(name: str) -> str:
    return name


@other.state
async def tell(gret: str) -> str:
    return gret
"""
ASK = """
    pipeline: asking
    version: "1"
    input: {title: x}
    steps:
      - {name: ask, handler: wait, with: {schema: {type: boolean}}}
      - name: say
        handler: exec
        side_effects: read_only_io
        needs: [ask]
        with: {argv: [echo, "${{ input.title }}"]}
"""
FETCH = """
    pipeline: fetching
    version: "1"
    steps:
      - {name: fetch, handler: http, with: {url: "http://192.0.2.1/"}}
"""
FAILING = """
    pipeline: mended
    version: "1"
    steps:
      - name: work
        handler: exec
        side_effects: read_only_io
        with: {argv: [sh, -c, "exit 3"]}
"""
NO_HTTP = """
import sys


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ("httpcore2", "httpx2"):
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, Missing())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hello.py").write_text(HELLO)
    for name, text in (("ask.yaml", ASK), ("fetch.yaml", FETCH), ("my failing.yaml", FAILING)):
        (tmp_path / name).write_text(dedent(text).lstrip())
    (tmp_path / "broken one.yaml").write_text('pipeline: x\nversion: "1"\nsteps: {}\n')
    return tmp_path


def cli(*line: str, folder: Path) -> Ended:
    return run(*line, program=PRODUCT, folder=folder)


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("nothere.yaml", 3, "there is no file nothere.yaml [plan_not_found]"),
        ("asl.yaml", 3, "there is no file asl.yaml; did you mean ask.yaml?"),
        ("ask", 3, "or plan.yaml (a document); did you mean ask.yaml?"),
        ("hello", 3, "; did you mean hello.py:PLAN?"),
        ("hello.py", 3, "say which of its plans: hello.py:plan, hello.py:other"),
        ("none.py", 3, "there is no file none.py"),
        ("broken one.yaml", 2, "error: broken one.yaml:3:8: `steps` is a mapping"),
        ("broken one.yaml", 2, "`interlock run lint 'broken one.yaml'` shows every finding"),
    ],
)
def test_a_plan_that_cannot_be_had_is_answered_with_what_is_there(
    folder: Path, source: str, code: int, said: str
) -> None:
    done = cli("run", "start", source, folder=folder)

    assert done.code == code
    assert said in done.err
    assert "register" not in done.err
    assert "error[" not in done.err


def test_a_folder_is_no_document(folder: Path) -> None:
    done = cli("run", "lint", ".", folder=folder)

    assert done.code == 1
    assert ".:1:1: error: it is a folder, and no document [file_unreadable]" in done.text
    assert "`interlock run lint ./*.yaml`" in done.text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("hello.py:plan", "--input", '{"nmae": "Ada"}'), "it has nmae: did you mean name?"),
        (
            ("hello.py:other", "--input", "name=Ada"),
            "the input has no gret, which the state tell takes; did you mean the ",
        ),
        (("ask.yaml", "--input", "title"), "`input`: give KEY=VALUE, once for each member, or a JSON object"),
        (("ask.yaml", "--input", "{title: x}"), "not JSON"),
    ],
)
def test_an_input_that_was_mistyped_is_answered_with_what_was_meant(
    folder: Path, line: tuple[str, ...], said: str
) -> None:
    done = cli("run", "start", *line, folder=folder)

    assert done.code == 2
    assert said in done.err


def test_more_members_than_a_plan_takes_become_context(folder: Path) -> None:
    done = cli(
        "run", "start", "hello.py:plan", "--input", "name=Ada", "--input", "nme=x", "--run-id", RUN, folder=folder
    )

    assert done.code == 0, done.err
    assert json.loads(cli("run", "output", RUN, "nme", "--json", folder=folder).text)["values"] == {"nme": "x"}


@pytest.mark.parametrize("value", ["yes", '"yes"', "1"])
def test_an_answer_that_does_not_fit_is_told_what_does(folder: Path, value: str) -> None:
    assert cli("run", "start", "ask.yaml", "--run-id", RUN, folder=folder).code == 8

    done = cli("run", "signal", RUN, "ask", "answer", "--value", value, folder=folder)

    assert done.code == 2
    assert "what fits is true or false" in done.err
    assert "quotes" not in done.err


def test_a_value_that_is_no_json_is_refused_where_there_is_nothing_to_ask(folder: Path) -> None:
    done = cli("run", "signal", RUN, "ask", "answer", "--value", "yes", folder=folder)

    assert done.code == 2
    assert "json_invalid" in done.err
    assert not (folder / ".interlock").exists()


def test_why_offers_a_fork_with_the_file_of_the_document_and_that_takes_what_was_mended(folder: Path) -> None:
    path = folder / "my failing.yaml"
    assert cli("run", "start", path.name, "--run-id", RUN, folder=folder).code == 1
    path.write_text(path.read_text().replace("exit 3", "echo mended"))

    line = cli("run", "why", RUN, folder=folder).text.splitlines()[-1]

    assert line == f"  interlock run fork {RUN} --plan '{path}'"
    assert cli("run", "fork", RUN, "--plan", str(path), folder=folder).code == 0


def test_why_offers_a_fork_with_the_file_of_a_plan_in_python(folder: Path) -> None:
    (folder / "bad.py").write_text(HELLO.replace('return f"Hello {name}"', "raise ValueError"))
    assert cli("run", "start", "bad.py:plan", "--input", "name=Ada", "--run-id", RUN, folder=folder).code == 1

    line = cli("run", "why", RUN, folder=folder).text.splitlines()[-1]

    assert line == f"  interlock run fork {RUN} --plan {folder / 'bad.py'}:plan"


@pytest.mark.parametrize("verb", ["fork", "migrate", "replay", "resume"])
def test_every_verb_that_takes_a_plan_names_documents_in_its_help(folder: Path, verb: str) -> None:
    words = " ".join(cli("run", verb, "--help", folder=folder).text.replace("│", " ").split())

    assert "a document (plan.yaml), MODULE:PLAN or file.py:PLAN" in words


def test_a_step_whose_library_is_missing_is_a_warning_and_the_run_says_what_to_install(folder: Path) -> None:
    (folder / "hidden").mkdir()
    (folder / "hidden" / "sitecustomize.py").write_text(NO_HTTP)
    environ = {"PYTHONPATH": str(folder / "hidden")}

    found = run("run", "lint", "fetch.yaml", program=PRODUCT, folder=folder, environ=environ)
    started = run("run", "start", "fetch.yaml", program=PRODUCT, folder=folder, environ=environ)
    shutil.rmtree(folder / "hidden")

    assert found.code == 0
    assert "warning: the step needs the HTTP library, which is not installed here [http_missing]" in found.text
    assert "from the clone of Interlock: pip install '/path/to/the/clone[http]'" in found.text
    assert started.code == 1
    assert "from the clone of Interlock: pip install '/path/to/the/clone[http]'" in started.text
    assert "http_missing" not in cli("run", "lint", "fetch.yaml", folder=folder).text
