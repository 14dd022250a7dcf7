"""Examining artifacts: bytes against ids, what events name, and the nodes of maps."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Struct

from interlock.base.canonical import canonical, digest
from interlock.base.ids import ArtifactId, Digest
from interlock.engine import events as engine
from interlock.journal.ports import Blob
from interlock.journal.verify import named_artifacts
from interlock.journal.verify.artifacts import NamedArtifacts, Recent
from interlock.journal.verify.report import Examination
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import run
from tests.unit.journal.bank import Deposited, Filed, Page, flipped, open_journal, recorded, write
from tests.unit.journal.vault import (
    DOCUMENT,
    LARGE_VALUE,
    LOOSE,
    MAP,
    MAP_BLOBS,
    NODES,
    SCAN,
    A,
    C,
    examined,
    filled,
    findings,
)

pytestmark = pytest.mark.unproved("every test damages its store, to see the damage named")

ID = "a" * 64


@pytest.mark.parametrize("artifact", [DOCUMENT.id, SCAN.id, LOOSE.id, MAP.root_id, NODES[0], digest(LARGE_VALUE)])
def test_damaged_bytes_of_any_artifact_are_named_by_its_id(artifact: str) -> None:
    async def main() -> None:
        store, journal = await filled()
        blobs = store._handle.data.blobs
        content = blobs.get(artifact)
        assert content is not None
        blobs.put(artifact, flipped(content, len(content) // 2))
        assert await findings(journal) == [("artifact_corrupt", artifact)]

    run(main())


@pytest.mark.parametrize(
    ("artifact", "member"),
    [
        (DOCUMENT.id, "document_id"),
        (SCAN.id, "scan_id"),
        (MAP.root_id, "terms_snapshot_id"),
        (NODES[0], "terms_snapshot_id, in its map"),
        (digest(LARGE_VALUE), "terms_snapshot_id, in its map"),
    ],
)
def test_a_missing_artifact_is_named_with_the_event_that_names_it(artifact: str, member: str) -> None:
    async def main() -> None:
        store, journal = await filled()
        store._handle.data.blobs.drop(artifact)
        [finding] = (await examined(journal)).findings
        assert (finding.kind, finding.place) == ("artifact_not_found", artifact)
        assert finding.message.endswith(f"event {A}#5 names it as {member}")

    run(main())


def test_a_missing_artifact_that_nobody_names_is_no_damage() -> None:
    async def main() -> None:
        store, journal = await filled()
        store._handle.data.blobs.drop(LOOSE.id)
        assert await findings(journal) == []

    run(main())


@pytest.mark.parametrize(
    "content", [b"", b"text", b"[]", b'{"key":["v", 1]}', b'{"key":["x",1]}', b'{"g":["n","' + b"0" * 64 + b'"]}']
)
def test_an_artifact_that_is_no_node_where_a_map_is_named_is_a_finding(content: bytes) -> None:
    async def main() -> None:
        _, journal = await filled()
        root = digest(content)
        await write(journal, C, Filed(DOCUMENT.id, (), root), blobs=[Blob(root, "map", content)])
        assert await findings(journal) == [("map_node_corrupt", root)]

    run(main())


def test_an_artifact_that_only_looks_like_a_map_is_none() -> None:
    async def main() -> None:
        _, journal = await filled()
        content = canonical({"key": ["a", "0" * 64]})
        blob = Blob(digest(content), "file", content)
        await write(journal, C, Filed(blob.id, (), None), blobs=[blob])
        assert await findings(journal) == []

    run(main())


# What a record names


class Nested(Struct, frozen=True):
    ids: list[ArtifactId]
    other: Page | None
    pair: tuple[str, ArtifactId] | None = None


class Naming(Struct, frozen=True):
    a_digest: Digest
    maybe: ArtifactId | None
    nested: tuple[Nested, ...]
    text: str


@pytest.mark.parametrize(
    ("record", "names"),
    [
        (engine.RunStarted("1" * 64, "2" * 64, "op"), [("initial_snapshot_id", "1"), ("manifest_id", "2")]),
        (engine.StateEntered(0, "1" * 64, "m.s.l"), [("base_snapshot_id", "1")]),
        (engine.StateCompleted("1" * 64, "m.s.l"), [("context_snapshot_id", "1")]),
        (engine.RunCompleted("1" * 64, engine.RunStatus.COMPLETED), [("final_snapshot_id", "1")]),
        (engine.RunCompleted(None, engine.RunStatus.FAILED), []),
        (engine.FactRecorded("k", "json", "1" * 64, "2" * 64), [("payload_id", "1")]),
        (engine.DomainEmitted("n", msgspec.Raw(b"null"), "1" * 64), [("payload_ref", "1")]),
        (engine.ArtifactWritten("1" * 64, "file", msgspec.Raw(b"{}")), [("artifact_id", "1")]),
        (Filed("1" * 64, (Page(1, "2" * 64),), None), [("document_id", "1"), ("scan_id", "2")]),
        (
            Naming("0" * 64, "1" * 64, (Nested(["2" * 64], None), Nested([], Page(1, "3" * 64), (ID, "4" * 64))), ID),
            [("maybe", "1"), ("ids", "2"), ("scan_id", "3"), ("pair", "4")],
        ),
        (Deposited(1), []),
    ],
)
def test_a_record_names_artifacts_by_the_types_of_its_members(record: Struct, names: list[tuple[str, str]]) -> None:
    assert named_artifacts(record) == [(member, digit * 64) for member, digit in names]


# Cost


class CountedArtifacts:
    """Artifacts that count how often they are asked."""

    def __init__(self, store: MemoryStore) -> None:
        self._artifacts = store.artifacts
        self.got: list[str] = []
        self.asked: list[str] = []

    async def get(self, ids: list[str]) -> list[bytes]:
        self.got += ids
        return await self._artifacts.get(ids)

    async def exists(self, ids: list[str]) -> list[bool]:
        self.asked += ids
        return await self._artifacts.exists(ids)


@pytest.mark.parametrize("recent_max", [200_000, 3])
def test_what_maps_share_is_read_once_as_long_as_it_is_remembered(recent_max: int) -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        blobs = [Blob(identity, "map", content) for identity, content in MAP_BLOBS]
        changed = MAP
        for number in range(20):
            await write(journal, A, Filed(DOCUMENT.id, (), changed.root_id), blobs=[*blobs, DOCUMENT])
            changed, more = changed.update({"key 7": b'"%d"' % number})
            blobs = [Blob(identity, "map", content) for identity, content in more]
        counted = CountedArtifacts(store)
        store.artifacts = counted  # type: ignore[assignment]
        examination = Examination(journal)

        await NamedArtifacts(examination, recent_max).check(await recorded(journal, A))

        assert examination.report().findings == []
        if recent_max > 100:
            assert len(counted.got) == len(set(counted.got)) == 1 + len(NODES) + 19 * 2
            assert len(counted.asked) == len(set(counted.asked))
        else:
            assert len(counted.got) > len(set(counted.got))

    run(main())


def test_a_set_that_forgets_is_bounded_and_knows_what_came_lately() -> None:
    recent = Recent(3)
    assert [recent.add(item) for item in "abcabc"] == [True, True, True, False, False, False]
    assert [recent.add(item) for item in "dabc"] == [True, False, False, True]
    for number in range(100):
        recent.add(str(number))
        assert len(recent._young) + len(recent._old) <= 6
    assert recent.add("a")
