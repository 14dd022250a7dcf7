"""Copying a store from one kind to the other: the same events, rows and artifacts, and runs that go on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from interlock import App, Io, Plan
from interlock.base.errors import InterlockError
from interlock.base.events import IndexRow, SetTimer
from interlock.base.principal import local_principal
from interlock.copying import Copied, copy
from interlock.doctor import examine
from interlock.journal.store_name import StoreName
from interlock.stores.postgres import open_postgres
from interlock.testing.contracts.harness import blob, stream
from tests.postgres import fresh_schema
from tests.unit.moving import Interrupted, copied, grow, interrupt, opened, quiet, refused

plan = Plan("asks")


@plan.state
async def ask(io: Io) -> object:
    """Wait for two answers, the second with a deadline, so that a timer is set."""
    first = await io.wait("first", int)
    second = await io.wait("second", int, timeout_ms=3_600_000)
    return {"answer": first + second, "long": "x" * 100_000}


@plan.state
async def tell(ask: dict[str, object]) -> object:
    return ask["answer"]


async def started(name: StoreName, run_id: str) -> None:
    """Start a run that waits."""
    async with App.open(name) as app:
        result = await app.runs.start(plan, run_id=run_id)
        assert result.waiting is not None


async def answered(name: StoreName, run_id: str, step: str, value: int) -> str:
    """Answer a wait, let a worker work, and tell the phase."""
    async with App.open(name, create=False) as app:
        app.runs.plans.add(plan)
        await app.runs.control.signal(run_id, "ask", step, value, principal=local_principal("ada"))
        await app.runs.worker.work(until_idle=True)
        return (await app.runs.read.result(run_id)).phase


async def sound(name: StoreName) -> None:
    report = await examine(name)
    assert report.findings == [], report.findings


def test_runs_go_on_after_their_store_moved_to_a_database_and_back(tmp_path: Path, postgres_url: str) -> None:
    """SQLite → PostgreSQL → SQLite with runs that wait: each place takes an answer, and the last ends the run."""
    first, database, last = tmp_path / "first.db", fresh_schema(postgres_url), tmp_path / "last.db"
    run_id = str(uuid4())

    asyncio.run(started(first, run_id))
    one = copied(first, database)
    assert (one.streams, one.partitions) == (1, 1)
    assert one.events > 3
    asyncio.run(sound(database))
    assert asyncio.run(answered(database, run_id, "first", 1)) == "running"
    two = copied(database, last)
    assert (two.timers, two.events > one.events) == (1, True)
    asyncio.run(sound(last))
    assert asyncio.run(answered(last, run_id, "second", 2)) == "completed"
    asyncio.run(sound(last))

    async def output() -> object:
        async with App.open(last, create=False) as app:
            return await app.runs.read.output(run_id, "tell")

    assert asyncio.run(output()) == 3


def test_a_copy_of_a_file_is_the_same_event_for_event(tmp_path: Path) -> None:
    """Several partitions, interleaved streams, large artifacts, rows of every kind, epochs: all is as it was."""
    source, target = tmp_path / "a.db", tmp_path / "b.db"
    a, b, elsewhere = stream("a"), stream("b"), stream("a", "elsewhere")

    async def fill() -> None:
        async with opened(source) as store:
            for number in range(700):
                await grow(store, (a, b, elsewhere)[number % 3], str(number))
            rows = [IndexRow("open", f"k{n}", b"%d" % n) for n in range(1_500)]
            timers = [SetTimer(f"t{n}", a, n, b"\0") for n in range(20)]
            await grow(store, a, "last", rows=[*rows, *timers])
            await store.artifacts.put([blob(b"small"), blob(b"large" * 100_000)])
            claims = [await store.activations.take(b, "run", store.owner, 0, 1_000, steal=True) for _ in range(3)]
            await store.activations.release(claims[-1:], 77)  # type: ignore[arg-type]

    asyncio.run(fill())
    found = copied(source, target)

    assert found == Copied(2, 3, 701, 2, 1_500, 20, 1)

    async def compare() -> None:
        async with opened(source) as one, opened(target) as other:
            for partition in ("default", "elsewhere"):
                feed = await one.events.feed(partition, 0, 10_000)
                assert await other.events.feed(partition, 0, 10_000) == feed
            assert await other.activations.due("default", ["run"], 0) == 77
            claim = await other.activations.take(b, "run", other.owner, 100, 1)
            assert claim.epoch == 4  # type: ignore[union-attr]
            assert one.id != other.id

    asyncio.run(compare())


@pytest.mark.parametrize("kind", ["file", "database"])
def test_nothing_is_written_over(tmp_path: Path, postgres_url: str, kind: str) -> None:
    source = tmp_path / "a.db"
    target: StoreName = tmp_path / "b.db" if kind == "file" else fresh_schema(postgres_url)

    async def made(name: StoreName) -> None:
        async with opened(name):
            pass

    asyncio.run(made(source))
    asyncio.run(made(target))

    assert refused(source, target) == "copy_target_exists"


@pytest.mark.parametrize("target", ["", ".", "/", "..", "x/.."])
def test_a_target_without_a_name_is_a_folder_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()

    async def made() -> None:
        async with opened(Path("a.db")):
            pass

    asyncio.run(made())
    before = sorted(tmp_path.iterdir())

    assert refused(Path("a.db"), Path(target)) == "copy_target_exists"
    assert sorted(tmp_path.iterdir()) == before


def test_a_target_whose_name_is_too_long_cannot_be_written(tmp_path: Path) -> None:
    async def made() -> None:
        async with opened(tmp_path / "a.db"):
            pass

    asyncio.run(made())

    assert refused(tmp_path / "a.db", tmp_path / ("x" * 300)) == "store_unwritable"


def test_a_source_that_is_not_there_makes_no_target(tmp_path: Path, postgres_url: str) -> None:
    assert refused(tmp_path / "none.db", tmp_path / "b.db") == "copy_source_not_found"
    assert refused(fresh_schema(postgres_url), tmp_path / "b.db") == "copy_source_not_found"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "database"])
def test_a_store_whose_runs_are_driven_is_not_copied(tmp_path: Path, postgres_url: str, kind: str) -> None:
    """A claim that lives is somebody who writes; once it is given back the copy is made."""
    source: StoreName = tmp_path / "a.db" if kind == "file" else fresh_schema(postgres_url)

    async def main() -> None:
        async with opened(source) as store:
            await grow(store, stream("a"))
            claim = await store.activations.take(stream("a"), "run", store.owner, 2**50, 1_000)
            with pytest.raises(InterlockError) as fault:
                await copy(source, tmp_path / "b.db", quiet)
            assert fault.value.code == "copy_source_busy"
            await store.activations.release([claim], None)  # type: ignore[list-item]

    asyncio.run(main())
    assert copied(source, tmp_path / "b.db").events == 1


@pytest.mark.parametrize("at", ["artifacts", "events", "comparing"])
def test_an_unfinished_copy_in_a_database_is_no_store_until_it_is_finished(
    tmp_path: Path, postgres_url: str, at: str
) -> None:
    """It is refused by whoever opens it, and by a copy of another store; the same copy goes on with it."""
    source, other, target = tmp_path / "a.db", tmp_path / "other.db", fresh_schema(postgres_url)

    async def fill(name: Path) -> None:
        async with opened(name) as store:
            for number in range(2_500):
                await grow(store, stream(f"s{number % 7}"), str(number))
            await store.artifacts.put([blob(b"x")])

    asyncio.run(fill(source))
    asyncio.run(fill(other))
    with pytest.raises(Interrupted):
        asyncio.run(copy(source, target, interrupt(at)))

    for read_only in (True, False):
        with pytest.raises(InterlockError) as fault:
            asyncio.run(open_postgres(target, read_only=read_only))
        assert fault.value.code == "store_unfinished"
    assert refused(other, target) == "copy_target_exists"
    assert copied(source, target).events == 2_500
    asyncio.run(reopened(target))


async def reopened(target: str) -> None:
    await (await open_postgres(target, create=False)).close()


def test_an_interrupted_copy_into_a_file_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.db"

    async def fill() -> None:
        async with opened(source) as store:
            await grow(store, stream("a"))

    asyncio.run(fill())
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Interrupted):
        asyncio.run(copy(source, tmp_path / "b.db", interrupt("events")))

    assert sorted(tmp_path.iterdir()) == before


def test_a_source_that_moves_while_it_is_copied_is_no_copy(tmp_path: Path, postgres_url: str) -> None:
    """Without a claim anybody may still tell a run something: what came too late is noticed at the end."""
    source = tmp_path / "a.db"

    async def main() -> None:
        async with opened(source) as store:
            await grow(store, stream("a"))
            late: list[asyncio.Task[object]] = []

            def progress(what: str, done: int, total: int | None) -> None:
                if what.startswith("events"):
                    late.append(asyncio.ensure_future(grow(store, stream("b"))))

            with pytest.raises(InterlockError) as fault:
                await copy(source, fresh_schema(postgres_url), progress)
            assert fault.value.code == "copy_differs"
            await asyncio.gather(*late)

    asyncio.run(main())
