"""Finding the plan that a run was started with, or that a person names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.engine.authoring import Plan
from interlock.engine.sources import Plans, absolute_source, load_plan, source_folder
from tests.simulation.histories import chain_plan

FILE = """
from interlock.engine.authoring import Plan

plan = Plan("from_file")

@plan.state
async def only() -> None:
    pass

built = plan.build()
something_else = 1
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "plans_of_a_test.py"
    path.write_text(FILE)
    return path


def test_a_registered_plan_is_found_by_operation_and_version() -> None:
    plans, plan = Plans(), chain_plan()
    plans.add(plan)

    assert plans.find("demo", "1", None) is plan
    assert plans.known("demo", "2") is None


def test_a_version_that_nobody_registered_is_not_found() -> None:
    """DR4."""
    plans = Plans()
    plans.add(chain_plan())

    with pytest.raises(InterlockError, match="plan_not_found"):
        plans.find("demo", "2", None)


@pytest.mark.parametrize("name", ["plan", "built"])
def test_a_plan_is_loaded_from_a_file(file: Path, name: str) -> None:
    assert load_plan(f"{file}:{name}").op_id == "from_file"


def test_a_plan_is_loaded_from_a_module(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(file.parent))

    assert load_plan("plans_of_a_test:plan").op_id == "from_file"
    assert source_folder("plans_of_a_test:plan") == str(file.parent)


def test_the_plan_of_a_run_is_loaded_from_where_it_was_started(file: Path) -> None:
    assert Plans().find("from_file", "1", f"{file}:plan").op_id == "from_file"


@pytest.mark.parametrize(
    "source",
    ["", "no_colon", ":plan", "module:", "module:not a name", "a:b:c", "no_such_module_here:plan", "nothing.py:plan"],
)
def test_a_source_that_names_no_plan_is_not_found(source: str) -> None:
    with pytest.raises(InterlockError, match="plan_not_found"):
        load_plan(source)


@pytest.mark.parametrize("name", ["missing", "something_else", "plan.missing"])
def test_a_name_that_is_no_plan_is_not_found(file: Path, name: str) -> None:
    with pytest.raises(InterlockError, match="plan_not_found"):
        load_plan(f"{file}:{name}")


def test_a_module_that_fails_is_named_without_the_text_of_its_fault(file: Path) -> None:
    """P18."""
    file.write_text("raise RuntimeError('hunter2 hunter2')")

    with pytest.raises(InterlockError, match="RuntimeError") as caught:
        load_plan(f"{file}:plan")
    assert caught.value.code == "plan_import_failed"
    assert "hunter2" not in str(caught.value)


def test_an_invalid_plan_says_that_it_is_invalid(file: Path) -> None:
    file.write_text("from interlock.engine.authoring import Plan\nplan = Plan('empty')\n")

    with pytest.raises(InterlockError, match="plan_invalid"):
        load_plan(f"{file}:plan")


def test_two_files_of_one_name_are_two_modules(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / file.name
    other.parent.mkdir()
    other.write_text(FILE.replace("from_file", "from_other_file"))

    first, second = load_plan(f"{file}:plan"), load_plan(f"{other}:plan")

    assert (first.op_id, second.op_id) == ("from_file", "from_other_file")


def test_a_file_is_named_by_its_whole_path_so_that_it_is_found_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)

    assert absolute_source(f"{file.name}:plan") == f"{file}:plan"
    assert absolute_source("package.module:plan") == "package.module:plan"
    assert source_folder(f"{file.name}:plan") == str(file.parent)


def test_a_module_in_memory_has_no_folder() -> None:
    assert source_folder("sys:plan") is None
    assert "sys" in sys.modules


def test_a_plan_that_is_being_written_is_built_when_it_is_registered() -> None:
    with pytest.raises(InterlockError, match="plan_invalid"):
        Plans().add(Plan("empty"))


@pytest.mark.parametrize(
    "source", ["../../etc/passwd:x", "..foo:plan", ".:plan", "a..b:plan", "a b:plan", "a/b:plan", ":p"]
)
def test_what_names_neither_a_file_nor_a_module_is_not_imported(source: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InterlockError, match="not of the form MODULE:PLAN") as caught:
        load_plan(source)

    assert caught.value.code == "plan_not_found"
    assert not caplog.text


@pytest.mark.parametrize(
    ("content", "place", "shown"),
    [
        (b"1\nraise SystemExit\n", "SystemExit at broken.py:2", ['File "{file}", line 2, in <module>']),
        (b"x = (\n", "SyntaxError at broken.py:1", ['File "{file}", line 1', "'(' was never closed"]),
        (b"x = 1\0\n", "SyntaxError at broken.py", ["null bytes"]),
        (b"import nowhere_at_all\n", "ModuleNotFoundError at broken.py:1", ['File "{file}", line 1, in <module>']),
    ],
)
def test_a_plan_that_cannot_be_imported_shows_its_own_lines_and_none_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes, place: str, shown: list[str]
) -> None:
    file = tmp_path / "broken.py"
    file.write_bytes(content)
    with pytest.raises(InterlockError) as caught:
        load_plan(f"{file}:plan")

    assert caught.value.code == "plan_import_failed"
    assert caught.value.message.endswith(place)
    for words in shown:
        assert words.format(file=file) in caplog.text
    assert "engine/sources.py" not in caplog.text
    assert "importlib" not in caplog.text


@pytest.mark.parametrize("plan", ["nope", None, 1, Plan])
def test_what_is_no_plan_is_refused_as_one(plan: object) -> None:
    with pytest.raises(InterlockError, match="a plan is expected") as caught:
        Plans().add(plan)  # type: ignore[arg-type]

    assert caught.value.code == "plan_invalid"
