"""The pages that are shown: our own, and those of an installation within their limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interlock.base.errors import Invalid
from interlock.gates.showing import DocsSettings
from interlock.surfaces.mcp import pages
from interlock.surfaces.mcp.pages import library_of
from interlock.surfaces.mcp.search import Page

Shown = Callable[..., tuple[list[Page], list[str]]]


def shown(*paths: Path, **settings: Any) -> tuple[list[Page], list[str]]:
    """The pages that are added, and the warnings."""
    told: list[str] = []
    given = {"include_default_docs": False, "extra_paths": tuple(map(str, paths)), **settings}
    library = library_of(DocsSettings(**given), told.append)
    return list(library.pages), [words.rpartition(": ")[2] for words in told]


def test_our_own_pages_are_those_for_users_each_with_a_role_and_a_description() -> None:
    own = list(library_of(DocsSettings(), pytest.fail).pages)
    assert {page.role for page in own} == {"decision", "pattern", "reasoning", "ontology"}
    assert not {page.id for page in own} & {"decisions-0001-interfaces", "coverage", "threats"}
    replay = next(page for page in own if page.id == "how-to-replay-a-run")
    assert replay.title == "Replay a run"
    assert replay.description.startswith("How-to guide. ")
    assert len({page.id for page in own}) == len(own)


def test_pages_can_be_switched_off() -> None:
    assert library_of(DocsSettings(enabled=False), pytest.fail).pages == ()


def test_pages_of_the_package_come_before_those_beside_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs" / "how-to").mkdir(parents=True)
    (tmp_path / "docs" / "how-to" / "mend.md").write_text("no title\n\nOne. Two.")
    monkeypatch.setattr(pages, "files", lambda _name: tmp_path)
    [page] = pages.own_pages()
    assert (page.id, page.title, page.description) == ("how-to-mend", "mend", "How-to guide. One.")


def test_files_and_folders_are_added_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b/Two.MD", "b/a/one.md", "b/other.txt", "c.md", "b/one.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Page {name}\nText.\n")
    found, warnings = shown(tmp_path / "c.md", tmp_path / "b")
    assert [(page.id, page.title, page.role, page.custom) for page in found] == [
        ("c", "Page c.md", "pattern", True),
        ("two", "Page b/Two.MD", "pattern", True),
        ("one", "Page b/one.md", "pattern", True),
        ("one_2", "Page b/a/one.md", "pattern", True),
    ]
    assert warnings == []


def test_links_empty_files_and_those_beyond_a_limit_are_left_out_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "1.md").write_text("# One\n")
    (tmp_path / "2.md").write_text(" \n")
    (tmp_path / "3.md").write_text("x" * 65)
    (tmp_path / "4.md").symlink_to(tmp_path / "1.md")
    (tmp_path / "5.md").write_text("x" * 40)
    (tmp_path / "6.md").write_text("y" * 40)
    (tmp_path / "link").symlink_to(tmp_path)
    found, warnings = shown(tmp_path / "link", tmp_path, max_doc_bytes=64, max_total_bytes=80)
    assert [page.id for page in found] == ["1", "5"]
    assert warnings == [
        "left out, because it is a link",
        "left out, because it is empty",
        "left out, because it has more than 64 bytes",
        "left out, because it is a link",
        "left out, because there are too many pages",
    ]
    assert [page.id for page in shown(tmp_path, max_docs=1)[0]] == ["1"]


def test_a_path_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        shown(tmp_path / "none.md")
    assert refused.value.code == "documents_unreadable"


def test_a_page_that_cannot_be_read_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("x")

    def refuse(*_args: object, **_named: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(Invalid) as refused:
        shown(page)
    assert refused.value.code == "documents_unreadable"
