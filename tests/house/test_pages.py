"""Links and named paths of the pages lead somewhere, and the change log keeps its form."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import interlock
from interlock.parts import PARTS
from interlock.surfaces import reference
from interlock.surfaces import reference_documents as documents
from scripts.docs import broken_links
from tests.house.project import PAGE_FOLDER, ROOT, SOURCE, name_of, pages

CHANGE_KINDS = {"Added", "Changed", "Deprecated", "Fixed", "Removed", "Security"}
NAMED_PATH = re.compile(r"`((?:src|tests|docs|scripts|benchmarks|requirements|\.ci)/[\w./-]*)`")


def test_every_link_of_every_page_leads_somewhere() -> None:
    assert broken_links(pages()) == []


def test_the_reference_is_what_the_parts_declare() -> None:
    written = {page.name: page.read_text(encoding="utf-8") for page in (PAGE_FOLDER / "reference").glob("*.md")}
    stale = [name for name, text in reference.pages(PARTS).items() if written.get(name) != text]

    assert stale == [], "run: make docs"


def test_the_schema_of_plan_documents_is_the_one_that_editors_get() -> None:
    written = (PAGE_FOLDER / "reference" / documents.SCHEMA).read_text(encoding="utf-8")

    assert written == documents.schema_text(PARTS), "run: make docs"


def test_the_schema_of_scenarios_is_the_one_of_their_records() -> None:
    written = (PAGE_FOLDER / "reference" / reference.SCENARIO_SCHEMA).read_text(encoding="utf-8")

    assert written == reference.scenario_schema_text(), "run: make docs"


def test_every_path_that_a_page_names_exists() -> None:
    named = [(page, path) for page in pages() for path in NAMED_PATH.findall(page.read_text(encoding="utf-8"))]

    assert [f"{name_of(page)}: {path}" for page, path in named if not (ROOT / path).exists()] == []


def test_the_architecture_names_every_layer_and_only_files_that_there_are() -> None:
    page = (PAGE_FOLDER / "explanation" / "architecture.md").read_text(encoding="utf-8")
    diagram = page.partition("```mermaid\nflowchart")[2].partition("```")[0]
    [direction] = [each for each in configuration()["tool"]["importlinter"]["contracts"] if each["id"] == "direction"]
    layers = {name for layer in direction["layers"] for name in re.findall(r"\w+", layer)}
    reading = page.partition("## Where to read first")[2].partition("## ")[0]
    named = [path for line in reading.splitlines() for path in re.findall(r"`([\w/]+(?:\.py|/\w+))`", line)]

    assert sorted(layers - set(re.findall(r"\w+", diagram))) == []
    assert named
    assert [path for path in named if not any((root / path).exists() for root in (SOURCE, ROOT))] == []


def test_the_readme_says_what_every_extra_is_for() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)` \|", readme.partition("| extra |")[2].partition("\n\n")[0], flags=re.MULTILINE)

    assert told == sorted(configuration()["project"]["optional-dependencies"])


def test_the_version_is_the_same_wherever_it_stands() -> None:
    project = configuration()["project"]

    assert project["version"] == interlock.__version__
    assert releases()[0][0] == interlock.__version__


def test_the_change_log_names_each_release_with_its_date_and_sorts_its_changes() -> None:
    assert releases()
    for version, date, body in releases():
        kinds = re.findall(r"^### (.+)$", body, flags=re.MULTILINE)
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert date == "unreleased" or re.fullmatch(r"\d{4}-\d{2}-\d{2}", date), version
        assert kinds, version
        assert kinds == sorted(CHANGE_KINDS & set(kinds)), version


def configuration() -> dict[str, Any]:
    """What `pyproject.toml` says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def releases() -> list[tuple[str, str, str]]:
    """Version, date and text of each release of the change log, newest first."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.findall(r"^## (\S+) \((\S+)\)\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
