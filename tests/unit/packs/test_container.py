"""The container: ordinary tools unpack it, and nothing but its one spelling is read."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.packs.container import (
    BLOCK,
    END,
    MEMBER_BYTES_MAX,
    FileSource,
    Source,
    header,
    is_name,
    order,
    padding,
)
from interlock.packs.folder import FolderSource
from tests.unit.packs.making import container

THREE = [("manifest.json", b"{}"), ("a/b", b"x" * 600), ("manifest.sha256", b"seal")]


def walked(source: Source) -> list[tuple[str, bytes]]:
    try:
        return [(member.name, b"".join(member.chunks)) for member in source.walk()]
    finally:
        source.close()


def read(folder: Path, content: bytes) -> list[tuple[str, bytes]]:
    path = folder / "a.pack"
    path.write_bytes(content)
    return walked(FileSource(path))


def refusal(folder: Path, content: bytes) -> str:
    with pytest.raises(InterlockError) as fault:
        read(folder, content)
    return fault.value.code


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, container(iter(THREE))) == THREE


def test_a_header_has_fixed_fields_and_the_sum_that_archives_want() -> None:
    block = header("a/b", 0o1234)

    assert len(block) == BLOCK
    assert block[100:108] == b"0000644\0"
    assert block[108:124] == b"0000000\x000000000\0"
    assert block[124:148] == b"00000001234\x0000000000000\0"
    assert block[156:157] == b"0"
    assert block[257:265] == b"ustar\x0000"
    assert block[148:156] == b"%06o\0 " % (sum(block) - sum(block[148:156]) + 8 * 32)


def test_archive_readers_take_every_field_as_it_is_meant(tmp_path: Path) -> None:
    (tmp_path / "a.pack").write_bytes(container(iter(THREE)))

    with tarfile.open(tmp_path / "a.pack", "r:") as archive:
        found = archive.getmembers()

    assert [(each.name, each.size) for each in found] == [(name, len(content)) for name, content in THREE]
    assert {(each.mode, each.uid, each.gid, each.mtime, each.type) for each in found} == {
        (0o644, 0, 0, 0, tarfile.REGTYPE)
    }


def test_tar_unpacks_it_without_a_word(tmp_path: Path) -> None:
    program = shutil.which("tar")
    assert program is not None
    (tmp_path / "a.pack").write_bytes(container(iter(THREE)))
    (tmp_path / "out").mkdir()

    done = subprocess.run([program, "-xf", "../a.pack"], cwd=tmp_path / "out", capture_output=True, check=True)

    assert (done.stdout, done.stderr) == (b"", b"")
    assert walked(FolderSource(tmp_path / "out")) == THREE


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        "/a",
        "a/",
        "a//b",
        ".a",
        "-a",
        "A",
        "a\\b",
        "a b",
        "a\n",
        "a\0b",
        "ä",
        "con:",
        "a" * 101,
        "/".join("abcdefghi"),
    ],
)
def test_a_member_is_never_called_so(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ValueError, match="no name of a member"):
        header(name, 0)


def test_the_manifest_is_first_its_seal_last_and_names_rise_between() -> None:
    names = ["manifest.sha256", "views/a", "artifacts/0", "zz", "manifest.json", "aa"]

    assert sorted(names, key=order) == ["manifest.json", "aa", "artifacts/0", "views/a", "zz", "manifest.sha256"]


def test_a_size_that_the_field_cannot_hold_is_refused() -> None:
    assert header("a", MEMBER_BYTES_MAX)[124:136] == b"77777777777\0"
    with pytest.raises(InterlockError, match="pack_too_large"):
        header("a", MEMBER_BYTES_MAX + 1)


SOUND = container(iter(THREE))
FIRST = header("manifest.json", 2) + b"{}" + padding(2)


def changed(at: int, new: bytes) -> bytes:
    return SOUND[:at] + new + SOUND[at + len(new) :]


@pytest.mark.parametrize(
    ("what", "content"),
    [
        ("empty", b""),
        ("one byte", b"\0"),
        ("no end", SOUND[: -len(END)]),
        ("half an end", SOUND[:-BLOCK]),
        ("an end and a byte less", SOUND[:-1]),
        ("one byte behind", SOUND + b"\0"),
        ("a record behind, as tar pads", SOUND + bytes(10240 - len(SOUND) % 10240)),
        ("another archive behind", SOUND + SOUND),
        ("cut in a member", SOUND[: len(FIRST) + BLOCK + 100]),
        ("cut in a header", SOUND[: len(FIRST) + 100]),
        ("a member twice", FIRST + FIRST + END),
        ("the manifest behind", container(iter(THREE[1:] + THREE[:1]))),
        ("the seal before", container(iter([THREE[0], THREE[2], THREE[1]]))),
        ("falling names", container(iter([THREE[0], ("b", b""), ("a", b"")]))),
        ("padding that is not zero", changed(len(FIRST) - 1, b"x")),
        ("another mode", changed(100, b"0000755\0")),
        ("another owner", changed(108, b"0000001\0")),
        ("a time", changed(136, b"00000000001\0")),
        ("a name of an owner", changed(265, b"root")),
        ("a prefix", changed(345, b"x")),
        ("a link name", changed(157, b"/etc/passwd")),
        ("GNU's magic", changed(257, b"ustar  \0")),
        ("a size in base 256", changed(124, b"\x80" + bytes(10) + b"\x02")),
        ("a size with blanks", changed(124, b"         2 \0")),
        ("something behind the end of a name", changed(50, b"x")),
    ],
)
def test_anything_else_is_refused(what: str, content: bytes, tmp_path: Path) -> None:
    assert refusal(tmp_path, content) == "pack_container_invalid", what


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, b"\0"],
)
def test_a_member_is_a_regular_file(kind: bytes, tmp_path: Path) -> None:
    odd = tarfile.TarInfo("a/b")
    odd.type, odd.linkname = kind, "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""

    assert refusal(tmp_path, FIRST + odd.tobuf(tarfile.USTAR_FORMAT) + END) == "pack_container_invalid"


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_what_other_writers_make_is_no_pack(form: int, tmp_path: Path) -> None:
    path = tmp_path / "other.tar"
    with tarfile.open(path, "w", format=form) as archive:
        for name, content in THREE:
            (tmp_path / "x").write_bytes(content)
            archive.add(tmp_path / "x", name)

    assert refusal(tmp_path, path.read_bytes()) == "pack_container_invalid"


@pytest.mark.parametrize("extension", [b"x", b"g", b"L", b"K", b"S", b"V", b"D", b"M"])
def test_no_extension_of_the_format_is_read(extension: bytes, tmp_path: Path) -> None:
    block = bytearray(header("a/b", 0))
    block[156:157] = extension
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))

    assert refusal(tmp_path, FIRST + bytes(block) + END) == "pack_container_invalid"


def test_a_size_that_lies_takes_no_memory(tmp_path: Path) -> None:
    assert refusal(tmp_path, header("manifest.json", MEMBER_BYTES_MAX) + b"{}") == "pack_container_invalid"


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InterlockError, match="not a regular file"):
            FileSource(path)
    with pytest.raises(InterlockError, match="pack_not_found"):
        FileSource(tmp_path / "none")
