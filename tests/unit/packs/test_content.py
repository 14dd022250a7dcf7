"""The pass over a container: what is wrong with a member is named, and bounds hold before anything is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from interlock.packs import content as passes
from interlock.packs import survey
from interlock.packs.content import ArtifactPlaces, ContainerCheck, Place
from interlock.packs.report import Errors
from tests.unit.packs.making import codes, family_pack, members, tiny_pack, unpacked, verdict, written


def test_places_of_artifacts_are_found_by_id() -> None:
    places = ArtifactPlaces()
    for number in (3, 7, 9):
        places.add(bytes([number]) * 32, number, number + 1)

    assert places.find("07" * 32) == Place(7, 8)
    assert [places.find(f"{number:02x}" * 32) for number in (0, 4, 255)] == [None] * 3


@pytest.mark.parametrize("name", ["artifacts/short", "artifacts/" + "g" * 64, "artifacts/" + "0" * 64 + "/x"])
def test_an_artifact_is_called_by_a_digest(name: str, tmp_path: Path) -> None:
    given = members(tiny_pack(tmp_path / "a.pack"))
    (tmp_path / "b.pack").write_bytes(written(given | {name: b""}))

    assert codes(tmp_path / "b.pack") == {"pack_container_invalid"}


@pytest.mark.parametrize("seal", [b"", b"0" * 80])
def test_another_seal_is_refused(seal: bytes, tmp_path: Path) -> None:
    given = members(tiny_pack(tmp_path / "a.pack")) | {"manifest.sha256": seal}
    (tmp_path / "b.pack").write_bytes(written(given, sealed=False))

    assert codes(tmp_path / "b.pack") == {"pack_container_invalid"}


def test_an_artifact_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "ARTIFACT_BYTES_MAX", 10)

    assert codes(tiny_pack(tmp_path / "a.pack")) == {"pack_too_large"}


def test_streams_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = family_pack(tmp_path / "a.pack", "yes")
    monkeypatch.setattr(survey, "STREAMS_MAX", 2)

    assert "pack_too_large" in codes(pack)


def test_a_reader_that_breaks_is_an_error_and_no_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_given: object) -> None:
        raise KeyError("x")

    pack = tiny_pack(tmp_path / "a.pack")
    monkeypatch.setattr(survey, "timeline_line", broken)

    assert codes(pack) == {"pack_content_invalid"}


def test_progress_is_told_now_and_then(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    given = members(tiny_pack(tmp_path / "a.pack")) | {"views/large": bytes(1 << 25)}
    (tmp_path / "b.pack").write_bytes(written(given))

    source = passes.opened(tmp_path / "b.pack")
    ContainerCheck(source, Errors(), lambda *each: told.append(each)).run()
    source.close()
    assert told == [("MiB", 32, None)]


@pytest.mark.parametrize("longer", [True, False])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, *, longer: bool) -> None:
    folder = unpacked(tiny_pack(tmp_path / "a.pack"), tmp_path / "out")
    source = passes.opened(folder)
    walked = source.walk()
    first = next(walked)
    path = folder / first.name
    os.truncate(path, first.size + (5 if longer else -5))

    with pytest.raises(Exception, match="pack_container_invalid"):
        list(first.chunks)
    walked.close()  # type: ignore[attr-defined]
    source.close()
    assert not verdict(folder).passed
