"""New files: complete and durable before they have a name, and nobody's name is taken."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.packs.spool import new_file


def no_links(*_given: object, **_options: object) -> None:
    raise OSError(errno.EPERM, "no links here")


def write(path: Path, *, force: bool = False) -> None:
    with new_file(path, force=force) as file:
        file.write(b"new")


@pytest.mark.parametrize("links", [True, False])
def test_a_file_gets_its_name_also_where_there_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    write(tmp_path / "a")

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"new")]


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_was_taken_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(InterlockError, match="pack_exists"), new_file(tmp_path / "a", force=False):
        (tmp_path / "a").write_bytes(b"mine")

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"mine")]


def test_other_faults_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_given: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "link", broken)
    with pytest.raises(InterlockError, match="pack_unwritable"):
        write(tmp_path / "a")
    with pytest.raises(InterlockError, match="pack_unwritable"):
        write(tmp_path / "none" / "a")
    assert list(tmp_path.iterdir()) == []


def test_whatever_stops_the_writing_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_file(tmp_path / "a", force=True) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_force_replaces_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    write(tmp_path / "a", force=True)

    assert (tmp_path / "a").read_bytes() == b"new"
