"""The folder of a demonstration: what it may take, and what it says of one that it cannot use."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.demo.place import Place


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    return folder


def refusal(project: Path, folder: Path) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        Place(project, folder).prepare()
    return caught.value


def test_a_folder_that_cannot_be_made_is_an_error_with_its_path(project: Path) -> None:
    folder = project / "pyproject.toml" / "demo"
    fault = refusal(project, folder)

    assert fault.code == "demo_folder_unwritable"
    assert fault.message == f"the folder {folder} cannot be used: Not a directory"


def test_a_folder_with_other_content_is_left_alone(project: Path) -> None:
    assert refusal(project, project).code == "demo_folder_taken"
    assert (project / "pyproject.toml").exists()


def test_the_settings_name_the_evidence_whatever_the_folder_is_called(project: Path, tmp_path: Path) -> None:
    place = Place(project, tmp_path / 'a "gift" \\ \U0001f381')
    place.prepare()

    json_files, _ = tomllib.loads(place.settings.read_text("utf-8"))["gates"]["providers"]
    assert json_files["config"]["root"] == str(place.work / "evidence")


def test_an_earlier_demonstration_is_replaced(project: Path, tmp_path: Path) -> None:
    Place(project, tmp_path / "demo").prepare()
    (tmp_path / "demo" / "old").touch()
    place = Place(project, tmp_path / "demo")
    place.prepare()

    assert (place.replaced, Place(project, tmp_path / "demo").replaced) == (True, False)
    assert not (tmp_path / "demo" / "old").exists()
    assert (tmp_path / "demo" / "work").is_dir()
