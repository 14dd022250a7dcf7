"""A run records where its code came from, read from plain files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from interlock.engine.provenance import provenance

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / "src" / "package").mkdir(parents=True)
    return tmp_path


def test_the_interpreter_and_the_platform_are_always_known() -> None:
    found = provenance()

    assert found.rustc_version
    assert found.target_triple
    assert (found.git_commit, found.cargo_lock_hash, found.env_allowlist) == (None, None, ())


def test_a_commit_is_found_from_a_folder_below_the_project(project: Path) -> None:
    (project / ".git" / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")

    assert provenance(str(project / "src" / "package")).git_commit == COMMIT


def test_a_commit_is_found_among_packed_references(project: Path) -> None:
    (project / ".git" / "packed-refs").write_text(f"# pack-refs\n{COMMIT} refs/heads/main\n")

    assert provenance(str(project)).git_commit == COMMIT


def test_a_commit_that_is_checked_out_by_itself_is_found(project: Path) -> None:
    (project / ".git" / "HEAD").write_text(f"{COMMIT}\n")

    assert provenance(str(project)).git_commit == COMMIT


def test_a_commit_of_a_linked_work_tree_is_found(project: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    (linked / ".git").parent.mkdir()
    store = project / ".git" / "worktrees" / "linked"
    store.mkdir(parents=True)
    (store / "HEAD").write_text(f"{COMMIT}\n")
    (linked / ".git").write_text(f"gitdir: {store}\n")

    assert provenance(str(linked)).git_commit == COMMIT


def test_the_branch_of_a_linked_work_tree_is_found_in_the_main_folder(project: Path) -> None:
    linked = project / "linked"
    linked.mkdir()
    store = project / ".git" / "worktrees" / "linked"
    store.mkdir(parents=True)
    (store / "HEAD").write_text("ref: refs/heads/topic\n")
    (store / "commondir").write_text("../..\n")
    (project / ".git" / "refs" / "heads" / "topic").write_text(f"{COMMIT}\n")
    (linked / ".git").write_text(f"gitdir: {store}\n")

    assert provenance(str(linked)).git_commit == COMMIT


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none\n", "not a commit\n"])
def test_a_head_that_names_no_commit_gives_none(project: Path, head: str) -> None:
    (project / ".git" / "HEAD").write_text(head)

    assert provenance(str(project)).git_commit is None


def test_a_head_that_is_not_text_gives_none(project: Path) -> None:
    (project / ".git" / "HEAD").write_bytes(b"\xff\xfe")

    assert provenance(str(project)).git_commit is None


def test_the_lock_file_is_named_by_the_digest_of_its_bytes(project: Path) -> None:
    (project / "uv.lock").write_bytes(b"locked")

    assert provenance(str(project)).cargo_lock_hash == hashlib.sha256(b"locked").hexdigest()


def test_a_folder_outside_of_any_project_has_no_commit(tmp_path: Path) -> None:
    assert provenance(str(tmp_path)).git_commit is None
