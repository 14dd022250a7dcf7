"""Export: a pack depends on its run alone, is one moment of the store, and is never half there."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interlock import Io, Plan
from interlock.app import App
from interlock.base.clock import SystemClock, SystemEntropy
from interlock.base.errors import InterlockError
from interlock.engine.part import PART as ENGINE
from interlock.journal.journal import Journal
from interlock.journal.ports import Append, Blob, Head, Store, StoredEvent, StreamAppend
from interlock.journal.streams import stream_id
from interlock.packs import export as exporting
from interlock.packs.export import export
from interlock.packs.survey import Wanted
from interlock.stores.memory import MemoryStore
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.simulation.plans import single
from tests.unit.engine.secret_lives import CANARY, KEY, VARIABLE, answering, ask
from tests.unit.packs.making import (
    CATALOGUE,
    RUN_ID,
    codes,
    exported,
    family,
    lived,
    members,
    tiny,
    tiny_pack,
    verdict,
)

STREAM = stream_id("default", "run", RUN_ID)


def test_two_exports_of_the_same_run_are_the_same_bytes(tmp_path: Path) -> None:
    async def scenario() -> None:
        app = await lived(family, {"name": "Ada"}, None, "yes")
        made = [await exported(app, tmp_path / name, contract=True) for name in ("a.pack", "b.pack")]
        assert made[0] == made[1]

    run(scenario())
    assert (tmp_path / "a.pack").read_bytes() == (tmp_path / "b.pack").read_bytes()


async def copied(source: Store, target: Store) -> None:
    """Everything that a pack rests on, byte for byte, stream after stream: at other places of the feed."""
    ids = await source.artifacts.scan("", 1000)
    await target.artifacts.put([Blob(i, "x", c) for i, c in zip(ids, await source.artifacts.get(ids), strict=True)])
    for stream, head in await source.events.streams("default", "", 1000):
        events = await source.events.read(stream, 0, 1000)
        [outcome] = await target.events.append([Append([StreamAppend(stream, "default", Head(), events, head)])])
        assert not isinstance(outcome, InterlockError)


async def _other_store(app: App, target: Store, out: Path) -> None:
    await copied(app.store, target)
    other = memory_app(target)
    await exported(other, out)


@pytest.mark.unproved("the copies have events and artifacts, and none of the rows that come with an append")
def test_memory_and_sqlite_give_the_same_bytes(tmp_path: Path) -> None:
    from interlock.stores.sqlite import open_sqlite

    async def scenario() -> None:
        app = await lived(family, {"name": "Ada"}, None, "yes")
        await exported(app, tmp_path / "original.pack")
        await _other_store(app, MemoryStore(), tmp_path / "memory.pack")

    run(scenario())
    content = members(tmp_path / "original.pack")

    async def on_disk() -> None:
        store = await open_sqlite(tmp_path / "store.db", create=True)
        try:
            await unpacked_into(tmp_path / "original.pack", store)
            journal = Journal(store, CATALOGUE, SystemClock(), SystemEntropy())
            await export(journal, Wanted("default", RUN_ID), tmp_path / "sqlite.pack")
        finally:
            await store.close()

    asyncio.run(on_disk())
    for name in ("memory.pack", "sqlite.pack"):
        assert members(tmp_path / name) == content
        assert (tmp_path / name).read_bytes() == (tmp_path / "original.pack").read_bytes()


async def unpacked_into(pack: Path, target: Store) -> None:
    """A store made of a pack."""
    from interlock.packs.content import ContainerCheck, opened
    from interlock.packs.report import Errors
    from interlock.packs.store import PackStore

    content = ContainerCheck(opened(pack), Errors()).run()
    assert content is not None
    await copied(PackStore(content), target)
    content.source.close()


def test_what_other_runs_do_does_not_show(tmp_path: Path) -> None:
    async def scenario() -> None:
        app = await lived(tiny, {"name": "Ada"})
        await exported(app, tmp_path / "before.pack")
        await app.runs.start(tiny(), {"name": "Eve"})
        await exported(app, tmp_path / "after.pack")

    run(scenario())
    assert (tmp_path / "before.pack").read_bytes() == (tmp_path / "after.pack").read_bytes()


def test_a_pack_is_one_moment_of_a_store_that_goes_on(tmp_path: Path) -> None:
    """What is appended while the pack is being written stands in no stream of it, in inboxes neither."""

    async def scenario() -> None:
        app = await lived(family, {"name": "Ada"})
        await exported(app, tmp_path / "before.pack")
        original = app.store.events.heads

        async def heads(streams: Any) -> Any:
            if not went_on:
                went_on.append(True)
                await lived_on(app)
            return await original(streams)

        went_on: list[bool] = []
        app.store.events.heads = heads  # type: ignore[method-assign]
        await exported(app, tmp_path / "during.pack")
        assert went_on
        await exported(app, tmp_path / "later.pack")

    run(scenario())
    before, during, later = ((tmp_path / f"{name}.pack").read_bytes() for name in ("before", "during", "later"))
    assert during == before
    assert later != before
    assert verdict(tmp_path / "later.pack").passed


async def lived_on(app: App) -> None:
    from interlock.base.principal import local_principal

    await app.runs.control.signal(RUN_ID, "ask", "approval", "yes", principal=local_principal("ada"))
    await app.runs.resume(RUN_ID, plan=family())


def test_nothing_is_written_over_unless_it_was_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "a.pack"

    async def scenario() -> None:
        app = await lived(tiny, {"name": "Ada"})
        for made in (lambda: out.write_bytes(b"mine"), lambda: out.symlink_to(tmp_path / "nowhere")):
            out.unlink(missing_ok=True)
            made()
            with pytest.raises(InterlockError, match="pack_exists"):
                await export(app.journal, Wanted("default", RUN_ID), out)
        await export(app.journal, Wanted("default", RUN_ID), out, force=True)

    run(scenario())
    assert verdict(out).passed
    assert [path.name for path in tmp_path.iterdir()] == ["a.pack"]


def test_a_file_that_came_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "a.pack"
    original = exporting.manifest_of

    def meanwhile(*given: Any) -> Any:
        out.write_bytes(b"mine")
        return original(*given)

    monkeypatch.setattr(exporting, "manifest_of", meanwhile)

    async def scenario() -> None:
        with pytest.raises(InterlockError, match="pack_exists"):
            await export((await lived(tiny, {"name": "Ada"})).journal, Wanted("default", RUN_ID), out)

    run(scenario())
    assert out.read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a.pack"]


def test_only_its_owner_may_read_a_pack(tmp_path: Path) -> None:
    assert tiny_pack(tmp_path / "a.pack").stat().st_mode & 0o777 == 0o600


def test_a_run_that_does_not_exist_leaves_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(InterlockError, match="run_not_found"):
            await exported(memory_app(), tmp_path / "a.pack")
        with pytest.raises(InterlockError, match="id_invalid"):
            await export(memory_app().journal, Wanted("default", "../x"), tmp_path / "a.pack")

    run(scenario())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    async def scenario() -> None:
        app = await lived(tiny, {"name": "Ada"})
        with pytest.raises(InterlockError, match="pack_unwritable"):
            await exported(app, tmp_path / "none" / "a.pack")

    run(scenario())


def test_a_full_disk_leaves_nothing_and_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    async def scenario() -> None:
        app = await lived(tiny, {"name": "Ada"})
        with pytest.raises(InterlockError, match="No space left"):
            await exported(app, tmp_path / "a.pack")

    run(scenario())
    assert list(tmp_path.iterdir()) == []


Damage = Callable[[MemoryStore], None]


def an_event(store: MemoryStore) -> None:
    events = store._handle.data.streams[STREAM]
    events[3] = StoredEvent(**{**_members(events[3]), "envelope": events[3].envelope.replace(b"engine.", b"motors.")})


def _members(event: StoredEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def an_artifact(store: MemoryStore) -> None:
    blobs = store._handle.data.blobs
    blobs._rows.pop(next(iter(blobs._rows)))


@pytest.mark.unproved("the store is damaged on purpose")
@pytest.mark.parametrize("damage", [an_event, an_artifact], ids=lambda damage: damage.__name__)
def test_nothing_damaged_is_exported(damage: Damage, tmp_path: Path) -> None:
    store = MemoryStore()

    async def scenario() -> None:
        app = await lived(tiny, {"name": "Ada"}, memory_app(store))
        damage(store)
        with pytest.raises(InterlockError, match="pack_store_damaged"):
            await exported(app, tmp_path / "a.pack")

    run(scenario())
    assert list(tmp_path.iterdir()) == []


def at_once() -> Plan:
    """States that run at once, with a value that is too large for a node."""
    plan = Plan("wide")
    for number in range(4):

        @plan.state(name=f"side_{number}")
        async def side(io: Io) -> str:
            return "y" * 5000

    return plan


def test_views_of_branches_are_in_the_pack(tmp_path: Path) -> None:
    from interlock.engine.config import FanOutJoin, RunConfig

    async def scenario() -> None:
        app = memory_app()
        await app.runs.start(at_once(), {"a": 1}, run_id=RUN_ID, config=RunConfig(execution_mode=FanOutJoin.of(4)))
        made = await exported(app, tmp_path / "a.pack")
        assert made.manifest.artifacts.count == len(await app.store.artifacts.scan("", 1000))

    run(scenario())
    assert verdict(tmp_path / "a.pack").passed


def erasable_part() -> Any:
    """The engine, if what handlers emit could be erased: no type of today's can."""
    events = tuple(
        dataclasses.replace(kind, erasable=True) if kind.name == "engine.domain_emitted" else kind
        for kind in ENGINE.events
    )
    return dataclasses.replace(ENGINE, events=events)


@pytest.mark.unproved("data is erased behind the back of the product, which cannot do it yet")
def test_erased_data_stays_erased_and_is_said(tmp_path: Path) -> None:
    from interlock import settings as loader
    from interlock.base.clock import SeededEntropy
    from interlock.journal.catalogue import EventCatalogue
    from interlock.packs.verify import verify
    from interlock.parts import PARTS, sections_of
    from interlock.testing.clock import VirtualClock

    parts = [erasable_part() if part is ENGINE else part for part in PARTS]
    catalogue = EventCatalogue(kind for part in parts for kind in part.events)
    store = MemoryStore()

    async def scenario() -> None:
        loaded = loader.load(sections_of(parts), arguments={}, environ={}, folder=tmp_path / "none")
        app = App(store, parts, loaded, VirtualClock(), SeededEntropy(0))
        plan = Plan("tells")

        @plan.state
        async def tell(rec: Any) -> str:
            await rec.emit("customer", {"name": "Ada"})
            return "told"

        await app.runs.start(plan, {}, run_id=RUN_ID)
        events = store._handle.data.streams[STREAM]
        [at] = [at for at, event in enumerate(events) if b"domain_emitted" in event.envelope]
        assert events[at].salt
        events[at] = StoredEvent(**{**_members(events[at]), "data": None, "salt": b""})
        await exported(app, tmp_path / "a.pack")

    run(scenario())
    found = asyncio.run(verify(tmp_path / "a.pack", catalogue))
    assert found.passed, found.errors
    assert found.manifest is not None
    assert [entry.erased for entry in found.manifest.streams] == [1]
    assert b"Ada" not in (tmp_path / "a.pack").read_bytes()
    assert codes(tmp_path / "a.pack") == {"event_corrupt"}  # where the type cannot be erased, that is damage


def test_a_secret_answer_is_ciphertext_in_the_pack_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY.hex())

    async def handler(io: Io) -> str:
        await io.call(ask())
        return "asked"

    world = answering(single(handler))

    async def scenario() -> None:
        await world.live()
        await exported(world.process(), tmp_path / "a.pack", contract=True)

    run(scenario())
    found = verdict(tmp_path / "a.pack")
    assert found.passed, found.errors
    assert found.manifest is not None
    assert [entry.sealed_facts for entry in found.manifest.runs] == [1]
    assert CANARY.encode() not in (tmp_path / "a.pack").read_bytes()


def test_a_child_is_exported_by_itself_and_names_its_parent(tmp_path: Path) -> None:
    async def scenario() -> None:
        app = await lived(family, {"name": "Ada"}, None, "yes")
        made = await exported(app, tmp_path / "whole.pack")
        child = made.manifest.runs[1].run_id
        await export(app.journal, Wanted("default", child), tmp_path / "child.pack")

    run(scenario())
    found = verdict(tmp_path / "child.pack")
    assert found.passed
    assert found.manifest is not None
    assert [each.parent_run_id for each in found.manifest.runs] == [RUN_ID]


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[str] = []

    async def scenario() -> None:
        app = await lived(tiny, {"name": "Ada"})
        wanted = Wanted("default", RUN_ID)
        await export(app.journal, wanted, tmp_path / "a.pack", progress=lambda what, done, total: told.append(what))

    run(scenario())
    assert {"events", "artifacts"} <= set(told)
