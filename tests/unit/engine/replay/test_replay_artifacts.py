"""What a replay reads of artifacts: ahead, in batches that fit, and never more than it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from interlock.base.canonical import digest
from interlock.base.errors import Corruption, StorageFailure
from interlock.engine.replay import artifacts as replay_artifacts
from interlock.engine.replay.artifacts import BATCH_ARTIFACTS_MAX, RecordedArtifacts
from interlock.journal.ports import Artifacts, Blob
from interlock.stores.memory import MemoryStore


class Counted:
    """Artifacts that note what was asked for at once."""

    def __init__(self, inner: Artifacts) -> None:
        self._inner = inner
        self.batches: list[int] = []

    async def get(self, ids: Sequence[str]) -> list[bytes]:
        self.batches.append(len(ids))
        return await self._inner.get(ids)

    async def put(self, blobs: Sequence[Blob]) -> list[str]:
        return await self._inner.put(blobs)

    async def exists(self, ids: Sequence[str]) -> list[bool]:
        return await self._inner.exists(ids)

    async def scan(self, after: str, limit: int) -> list[str]:
        return await self._inner.scan(after, limit)


async def stored(*contents: bytes) -> tuple[Counted, RecordedArtifacts, list[str]]:
    counted = Counted(MemoryStore().artifacts)
    blobs = [Blob(digest(content), "Output", content) for content in contents]
    return counted, RecordedArtifacts(counted), await counted.put(blobs)


def test_what_will_be_asked_for_is_read_with_what_is_asked_for() -> None:
    async def scenario() -> None:
        contents = [f"{number}".encode() for number in range(200)]
        counted, artifacts, ids = await stored(*contents)
        for each in ids:
            artifacts.expect(each)
        read = [(await artifacts.get([each]))[0] for each in ids]

        assert read == contents
        assert counted.batches == [BATCH_ARTIFACTS_MAX] * 3 + [200 - 3 * BATCH_ARTIFACTS_MAX]

    asyncio.run(scenario())


def test_large_artifacts_are_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_artifacts, "BATCH_BYTES", 1_000)

    async def scenario() -> None:
        counted, artifacts, ids = await stored(*(bytes([number]) * 2_000 for number in range(70)))
        for each in ids:
            artifacts.expect(each)
        for each in ids:
            await artifacts.get([each])

        assert counted.batches == [BATCH_ARTIFACTS_MAX] + [1] * 6

    asyncio.run(scenario())


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_artifacts, "KEPT_BYTES_MAX", 5_000)

    async def scenario() -> None:
        counted, artifacts, ids = await stored(*(bytes([number]) * 2_000 for number in range(4)))
        for each in [*ids, ids[3], ids[0]]:
            assert len((await artifacts.get([each]))[0]) == 2_000

        assert len(counted.batches) == 5  # the last one was kept, the first one was not

    asyncio.run(scenario())


def test_damage_of_what_is_only_read_ahead_hurts_nobody() -> None:
    async def scenario() -> None:
        _, artifacts, ids = await stored(b"asked for")
        artifacts.expect(digest(b"never stored"))

        assert await artifacts.get(ids) == [b"asked for"]
        assert artifacts.damage is None
        with pytest.raises(Corruption):
            await artifacts.get([digest(b"never stored")])
        assert artifacts.damage is not None

    asyncio.run(scenario())


def test_nothing_can_be_put() -> None:
    async def scenario() -> None:
        _, artifacts, _ = await stored()
        with pytest.raises(StorageFailure):
            await artifacts.put([Blob(digest(b"new"), "Output", b"new")])

    asyncio.run(scenario())
