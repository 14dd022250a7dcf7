"""How much a copy holds at once, how often it asks, and that it is alone."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from interlock import copying
from interlock.base.errors import InterlockError
from interlock.base.events import ClearTimer, IndexRow, SetTimer, Timer, Wake
from interlock.copying import copy
from interlock.journal.ports import Append, Blob
from interlock.journal.store_name import StoreName
from interlock.stores.activation import Activation
from interlock.stores.appending import Outcome, bytes_of
from interlock.stores.postgres import copy_target
from interlock.stores.postgres.artifacts import PostgresArtifacts
from interlock.stores.postgres.restoring import PostgresRestoring
from interlock.stores.sqlite.activations import SqliteActivations
from interlock.stores.sqlite.maintenance.new_file import new_file
from interlock.stores.sqlite.restoring import SqliteRestoring
from interlock.testing.contracts.harness import blob, stream
from tests.postgres import fresh_schema
from tests.unit.moving import Interrupted, copied, grow, interrupt, opened, quiet, refused

A = stream("a")


def test_rows_are_written_in_groups_and_activations_are_read_once(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many things are open at one event, no call writes more of them than a page or the bytes of a group."""
    source, sizes, scans = tmp_path / "a.db", list[tuple[str, int]](), list[str]()
    monkeypatch.setattr(copying, "BYTES_AT_ONCE", 20_000)

    async def fill() -> None:
        async with opened(source) as store:
            rows = [IndexRow("open", f"k{n:04}", b"v" * (100 if n < 1_000 else 1)) for n in range(4_000)]
            timers = [SetTimer(f"t{n}", A, n, b"\0") for n in range(2_500)]
            await grow(store, A, rows=[*rows, *timers])
            wakes = [Wake(stream(f"s{n}"), "run", n) for n in range(1_200)]
            for tenant in range(8):
                await grow(store, stream("s", f"tenant{tenant}"), rows=wakes if not tenant else ())

    async def index(self: PostgresRestoring, partition: str, rows: Sequence[IndexRow]) -> None:
        sizes.append(("index", len(rows)))
        assert sum(len(row.key) + len(row.value or b"") for row in rows) <= 20_000 + 105
        await index_of(self, partition, rows)

    async def timers(self: PostgresRestoring, partition: str, rows: Sequence[Timer]) -> None:
        sizes.append(("timers", len(rows)))
        await timers_of(self, partition, rows)

    async def scan(self: SqliteActivations, after: str, limit: int) -> list[Activation]:
        scans.append(after)
        return await scan_of(self, after, limit)

    asyncio.run(fill())
    index_of, timers_of, scan_of = PostgresRestoring.index, PostgresRestoring.timers, SqliteActivations.scan
    monkeypatch.setattr(PostgresRestoring, "index", index)
    monkeypatch.setattr(PostgresRestoring, "timers", timers)
    monkeypatch.setattr(SqliteActivations, "scan", scan)

    found = copied(source, fresh_schema(postgres_url))

    assert (found.index_rows, found.timers, found.activations) == (4_000, 2_500, 1_200)
    assert max(size for _, size in sizes) <= copying.PAGE
    assert [size for what, size in sizes if what == "timers"] == [1_000, 1_000, 500]
    # Two looks for who is busy, one copy and one comparison; each is two pages and the empty one behind them.
    assert len(scans) == 4 * 3


@pytest.mark.parametrize("kind", ["file", "database"])
def test_events_are_written_in_groups_by_their_bytes(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The writers never split what one call gives them, so that no call gives them a whole page of large events."""
    source, written = tmp_path / "a.db", list[int]()
    target: StoreName = tmp_path / "b.db" if kind == "file" else fresh_schema(postgres_url)
    writer: type[SqliteRestoring | PostgresRestoring] = SqliteRestoring if kind == "file" else PostgresRestoring
    monkeypatch.setattr(copying, "BYTES_AT_ONCE", 20_000)

    async def fill() -> None:
        async with opened(source) as store:
            await grow(store, A, *["x" * 1_000] * 60)
            await grow(store, stream("b"), "x" * 30_000, *["x"] * 10)

    async def events(self: SqliteRestoring, appends: Sequence[Append]) -> list[Outcome]:
        written.append(sum(map(bytes_of, appends)))
        outcomes: list[Outcome] = await events_of(self, appends)
        return outcomes

    asyncio.run(fill())
    events_of: Any = writer.events
    monkeypatch.setattr(writer, "events", events)

    assert copied(source, target).events == 71
    assert [size > 30_000 for size in written if size > 20_000] == [True]  # the one event that is larger
    assert max(written) < 32_000
    assert len(written) < 10


def test_artifacts_are_read_and_written_in_groups(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = fresh_schema(postgres_url), fresh_schema(postgres_url)
    read, written = list[int](), list[int]()
    monkeypatch.setattr(copying, "BYTES_AT_ONCE", 100_000)

    async def fill() -> None:
        async with opened(source) as store:
            await store.artifacts.put([blob(b"%d" % n) for n in range(1_500)])
            await store.artifacts.put([blob(b"%d" % n * 10_000) for n in range(10, 40)])

    async def get(self: PostgresArtifacts, ids: Sequence[str]) -> list[bytes]:
        contents = await get_of(self, ids)
        read.append(sum(map(len, contents)) if len(ids) > 1 else 0)
        return contents

    async def put(self: PostgresArtifacts, blobs: Sequence[Blob]) -> list[str]:
        written.append(sum(len(each.content) for each in blobs) if len(blobs) > 1 else 0)
        return await put_of(self, blobs)

    asyncio.run(fill())
    get_of, put_of = PostgresArtifacts.get, PostgresArtifacts.put
    monkeypatch.setattr(PostgresArtifacts, "get", get)
    monkeypatch.setattr(PostgresArtifacts, "put", put)

    assert copied(source, target).artifacts == 1_530
    assert len(read) < 40
    assert len(written) < 20
    assert max(*read, *written) <= 100_000


def test_what_an_earlier_try_derived_does_not_stay(tmp_path: Path, postgres_url: str) -> None:
    """The source went on between two tries: a timer that it cleared is not in the copy."""
    source, target = tmp_path / "a.db", fresh_schema(postgres_url)

    async def fill(*rows: SetTimer | ClearTimer | IndexRow | Wake) -> None:
        async with opened(source) as store:
            await grow(store, A, rows=rows)

    asyncio.run(fill(SetTimer("old", A, 5), IndexRow("open", "old", b""), Wake(A, "run", 3)))
    with pytest.raises(Interrupted):
        asyncio.run(copy(source, target, interrupt("comparing")))
    asyncio.run(fill(ClearTimer("old"), IndexRow("open", "old", None), SetTimer("new", A, 7)))

    found = copied(source, target)

    assert (found.events, found.timers, found.index_rows, found.activations) == (2, 1, 0, 1)


@pytest.mark.parametrize("kind", ["file", "database"])
def test_of_several_copies_into_one_target_one_is_made(tmp_path: Path, postgres_url: str, kind: str) -> None:
    """Who comes while a copy is under way is told so at once, and harms it in nothing."""
    source = tmp_path / "a.db"
    target: StoreName = tmp_path / "b.db" if kind == "file" else fresh_schema(postgres_url)

    async def main() -> None:
        async with opened(source) as store:
            await grow(store, A)
        filling = new_file(target) if isinstance(target, Path) else copy_target(str(target), "f" * 32)
        async with filling:
            with pytest.raises(InterlockError) as fault:
                await copy(source, target, quiet)
            assert fault.value.code == "copy_running"

    asyncio.run(main())
    assert refused(source, target) == "copy_target_exists"


def test_many_copies_at_once_make_one(tmp_path: Path, postgres_url: str) -> None:
    source, target = tmp_path / "a.db", fresh_schema(postgres_url)

    async def main() -> list[str]:
        async with opened(source) as store:
            for number in range(20):
                await grow(store, stream(f"s{number}"))
        outcomes = await asyncio.gather(*(copy(source, target, quiet) for _ in range(6)), return_exceptions=True)
        return sorted(each.code if isinstance(each, InterlockError) else type(each).__name__ for each in outcomes)

    codes = asyncio.run(main())
    assert codes.count("Copied") == 1
    assert set(codes) <= {"Copied", "copy_running", "copy_target_exists"}


def test_the_lock_of_a_copy_that_was_killed_is_in_nobodys_way(tmp_path: Path) -> None:
    source, target = tmp_path / "a.db", tmp_path / "b.db"

    async def fill() -> None:
        async with opened(source) as store:
            await grow(store, A)

    asyncio.run(fill())
    (tmp_path / ".b.db.copying").touch()

    assert copied(source, target).events == 1
    assert not (tmp_path / ".b.db.copying").exists()


_COPYING = """
import asyncio, os, signal, sys
from pathlib import Path
from interlock.copying import copy

def progress(what, done, total):
    if what.startswith("comparing"):
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(copy(Path(sys.argv[1]), Path(sys.argv[2]), progress))
"""


def test_what_a_killed_copy_left_goes_away_with_the_next_and_nothing_else_does(tmp_path: Path) -> None:
    source, target = tmp_path / "a.db", tmp_path / "b.db"
    left = f".b.db.{'0' * 16}.copy"

    async def fill() -> None:
        async with opened(source) as store:
            await store.artifacts.put([blob(b"x" * 2_000_000)])
            await grow(store, A)

    asyncio.run(fill())
    before = {each.name for each in tmp_path.iterdir()}
    killed = subprocess.run([sys.executable, "-c", _COPYING, source, target], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert any(each.name.endswith(".copy.artifacts") for each in tmp_path.iterdir())
    others = {f".b.db.{'0' * 16}", f".b.db.{'0' * 15}.copy", f"{left}x", f".c.db.{'0' * 16}.copy"}
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / left).symlink_to(source)

    assert copied(source, target).events == 1
    assert {each.name for each in tmp_path.iterdir()} == before | others | {left, "b.db", "b.db.artifacts"}
