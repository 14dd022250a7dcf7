"""`interlock demo` from its first process to its last, on a small project that the test makes, and its refusals."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.surfaces.process import PRODUCT, run
from tests.surfaces.product import answer

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "tiny-gift"
version = "1.2.3"
requires-python = ">=3.11"
{licence}

[tool.hatch.build.targets.wheel]
packages = ["src/tiny_gift"]
"""
AUTHOR = {
    **{f"GIT_{role}_{part}": "tester" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


TEST = """
import tiny_gift


def test_the_wheel_is_what_is_tested():
    assert "unpacked" in tiny_gift.__file__
"""


def project(folder: Path, licence: str = 'license = "Apache-2.0"', test: str | None = TEST) -> Path:
    """A Python project of three files, committed."""
    package = folder / "src" / "tiny_gift"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""A gift."""\n')
    (folder / "pyproject.toml").write_text(PYPROJECT.format(licence=licence))
    if test is not None:
        (folder / "tests").mkdir()
        (folder / "tests" / "test_gift.py").write_text(test)
    for line in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "A gift"]):
        subprocess.run(["git", *line], cwd=folder, env={**os.environ, **AUTHOR}, check=True)  # noqa: S607 — git is found as by people
    return folder


def test_the_demo_releases_a_project_through_two_crashes_once_a_person_allows_it(tmp_path: Path) -> None:
    """C7, C10, F6, P20: SIGKILL half-way and after the effect; one publication; the flipped byte is named."""
    home = project(tmp_path / "gift")
    before = set(home.rglob("*")) - set((home / ".git").rglob("*"))

    done = run("demo", str(home), "--folder", "shown", "--json", program=PRODUCT, folder=tmp_path)

    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert (report["phase"], report["crashes"], report["repeated_steps"]) == ("completed", 2, [])
    assert (report["publications"], report["deliveries"]) == (1, 2)
    assert f"   {report['change_named']}\n" in done.err
    first, *_, last, blank = done.err.splitlines()
    assert first == "   Everything happens in shown; the next demonstration replaces what is there."
    assert (last.split()[-3:], blank) == (["pack", "verify", "shown/changed.pack"], "")
    assert "of changed.pack is flipped, and the pack is refused" in done.err
    assert report["approved_by"].startswith("local:")
    assert "✓ the process has ended, and the run waits to be told whether to publish" in done.err
    assert f"{report['approved_by']} let it go on" in done.err
    assert "(simulated: a second process answers as a person would)" in done.err
    assert "✓ no completed step ran again" in done.err
    assert report["replayed_attempts"] >= 9
    assert "attempts came to the very same snapshots, and nothing was published or written" in done.err
    assert "✓ 6 gates opened on evidence: sources are tracked, " in done.err
    assert "✓ 1 tests of the project passed on the very wheel, and none failed" in done.err
    assert "verifies: 1 partition, 4 streams, " in done.err
    assert set(home.rglob("*")) - set((home / ".git").rglob("*")) == before, "it never touches the project"

    [receipt] = (tmp_path / "shown" / "channel" / "published").glob("*/receipt.json")
    assert json.loads(receipt.read_text())["file"] == "tiny_gift-1.2.3-py3-none-any.whl"
    status = answer(tmp_path, "run", "status", report["run_id"], "--store", report["store"])
    assert [(step["name"], step["status"]) for step in status["steps"]] == [
        (name, "completed")
        for name in ("inventory", "build", "inspect", "materials", "test", "checks", "approve", "publish")
    ]
    assert [step["crashes"] for step in status["steps"]] == [0, 0, 0, 1, 0, 0, 0, 1]
    at = ("--store", report["store"], "--config", str(tmp_path / "shown" / "interlock.toml"))
    gates = answer(tmp_path, "scenario", "explain", "release-checks", report["run_id"], *at)["gates"]
    assert [gate["explanation"]["status"] for gate in gates] == ["True"] * 6
    answer(tmp_path, "doctor", "--store", report["store"])
    trust = str(tmp_path / "shown" / "release.key.pub")
    verified = answer(tmp_path, "pack", "verify", report["pack"], "--trust", trust)
    assert (verified["status"], verified["signature"], verified["run_id"]) == ("pass", "trusted", report["run_id"])
    changed = str(tmp_path / "shown" / "changed.pack")
    [*errors] = answer(tmp_path, "pack", "verify", changed, "--trust", trust, code=7)["errors"]
    named = next(error for error in errors if error["seq"] is not None)
    assert named["member"] == "streams/000001.events"
    place = f"{named['code']} in {named['member']}, event {named['seq']} of {named['stream']}: "
    assert report["change_named"] == place + named["what"]


@pytest.mark.parametrize(
    ("licence", "test", "said"),
    [
        ("", TEST, "a-licence-is-stated is False"),
        ('license = "Apache-2.0"', "def test_of_nothing():\n    assert False\n", "the-tests-pass is False"),
        ('license = "Apache-2.0"', "import nothing_of_that_name\n", "the-tests-pass is False"),
        ('license = "Apache-2.0"', None, "the-tests-pass is False"),
        (
            'license = "Apache-2.0"',
            "def test_one():\n    pass\ndef test_two():\n    raise KeyboardInterrupt\n",
            "the-tests-pass is False",
        ),
    ],
)
def test_a_release_whose_gate_stays_closed_is_told_as_the_projects_own(
    tmp_path: Path, licence: str, test: str | None, said: str
) -> None:
    home = project(tmp_path / "gift", licence, test)

    error = answer(tmp_path, "demo", str(home), "--folder", "shown", code=2)["error"]

    assert error["code"] == "demo_project_invalid"
    assert error["message"] == f"checks of this project failed: the stage stayed closed (looks: 1): {said}"
    assert not (tmp_path / "shown" / "channel" / "published").exists()


def test_the_wheel_is_tested_where_sources_lie_in_the_projects_folder(tmp_path: Path) -> None:
    home = project(tmp_path / "gift")
    (home / "src" / "tiny_gift").rename(home / "tiny_gift")
    settings = home / "pyproject.toml"
    settings.write_text(settings.read_text().replace("src/tiny_gift", "tiny_gift"))

    done = run("demo", str(home), "--folder", "shown", program=PRODUCT, folder=tmp_path)

    assert done.code == 0, done.err
    assert "✓ 1 tests of the project passed on the very wheel" in done.err


def test_tests_that_an_optimised_python_runs_open_no_gate(tmp_path: Path) -> None:
    home = project(tmp_path / "gift")

    done = run(
        "demo", str(home), "--folder", "shown", program=PRODUCT, folder=tmp_path, environ={"PYTHONOPTIMIZE": "1"}
    )

    assert done.code == 2
    assert "the-tests-pass is False" in done.err


def test_a_project_that_cannot_be_built_is_told_with_the_reason_of_its_builder(tmp_path: Path) -> None:
    home = project(tmp_path / "gift")
    (home / "pyproject.toml").write_text(PYPROJECT.format(licence="").replace("hatchling", "no_such_backend"))

    error = answer(tmp_path, "demo", str(home), "--folder", "shown", code=2)["error"]

    assert error["code"] == "demo_project_invalid"
    assert error["message"].startswith("build of this project failed: ERROR Backend 'no_such_backend")
    assert "can be built here" in error["advice"]


@pytest.mark.parametrize("there", ["nothing", "only pyproject.toml", "only git"])
def test_what_is_no_project_under_git_is_refused_before_anything_is_made(tmp_path: Path, there: str) -> None:
    home = tmp_path / "gift"
    home.mkdir()
    if there == "only git":
        (home / ".git").mkdir()
    elif there == "only pyproject.toml":
        (home / "pyproject.toml").write_text(PYPROJECT.format(licence=""))

    error = answer(tmp_path, "demo", str(home), "--folder", "shown", code=2)["error"]

    assert error["code"] == "demo_project_invalid"
    assert not (tmp_path / "shown").exists()


def test_a_folder_with_other_content_is_never_emptied(tmp_path: Path) -> None:
    home = project(tmp_path / "gift")
    kept = tmp_path / "shown" / "letter.txt"
    kept.parent.mkdir()
    kept.write_text("dear reader")

    error = answer(tmp_path, "demo", str(home), "--folder", "shown", code=4)["error"]

    assert error["code"] == "demo_folder_taken"
    assert kept.read_text() == "dear reader"


def test_a_folder_that_cannot_be_used_is_an_error_with_its_reason(tmp_path: Path) -> None:
    home = project(tmp_path / "gift")
    (tmp_path / "file").write_text("in the way")

    for folder in ("file", "file/below"):
        error = answer(tmp_path, "demo", str(home), "--folder", folder, code=1)["error"]

        assert error["code"] == "demo_folder_unwritable"
    assert (tmp_path / "file").read_text() == "in the way"
