"""A pack as a store: whatever reads runs reads them from it, and nothing writes to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from interlock.base.clock import SystemClock, SystemEntropy
from interlock.base.errors import InterlockError
from interlock.engine.fold import RUN_FOLD
from interlock.journal.journal import Journal
from interlock.journal.ports import EMPTY, Append, ViewRow
from interlock.packs import store as adapter
from interlock.packs.content import ContainerCheck, Content, opened
from interlock.packs.report import Errors
from interlock.packs.store import PackStore
from tests.unit.packs.making import CATALOGUE, RUN_ID, family_pack

STREAM = f"default/run/{RUN_ID}"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Content]:
    source = opened(family_pack(tmp_path_factory.mktemp("pack") / "a.pack", "yes"))
    found = ContainerCheck(source, Errors()).run()
    assert found is not None
    yield found
    source.close()


@pytest.fixture
def store(content: Content) -> PackStore:
    return PackStore(content)


def test_a_run_is_loaded_from_its_pack(store: PackStore) -> None:
    journal = Journal(store, CATALOGUE, SystemClock(), SystemEntropy())
    state = asyncio.run(journal.load(RUN_FOLD, STREAM)).state

    assert state.status == "completed"


@pytest.mark.parametrize("chunk", [1, 7, 1000, 1 << 18])
def test_pages_of_any_size_join_to_the_stream(store: PackStore, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_CHUNK", chunk)

    async def scenario() -> None:
        whole = await store.events.read(STREAM, 0, 1000)
        assert [event.seq for event in whole] == list(range(1, len(whole) + 1))
        paged = [event for at in range(0, len(whole), 3) for event in await store.events.read(STREAM, at, 3)]
        assert paged == whole
        for after in (20, 3, 11):
            assert await store.events.read(STREAM, after, 2) == whole[after : after + 2]
        assert await store.events.read(STREAM, len(whole), 10) == []
        assert await store.events.read("default/run/other", 0, 10) == []

    asyncio.run(scenario())


def test_the_feed_is_dense_and_holds_every_event_once(store: PackStore) -> None:
    async def scenario() -> None:
        end = await store.events.position("default")
        feed = [event for at in range(0, end, 4) for event in await store.events.feed("default", at, 4)]
        assert [event.position for event in feed] == list(range(1, end + 1))
        listed = await store.events.streams("default", "", 10)
        assert sum(head.seq for _, head in listed) == end
        assert [name for name, _ in listed] == sorted({event.stream for event in feed})
        assert await store.events.partitions() == ["default"]
        assert await store.events.feed("other", 0, 10) == []
        assert await store.events.position("other") == 0
        assert await store.events.heads(["default/run/other"]) == [EMPTY]

    asyncio.run(scenario())


def test_artifacts_are_listed_and_verified(store: PackStore) -> None:
    async def scenario() -> None:
        ids = await store.artifacts.scan("", 1000)
        assert ids == sorted(ids)
        assert [each for at in ["", *ids[:-1]] for each in await store.artifacts.scan(at, 1)] == ids
        assert await store.artifacts.scan(ids[-1], 10) == []
        assert await store.artifacts.exists([ids[0], "0" * 64]) == [True, False]
        assert len(await store.artifacts.get(ids)) == len(ids)
        with pytest.raises(InterlockError, match="artifact_not_found"):
            await store.artifacts.get(["0" * 64])

    asyncio.run(scenario())


def test_nothing_is_written_and_nothing_else_is_there(store: PackStore) -> None:
    async def scenario() -> None:
        for write in (
            store.events.append([Append([])]),
            store.artifacts.put([]),
            store.views.apply("default", "runs@1", [ViewRow("a")], 0, 1),
            store.views.drop("default", "runs@1"),
            store.activations.take(STREAM, "run", "me", 0, 1),
        ):
            with pytest.raises(InterlockError, match="store_unwritable"):
                await write
        assert await store.index.get("default", "fold", ["a"]) == [None]
        assert await store.index.scan("default", "fold", "", "", 10) == []
        assert await store.index.names("default") == []
        assert await store.views.position("default", "runs@1") == 0
        assert await store.views.rows("default", "runs@1", ["a"]) == [None]
        assert await store.views.query("default", "runs@1", {}, None, 10) == []
        assert await store.activations.claim("default", ["run"], "me", 1, 0, 1) == []
        assert await store.activations.renew([], 0, 1) == []
        await store.activations.release([], None)
        assert await store.activations.due("default", ["run"], 0) is None
        assert await store.activations.holder(STREAM, 0) is None
        assert await store.timers.due("default", 0, 1) == []
        assert await store.timers.next_due("default") is None
        assert await store.timers.scan("default", "", 1) == []
        assert await store.doorbell.wait(store.doorbell.seen(), 1) == 0
        assert store.statistics().events == 0
        await store.close()

    asyncio.run(scenario())
