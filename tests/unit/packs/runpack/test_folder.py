"""The folder of a runpack: there as a whole or not at all, and hostile until it is read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.packs.runpack import folder as module
from interlock.packs.runpack.folder import RunpackFolder, is_path, write_folder
from interlock.packs.runpack.model import FILES_MAX

FILES = {"artifacts/a.json": b"1", "artifacts/b/c.json": b"2", "manifest.json": b"{}"}


def code(write: object) -> str:
    assert isinstance(write, pytest.ExceptionInfo)
    assert isinstance(write.value, InterlockError)
    return write.value.code


def left(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_name_that_no_folder_can_have_is_refused(tmp_path: Path) -> None:
    for name in ("a\0b", "\udcff\ud800"):
        with pytest.raises(InterlockError) as fault:
            RunpackFolder(tmp_path / name)
        assert code(fault) == "pack_unreadable"
        with pytest.raises(InterlockError) as fault:
            write_folder(tmp_path / name, FILES, force=False)
        assert code(fault) == "pack_unwritable"


def test_what_is_written_is_read_again_and_belongs_to_its_owner(tmp_path: Path) -> None:
    place = tmp_path / "pack"
    write_folder(place, FILES, force=False)

    with RunpackFolder(place) as opened:
        assert opened.names() == sorted(FILES)
        assert {name: opened.read(name) for name in FILES} == FILES
        assert opened.manifest_name() == "manifest.json"
    assert left(tmp_path) == ["pack"]
    assert {oct(each.stat().st_mode & 0o777) for each in place.rglob("*.json")} == {"0o600"}
    assert oct(place.stat().st_mode & 0o777) == "0o700"


@pytest.mark.parametrize("force", [False, True])
def test_an_empty_folder_gives_way(force: bool, tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    write_folder(tmp_path / "pack", FILES, force=force)
    assert (tmp_path / "pack" / "manifest.json").read_bytes() == b"{}"


def test_a_runpack_gives_way_only_where_that_is_asked_for(tmp_path: Path) -> None:
    place = tmp_path / "pack"
    write_folder(place, FILES, force=False)
    with pytest.raises(InterlockError) as caught:
        write_folder(place, {"manifest.json": b"new"}, force=False)
    assert code(caught) == "pack_exists"

    write_folder(place, {"manifest.json": b"new"}, force=True)
    assert [each.relative_to(place).as_posix() for each in place.rglob("*")] == ["manifest.json"]
    assert left(tmp_path) == ["pack"]


def _file(place: Path) -> None:
    place.write_bytes(b"mine")


def _link(place: Path) -> None:
    (place.parent / "elsewhere").mkdir()
    place.symlink_to(place.parent / "elsewhere")


def _dangling(place: Path) -> None:
    place.symlink_to(place.parent / "nowhere")


def _others(place: Path) -> None:
    write_folder(place, FILES, force=False)
    (place / "notes.txt").write_bytes(b"mine")


def _no_runpack(place: Path) -> None:
    place.mkdir()
    (place / "artifacts").mkdir()


@pytest.mark.parametrize("there", [_file, _link, _dangling, _others, _no_runpack])
def test_nothing_else_gives_way_even_by_force(there: object, tmp_path: Path) -> None:
    assert callable(there)
    there(tmp_path / "pack")
    before = left(tmp_path)
    with pytest.raises(InterlockError) as caught:
        write_folder(tmp_path / "pack", FILES, force=True)
    assert code(caught) == "pack_exists"
    assert left(tmp_path) == before


def test_a_folder_that_came_meanwhile_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "pack"
    sync = module._sync

    def and_another_comes(folder: Path) -> None:
        place.mkdir(exist_ok=True)
        (place / "mine").write_bytes(b"")
        sync(folder)

    monkeypatch.setattr(module, "_sync", and_another_comes)
    with pytest.raises(InterlockError) as caught:
        write_folder(place, FILES, force=False)
    assert code(caught) == "pack_exists"
    assert (left(tmp_path), left(place)) == (["pack"], ["mine"])


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for files in ({"../x": b""}, {"a//b": b""}):
        with pytest.raises(InterlockError) as caught:
            write_folder(tmp_path / "pack", files, force=False)
        assert code(caught) == "pack_unwritable"
    with pytest.raises(InterlockError) as caught:
        write_folder(tmp_path / "none" / "pack", FILES, force=False)
    assert code(caught) == "pack_unwritable"

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InterlockError) as caught:
        write_folder(tmp_path / "pack", FILES, force=False)
    assert code(caught) == "pack_unwritable"
    assert left(tmp_path) == []


def test_a_replacement_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "pack"
    write_folder(place, FILES, force=False)
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.name.endswith(".part"):
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(InterlockError) as caught:
        write_folder(place, {"manifest.json": b"new"}, force=True)
    assert code(caught) == "pack_unwritable"
    assert (place / "manifest.json").read_bytes() == b"{}"
    assert left(tmp_path) == ["pack"]

    monkeypatch.undo()
    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(InterlockError) as caught:
        write_folder(tmp_path / "other", FILES, force=False)
    assert code(caught) == "pack_unwritable"


@pytest.mark.parametrize(
    ("path", "sound"),
    [
        ("a", True),
        ("artifacts/a.json", True),
        ("é/ü", True),
        ("", False),
        ("/a", False),
        ("a/", False),
        ("a//b", False),
        (".", False),
        ("a/../b", False),
        ("a\\b", False),
        ("a\0b", False),
        ("x" * 256, False),
        ("é" * 128, False),
        ("/".join(["a"] * 16), True),
        ("/".join(["a"] * 17), False),
        ("/".join(["x" * 255] * 16), True),
        ("/".join(["x" * 255] * 17), False),
    ],
)
def test_paths_lead_down_in_one_spelling(path: str, sound: bool) -> None:
    assert is_path(path) is sound


def test_a_folder_that_is_none_or_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name, expected in (("none", "pack_not_found"), ("file", "pack_unreadable")):
        with pytest.raises(InterlockError) as caught:
            RunpackFolder(tmp_path / name)
        assert code(caught) == expected


def test_what_is_no_file_is_refused_and_what_is_not_there_is_missing(tmp_path: Path) -> None:
    place = tmp_path / "pack"
    write_folder(place, FILES, force=False)
    (place / "link").symlink_to("/etc/hostname")
    (place / "linked").symlink_to(place / "artifacts")
    with socket.socket(socket.AF_UNIX) as listener, RunpackFolder(place) as opened:
        listener.bind(str(place / "socket"))
        expected = {
            "none.json": "pack_member_missing",
            "none/a.json": "pack_member_missing",
            "linked/a.json": "pack_member_missing",
            "../pack/manifest.json": "pack_container_invalid",
            "artifacts": "pack_container_invalid",
            "link": "pack_unreadable",
            "socket": "pack_unreadable",
        }
        for path, want in expected.items():
            with pytest.raises(InterlockError) as caught:
                opened.read(path)
            assert code(caught) == want, path
        with pytest.raises(InterlockError) as caught:
            opened.names()
        assert code(caught) == "pack_container_invalid"


def test_files_are_bounded_in_size_and_number(tmp_path: Path) -> None:
    place = tmp_path / "pack"
    write_folder(place, FILES, force=False)
    with RunpackFolder(place) as opened:
        assert opened.read("artifacts/a.json", 1) == b"1"
        with pytest.raises(InterlockError) as caught:
            opened.read("manifest.json", 1)
        assert code(caught) == "pack_too_large"
    for number in range(2 * FILES_MAX):
        (place / f"{number}").touch()
    with RunpackFolder(place) as opened, pytest.raises(InterlockError) as caught:
        opened.names()
    assert code(caught) == "pack_too_large"


def test_a_folder_that_may_not_be_listed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "pack", FILES, force=False)
    opened_before = os.open

    def denies(path: object, *given: object, **named: object) -> int:
        if path == "artifacts":
            raise PermissionError(13, "Permission denied")
        return opened_before(path, *given, **named)  # type: ignore[arg-type]

    with RunpackFolder(tmp_path / "pack") as opened:
        monkeypatch.setattr(os, "open", denies)
        with pytest.raises(InterlockError) as caught:
            opened.names()
    assert code(caught) == "pack_unreadable"
