"""Artifacts in files: durable under their names, verified when read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.journal.ports import Blob
from interlock.stores.files import ArtifactFiles, FileArtifacts
from interlock.testing.contracts.harness import blob, refusal

MISSING = "0" * 64


class Crash(Exception):
    """The process ends here."""


def stored(folder: Path, *contents: bytes) -> list[str]:
    return asyncio.run(FileArtifacts(folder).put([blob(each) for each in contents]))


def test_what_was_put_is_found_verified_and_listed_in_order(tmp_path: Path) -> None:
    contents = [b"%d" % n for n in range(20)]
    ids = stored(tmp_path / "files", *contents, contents[0])

    async def main() -> None:
        artifacts = FileArtifacts(tmp_path / "files")
        assert await artifacts.get(ids) == [*contents, contents[0]]
        assert await artifacts.exists([ids[3], MISSING]) == [True, False]
        pages, after = [], ""
        while page := await artifacts.scan(after, 6):
            pages.append(page)
            after = page[-1]
        assert [each for page in pages for each in page] == sorted(set(ids))
        assert [len(page) for page in pages] == [6, 6, 6, 2]

    asyncio.run(main())


def test_where_nothing_was_put_nothing_is_found(tmp_path: Path) -> None:
    async def main() -> None:
        artifacts = FileArtifacts(tmp_path / "files")
        assert await artifacts.scan("", 10) == []
        assert await artifacts.exists([MISSING]) == [False]
        assert (await refusal(artifacts.get([MISSING]))).code == "artifact_not_found"

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_not_the_digest_is_refused_with_its_whole_batch(tmp_path: Path) -> None:
    async def main() -> None:
        artifacts = FileArtifacts(tmp_path)
        wrong = Blob(blob(b"other").id, "file", b"wrong")
        assert (await refusal(artifacts.put([blob(b"good"), wrong]))).code == "artifact_id_mismatch"
        assert await artifacts.scan("", 10) == []

    asyncio.run(main())


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "ab", "A" * 64, "ab/../" + "c" * 58, ""])
def test_what_is_no_digest_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    files = ArtifactFiles(tmp_path)

    with pytest.raises(InterlockError) as caught:
        files.write(Blob(name, "file", b"x"))

    assert caught.value.code == "id_invalid"
    assert not files.exists(name)
    with pytest.raises(InterlockError) as caught:
        files.read(name)
    assert caught.value.code == "artifact_not_found"


@pytest.mark.parametrize("damage", [b"", b"contents", b"contentt", b"content "])
def test_damaged_bytes_are_never_given_out(tmp_path: Path, damage: bytes) -> None:
    [identity] = stored(tmp_path, b"content")
    ArtifactFiles(tmp_path).path(identity).write_bytes(damage)

    with pytest.raises(InterlockError) as caught:
        ArtifactFiles(tmp_path).read(identity)

    assert caught.value.code == "artifact_corrupt"


def test_a_file_of_the_wrong_size_is_written_anew(tmp_path: Path) -> None:
    [identity] = stored(tmp_path, b"content")
    ArtifactFiles(tmp_path).path(identity).write_bytes(b"con")

    stored(tmp_path, b"content")

    assert ArtifactFiles(tmp_path).read(identity) == b"content"


def test_a_write_that_ends_before_the_rename_leaves_no_name(tmp_path: Path) -> None:
    def crash(point: str) -> None:
        if point == "artifact:before_rename":
            raise Crash

    files = ArtifactFiles(tmp_path, crash)

    with pytest.raises(Crash):
        files.write(blob(b"content"))

    assert not files.exists(blob(b"content").id)
    assert list(files.since("")) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_made_is_an_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("a file stands in the way")

    with pytest.raises(InterlockError) as caught:
        ArtifactFiles(tmp_path / "files").write(blob(b"content"))

    assert caught.value.code == "store_unwritable"
