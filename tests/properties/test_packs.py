"""Any run has a pack that passes, any pack is what it was made of, and any change of its bytes is refused."""

from __future__ import annotations

import asyncio
import re
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.engine.config import FanOutJoin, RunConfig
from interlock.journal.ports import StoredEvent
from interlock.packs.container import MANIFEST, FileSource, is_name, order
from interlock.packs.content import ContainerCheck, opened
from interlock.packs.folder import FolderSource
from interlock.packs.lines import event_of, line_of
from interlock.packs.report import Errors
from interlock.packs.store import PackStore
from interlock.packs.verify import verify
from interlock.testing.loop import run
from tests.properties.test_runs import Script, crashed, scripts
from tests.simulation.crashes import World
from tests.unit.packs.making import CATALOGUE, RUN_ID, container, exported, family_pack, unpacked, verdict

NAMES = st.from_regex(re.compile(r"[a-z0-9][a-z0-9._-]{0,8}(/[a-z0-9][a-z0-9._-]{0,8}){0,3}", re.ASCII), fullmatch=True)


@given(st.binary(max_size=1500), st.dictionaries(NAMES, st.binary(max_size=1500), max_size=8))
def test_a_container_gives_back_what_was_put_in(manifest: bytes, others: dict[str, bytes]) -> None:
    content = others | {MANIFEST: manifest}
    assert all(map(is_name, content))
    names = sorted(content, key=order)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.pack"
        path.write_bytes(container((name, content[name]) for name in names))
        source = FileSource(path)
        assert [(each.name, b"".join(each.chunks)) for each in source.walk()] == [(n, content[n]) for n in names]
        source.close()


JSON = st.text(st.characters(blacklist_characters="\t\n", blacklist_categories=["Cs"]), min_size=1).map(str.encode)


@given(JSON, st.one_of(st.none(), JSON), st.binary(max_size=16))
def test_a_line_gives_back_the_bytes_of_the_event(envelope: bytes, data: bytes | None, salt: bytes) -> None:
    event = StoredEvent("default/run/x", 7, "", envelope, data, b"" if data is None else salt)
    line = line_of(event)
    read = event_of(line[:-1], event.stream, event.seq, 0)

    assert line.endswith(b"\n")
    assert (read.envelope, read.data, read.salt) == (event.envelope, event.data, event.salt)


def kept(event: StoredEvent) -> tuple[object, ...]:
    return event.digest, event.envelope, event.data, event.salt


async def proved(world: World) -> None:
    """The pack of a world's run passes, as a file and as a folder, and holds the run's events as they are stored."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.pack"
        app = world.process()
        await exported(app, path, contract=True)
        found = await verify(path, CATALOGUE)
        assert found.passed, found.errors
        assert await verify(unpacked(path, Path(folder) / "out"), CATALOGUE) == found
        source = opened(path)
        content = ContainerCheck(source, Errors()).run()
        assert content is not None
        stream = f"default/run/{RUN_ID}"
        stored = await app.store.events.read(stream, 0, 1000)
        packed = await PackStore(content).events.read(stream, 0, 1000)
        assert list(map(kept, packed)) == list(map(kept, stored))
        source.close()


@settings(max_examples=20)  # each lives a run several times
@given(scripts(), st.lists(st.integers(1, 40), max_size=4), st.integers(0, 2**16))
def test_any_run_whatever_crashed_has_a_pack_that_passes(script: Script, crashes: list[int], seed: int) -> None:
    async def scenario() -> None:
        await proved(await crashed(script, crashes))

    run(scenario(), seed=seed)


@settings(max_examples=20)
@given(scripts(), st.integers(1, 4), st.integers(0, 2**16))
def test_any_run_whose_states_ran_at_once_has_a_pack_that_passes(script: Script, at_once: int, seed: int) -> None:
    async def scenario() -> None:
        config = RunConfig(execution_mode=FanOutJoin.of(at_once), skip_tags=("skipped",))
        world = World(script.plan, config=config, faults=script.faults)
        await world.drive(world.process())
        await proved(world)

    run(scenario(), seed=seed)


@cache
def a_pack() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return family_pack(Path(folder) / "a.pack", "yes", contract=True).read_bytes()


@given(st.data())
def test_any_piece_that_is_put_in_taken_out_or_replaced_is_refused(data: st.DataObject) -> None:
    whole = a_pack()
    first = data.draw(st.integers(0, len(whole)))
    last = data.draw(st.integers(first, min(len(whole), first + data.draw(st.sampled_from([1, 512, 5000])))))
    piece = data.draw(
        st.one_of(
            st.binary(max_size=40),
            st.integers(0, len(whole) - 512).map(lambda at: whole[at : at + 512]),
            st.integers(0, 3).map(lambda blocks: bytes(512 * blocks)),
        )
    )
    changed = whole[:first] + piece + whole[last:]
    if changed == whole:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.pack"
        path.write_bytes(changed)
        assert not verdict(path).passed


@given(st.data())
def test_any_two_blocks_that_change_places_are_refused(data: st.DataObject) -> None:
    whole = a_pack()
    blocks = [whole[at : at + 512] for at in range(0, len(whole), 512)]
    one, other = (data.draw(st.integers(0, len(blocks) - 1)) for _ in range(2))
    if blocks[one] == blocks[other]:
        return
    blocks[one], blocks[other] = blocks[other], blocks[one]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.pack"
        path.write_bytes(b"".join(blocks))
        assert not verdict(path).passed


@given(st.binary(max_size=3000))
def test_bytes_of_any_kind_are_refused_with_a_code(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.pack"
        path.write_bytes(content)
        assert {error.code for error in asyncio.run(verify(path, CATALOGUE)).errors} <= {
            "pack_container_invalid",
            "pack_manifest_invalid",
        }
        out = Path(folder) / "folder"
        out.mkdir()
        (out / "manifest.json").write_bytes(content)
        source = FolderSource(out)
        assert ContainerCheck(source, Errors()).run() is None
        source.close()
