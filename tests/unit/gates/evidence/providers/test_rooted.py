"""Files under one folder: what is opened is what was checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.gates.evidence.providers.rooted import FileFault, read_file, real_path


def test_a_link_that_is_put_in_place_after_the_check_is_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "folder").mkdir(parents=True)
    outside.mkdir()
    (root / "folder" / "file.json").write_text("1")
    (outside / "file.json").write_text("2")
    checked = real_path(str(root), "folder/file.json")
    assert read_file(str(root), checked, 10).content == b"1"

    (root / "folder").rename(root / "other")
    (root / "folder").symlink_to(outside)

    with pytest.raises(FileFault) as caught:
        read_file(str(root), checked, 10)
    assert caught.value.code == "file_open_failed"


def test_a_file_that_becomes_a_link_after_the_check_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "file.json").write_text("1")
    (tmp_path / "secret").write_text("2")
    checked = real_path(str(root), "file.json")

    (root / "file.json").unlink()
    (root / "file.json").symlink_to(tmp_path / "secret")

    with pytest.raises(FileFault) as caught:
        read_file(str(root), checked, 10)
    assert caught.value.code == "file_open_failed"


def test_nothing_stays_open(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("12345678901")
    before = len(list(Path("/proc/self/fd").iterdir()))

    for path in ("a/b/file", "a/b", "a/none", "."):
        with pytest.raises(FileFault):
            read_file(str(tmp_path), path, 10)

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_that_breaks_off_while_it_is_read_is_a_fault() -> None:
    with pytest.raises(FileFault) as caught:
        read_file("/proc/self", "mem", 10)

    assert caught.value.code == "file_read_failed"


NAMES = st.sampled_from(["a", "b", "up", "self", "out", "abs", "..", ".", "file", "loop"])


@settings(max_examples=300)
@given(st.lists(NAMES, min_size=1, max_size=6))
def test_what_is_read_is_under_the_folder_whatever_links_there_are(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    base = tmp_path_factory.getbasetemp() / "law"
    root = base / "root"
    if not root.exists():
        (root / "a" / "b").mkdir(parents=True)
        for place in (base / "file", root / "file", root / "a" / "file", root / "a" / "b" / "file"):
            place.write_text("inside" if place.is_relative_to(root) else "outside")
        (root / "up").symlink_to("..")
        (root / "a" / "self").symlink_to(".")
        (root / "a" / "up").symlink_to("../a")
        (root / "out").symlink_to(base / "file")
        (root / "abs").symlink_to(root / "a")
        (root / "loop").symlink_to("loop")
    try:
        found = read_file(str(root), real_path(str(root), "/".join(parts)), 100)
    except FileFault as fault:
        assert fault.code in {"file_not_found", "path_invalid", "path_outside_root", "file_open_failed"}
    else:
        assert found.content == b"inside"
