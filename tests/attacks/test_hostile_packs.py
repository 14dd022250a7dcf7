"""Packs, signatures and keys that somebody made to deceive, to escape or to exhaust: refused and named.

The forgeries whose digests all fit stand in `tests/unit/packs/test_verify.py`, those of single headers in
`tests/unit/packs/test_container.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from interlock import Plan, Recorder
from interlock.base.canonical import canonical
from interlock.base.errors import InterlockError
from interlock.packs import content as passes
from interlock.packs import keys
from interlock.packs.container import END, MEMBER_BYTES_MAX, header
from interlock.packs.manifest import MANIFEST_BYTES_MAX
from interlock.packs.sign import signature_of, signature_path
from interlock.packs.verify import Verdict, verify
from interlock.testing.loop import run
from tests.unit.packs.making import (
    CATALOGUE,
    codes,
    container,
    exported,
    forged,
    lines,
    lived,
    members,
    rechained,
    tiny_pack,
    unpacked,
    verdict,
    written,
)

SHARES = 8


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small signed pack."""
    folder = tmp_path_factory.mktemp("small")
    pack = tiny_pack(folder / "small.pack")
    keys.new_key(folder / "key")
    found = verdict(pack)
    assert found.manifest is not None
    assert found.digest is not None
    manifest_digest = members(pack)["manifest.sha256"][:64].decode()
    signed = signature_of(keys.private_key(folder / "key"), found.manifest.root.id, found.digest, manifest_digest)
    signature_path(pack).write_bytes(signed)
    assert verdict(pack).signature.state == "valid"
    return pack


def flipped(changed: Path, looked_at: Path, places: range) -> list[int]:
    """Flip one bit of each of these bytes of `changed`, and return those that nobody noticed."""

    async def scenario() -> list[int]:
        unnoticed = []
        original = changed.read_bytes()
        with changed.open("r+b", buffering=0) as file:
            for at in places:
                _put(file, at, original[at] ^ (1 << at % 8))
                if (await verify(looked_at, CATALOGUE)).passed:
                    unnoticed.append(at)
                _put(file, at, original[at])
        assert changed.read_bytes() == original
        return unnoticed

    return asyncio.run(scenario())


def _put(file: io.FileIO, at: int, byte: int) -> None:
    file.seek(at)
    file.write(bytes([byte]))


@pytest.mark.parametrize("share", range(SHARES))
def test_a_flip_of_any_byte_of_a_pack_is_refused(small: Path, tmp_path: Path, share: int) -> None:
    pack = tmp_path / "a.pack"
    pack.write_bytes(small.read_bytes())

    assert flipped(pack, pack, range(share, pack.stat().st_size, SHARES)) == []


def test_a_flip_of_any_byte_of_a_signature_is_refused(small: Path, tmp_path: Path) -> None:
    pack = tmp_path / "a.pack"
    pack.write_bytes(small.read_bytes())
    signature = signature_path(pack)
    signature.write_bytes(signature_path(small).read_bytes())

    assert flipped(signature, pack, range(signature.stat().st_size)) == []


@pytest.mark.parametrize("share", range(SHARES))
def test_a_flip_of_any_byte_of_an_unpacked_folder_is_refused(small: Path, tmp_path: Path, share: int) -> None:
    folder = unpacked(small, tmp_path / "out")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        assert flipped(path, folder, range(share, path.stat().st_size, SHARES)) == [], path.name


@pytest.mark.parametrize("cut", [1, 511, 512, 1024, 4096, 10_000])
def test_a_pack_that_is_cut_is_refused(small: Path, tmp_path: Path, cut: int) -> None:
    (tmp_path / "a.pack").write_bytes(small.read_bytes()[:-cut])

    assert codes(tmp_path / "a.pack") == {"pack_container_invalid"}


@pytest.mark.parametrize("more", [b"\0", bytes(512), bytes(1024), b"PK\5\6" + bytes(18)])
def test_nothing_hides_behind_a_pack(small: Path, tmp_path: Path, more: bytes) -> None:
    (tmp_path / "a.pack").write_bytes(small.read_bytes() + more)

    assert codes(tmp_path / "a.pack") == {"pack_container_invalid"}


def named(found: Verdict) -> set[tuple[str, str | None]]:
    return {(error.code, error.member) for error in found.errors}


def test_a_missing_member_and_an_extra_one_are_named(small: Path, tmp_path: Path) -> None:
    given = members(small)
    view = next(name for name in given if name.endswith("graph.svg"))
    artifact = next(name for name in given if name.startswith("artifacts/"))
    for gone in (view, artifact):
        path = tmp_path / "a.pack"
        path.write_bytes(written({name: each for name, each in given.items() if name != gone}))
        assert {member for _, member in named(verdict(path))} >= {gone}
    (tmp_path / "b.pack").write_bytes(written(given | {"views/stray": b""}))
    assert ("pack_member_extra", "views/stray") in named(verdict(tmp_path / "b.pack"))


def test_swapped_members_are_named(small: Path, tmp_path: Path) -> None:
    given = members(small)
    one, other = [name for name in given if name.endswith((".mmd", ".svg"))]
    given[one], given[other] = given[other], given[one]
    (tmp_path / "a.pack").write_bytes(written(given))

    assert {("pack_member_wrong", one), ("pack_member_wrong", other)} <= named(verdict(tmp_path / "a.pack"))


def test_members_in_another_order_are_refused(small: Path, tmp_path: Path) -> None:
    first, *middle, last = members(small).items()
    for order in ([first, *reversed(middle), last], [*middle, first, last], [first, last, *middle], [first, first]):
        (tmp_path / "a.pack").write_bytes(container(iter(order)))
        assert codes(tmp_path / "a.pack") & {"pack_container_invalid", "pack_manifest_invalid"}


ESCAPES = ["../evil", "/evil", "a/../../evil", "a\\..\\evil", "streams/./x", "EVIL", "é", "a//b", ".hidden"]


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_that_leads_elsewhere_is_refused_and_reaches_nothing(small: Path, tmp_path: Path, name: str) -> None:
    odd = tarfile.TarInfo(name)
    first, *rest = members(small).items()
    content = container(iter([first]))[: -len(END)] + odd.tobuf(tarfile.USTAR_FORMAT, "utf-8") + container(iter(rest))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.pack").write_bytes(content)

    assert codes(tmp_path / "in" / "a.pack") == {"pack_container_invalid"}
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.pack", "in"]


def test_other_archives_are_refused(small: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, content in members(small).items():
            archive.writestr(name, content)
    for mode in ("w:gz", "w:xz", "w:bz2"):
        with tarfile.open(tmp_path / f"a.{mode[2:]}", mode) as packed:
            packed.add(small, "manifest.json")
    for path in tmp_path.glob("a.*"):
        assert codes(path) == {"pack_container_invalid"}, path.name


def test_a_pack_that_claims_to_be_huge_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.pack"
    path.write_bytes(header("manifest.json", MEMBER_BYTES_MAX))
    assert codes(path) == {"pack_container_invalid"}

    with path.open("wb") as file:  # a sparse file: it has the size that it claims, and takes no room
        file.write(header("manifest.json", MANIFEST_BYTES_MAX + 1))
        file.truncate(MANIFEST_BYTES_MAX + 4096)
    assert codes(path) == {"pack_too_large"}


def test_a_manifest_cannot_name_more_streams_than_the_pack_has_members(small: Path, tmp_path: Path) -> None:
    given = members(small)
    given["manifest.json"] = given["manifest.json"].replace(b'"streams":[', b'"streams":[' + b"{}," * 100_000)
    (tmp_path / "a.pack").write_bytes(written(given))

    assert codes(tmp_path / "a.pack") == {"pack_manifest_invalid"}


def test_a_pack_of_more_members_than_any_has_is_refused(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from interlock.packs import container as archive
    from interlock.packs import folder

    monkeypatch.setattr(archive, "MEMBERS_MAX", 5)
    monkeypatch.setattr(folder, "MEMBERS_MAX", 5)

    assert codes(small) == {"pack_too_large"}
    assert codes(unpacked(small, tmp_path / "out")) == {"pack_too_large"}


def test_a_line_without_an_end_is_not_read_into_memory(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from interlock.packs import store

    monkeypatch.setattr(store, "LINE_BYTES_MAX", 4_000)
    monkeypatch.setattr(store, "_CHUNK", 1_000)
    asked: list[int] = []
    original = passes.Content.read

    def read(self: passes.Content, name: str, at: int, size: int) -> bytes:
        asked.append(at)
        return original(self, name, at, size)

    monkeypatch.setattr(passes.Content, "read", read)
    pack = forged(small, tmp_path / "a.pack", lambda given, _: given.update({"streams/000001.events": b"x" * 100_000}))

    assert codes(pack) == {"event_corrupt"}
    assert max(asked) < 10_000


def links(folder: Path) -> None:
    secret = folder.parent / "secret"
    secret.write_bytes((folder / "manifest.sha256").read_bytes())
    (folder / "manifest.sha256").unlink()
    (folder / "manifest.sha256").symlink_to(secret)


def folder_links(folder: Path) -> None:
    (folder / "views").rename(folder.parent / "views")
    (folder / "views").symlink_to(folder.parent / "views")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "views" / "pipe")


def empty_folder(folder: Path) -> None:
    (folder / "views" / "empty").mkdir()


def hidden_file(folder: Path) -> None:
    (folder / ".hidden").write_bytes(b"")


def odd_name(folder: Path) -> None:
    (folder / "views" / "A B").write_bytes(b"")


def undecodable_name(folder: Path) -> None:
    (folder / os.fsdecode(b"\xff")).write_bytes(b"")


@pytest.mark.parametrize(
    "damage",
    [links, folder_links, pipe, empty_folder, hidden_file, odd_name, undecodable_name],
    ids=lambda d: d.__name__,
)
def test_a_folder_holds_nothing_that_the_container_did_not(small: Path, tmp_path: Path, damage: object) -> None:
    folder = unpacked(small, tmp_path / "out")
    assert verdict(folder).passed
    damage(folder)  # type: ignore[operator]

    assert codes(folder) == {"pack_container_invalid"}


def test_a_signature_of_another_pack_is_refused(small: Path, tmp_path: Path) -> None:
    other = tiny_pack(tmp_path / "other.pack", contract=True)
    signature_path(other).write_bytes(signature_path(small).read_bytes())

    found = verdict(other)
    assert named(found) == {("pack_signature_invalid", "other.pack.sig")}
    assert found.signature.state == "invalid"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"null",
        b"[" * 50_000,
        b"\xff\xfe",
        b"x" * 70_000,
        b'{"payload":"","payloadType":"application/vnd.in-toto+json","signatures":[]}',
        b'{"payload":"","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"ed25519:'
        + b"0" * 64
        + b'","sig":""}]}',
    ],
)
def test_what_is_no_signature_is_refused(small: Path, tmp_path: Path, content: bytes) -> None:
    pack = tmp_path / "a.pack"
    pack.write_bytes(small.read_bytes())
    signature_path(pack).write_bytes(content)

    assert codes(pack) == {"pack_signature_invalid"}
    assert "pack_signature_invalid" in codes(pack, trusted=[])


def test_the_key_of_all_zeros_under_which_anything_verifies_signs_nothing(small: Path, tmp_path: Path) -> None:
    """A key of small order: some libraries take one signature by it for every message."""
    pack = tmp_path / "a.pack"
    pack.write_bytes(small.read_bytes())
    envelope = json.loads(signature_path(small).read_bytes())
    for key, signature in (("0" * 64, "A" * 86 + "=="), ("01" + "0" * 62, "AQ" + "A" * 84 + "==")):
        envelope["signatures"] = [{"keyid": f"ed25519:{key}", "sig": signature}]
        signature_path(pack).write_bytes(json.dumps(envelope, separators=(",", ":")).encode())
        found = verdict(pack)
        assert named(found) == {("pack_signature_invalid", "a.pack.sig")}
        with pytest.raises(InterlockError, match="key_invalid"):
            keys.trusted_keys(f"ed25519:{key}")


@pytest.mark.parametrize("link", [True, False])
def test_a_signature_is_a_regular_file(small: Path, tmp_path: Path, link: bool) -> None:
    pack = tmp_path / "a.pack"
    pack.write_bytes(small.read_bytes())
    if link:
        signature_path(pack).symlink_to(tmp_path / "nowhere")
    else:
        os.mkfifo(signature_path(pack))
    assert codes(pack) == {"pack_signature_invalid"}


def telling(out: Path) -> Path:
    """The pack of a run that put something of its own on record."""

    def plan() -> Plan:
        made = Plan("tells")

        @made.state
        async def tell(rec: Recorder) -> str:
            await rec.emit("heard", {"word": "told"})
            return "done"

        return made

    async def scenario() -> None:
        await exported(await lived(plan, {}), out)

    run(scenario())
    return out


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 5_000 + b"]" * 5_000,
        b"[" * 200_000 + b"]" * 200_000,
        b"1e999",
        b'"\\ud800"',
        b"9" * 5_000,
        b'{"a":1,"a":2}',
        b"NaN",
        b"",
        b'"\xff"',
        b"-",
    ],
    ids=["deep", "deeper", "infinite", "surrogate", "huge", "twice", "no number", "nothing", "no text", "no JSON"],
)
def test_data_that_no_version_wrote_is_refused_and_breaks_nothing(payload: bytes, tmp_path: Path) -> None:
    """The chain fits, so that the data reaches every reader of it."""

    def change(given: dict[str, bytes], manifest: dict[str, Any]) -> None:
        events = lines(given["streams/000001.events"])
        [event] = [event for event in events if b'"word":"told"' in event[1]]
        event[1] = event[1].replace(b'{"word":"told"}', payload)
        given["streams/000001.events"], manifest["streams"][0]["head"] = rechained(events)

    found = verdict(forged(telling(tmp_path / "a.pack"), tmp_path / "b.pack", change))
    assert not found.passed
    assert found.errors[0].code != "pack_member_wrong"


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"[" * 100_000, b"\xff", b'{"edges":[],"states":[[1]]}', b"null"],
    ids=["nothing", "a list", "deep", "no text", "half", "null"],
)
@pytest.mark.parametrize("member", ["fingerprint", "manifest_id", "initial_snapshot_id"])
def test_an_artifact_that_no_version_wrote_is_refused_and_breaks_nothing(
    member: str, content: bytes, tmp_path: Path
) -> None:
    def change(given: dict[str, bytes], manifest: dict[str, Any]) -> None:
        artifact = hashlib.sha256(content).hexdigest()
        given[f"artifacts/{artifact}"] = content
        events = lines(given["streams/000001.events"])
        for event in events:
            data = json.loads(event[1])
            if member in data:
                event[1] = canonical({**data, member: artifact})
        given["streams/000001.events"], manifest["streams"][0]["head"] = rechained(events)

    found = verdict(forged(telling(tmp_path / "a.pack"), tmp_path / "b.pack", change))
    assert not found.passed
