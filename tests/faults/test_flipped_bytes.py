"""A byte that changes in a store after a run was written: found, or without consequence, never another success.

Rows are changed one by one through SQL, sampled; then bytes of the database's file, which also hits pages and trees.
What is told of the damaged store is what was told of the whole one, or a refusal.
"""

from __future__ import annotations

import asyncio
import gc
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock import App
from interlock.base.errors import Category, InterlockError
from interlock.base.principal import local_principal
from interlock.doctor import examine
from tests.faults.halting import RUN, Halted, sql

pytestmark = pytest.mark.unproved("every test flips bytes of its store, to see them found")

COLUMNS = {
    "event": ("place", "place", "stream", "seq", "digest", "envelope", "data", "salt"),
    "stream": ("no", "id", "seq", "digest"),
    "artifact": ("no", "id", "bytes", "content"),
    "index_row": ("key", "key", "value"),
    "view_row": ("key", "key", "document", "ordinal"),
    "view_term": ("name", "name", "value", "key"),
}
"""Of each table the column that names a row, and others."""
UNPROVED = {"index_row"}
"""A fold snapshot is a cache: what makes it unusable need not be named."""


def drawn(seed: int) -> random.Random:
    """Places that are the same in every run."""
    return random.Random(seed)  # noqa: S311 — no secret


class Kept:
    """A run on a store that is damaged again and again, and what is told of it while it is whole."""

    def __init__(self, folder: Path, *, finished: bool) -> None:
        folder.mkdir()
        self.halted = Halted(folder / "store", engine={"fold_snapshot_events": 10})
        self.path, self.whole = self.halted.path, folder / "whole"
        if finished:
            self.halted.resume()
            self.halted.drive(lambda app: app.client(local_principal("tester")).call("run.list", {}))
        shutil.copy2(self.path, self.whole)
        self.expected = self.told()
        assert not isinstance(self.expected, str)

    def restore(self) -> None:
        for name in ("-wal", "-shm"):
            Path(f"{self.path}{name}").unlink(missing_ok=True)
        shutil.copy2(self.whole, self.path)

    def told(self) -> object:
        """What a person is told who resumes the run and looks at it; a code where that is refused."""
        try:
            return self.halted.drive(told)
        except InterlockError as fault:
            assert fault.category in (Category.CORRUPT, Category.STORAGE) or fault.code.endswith("_not_found"), fault
            return fault.code

    def named(self) -> bool:
        """Whether doctor finds damage; it is never an error."""
        try:
            return bool(asyncio.run(examine(self.path)).findings)
        except InterlockError as fault:
            assert fault.category is Category.CORRUPT, fault
            return True


async def told(app: App) -> object:
    result = await app.runs.resume(RUN)
    report = await app.runs.read.report(RUN)
    steps = [(step.name, step.status, step.failures) for step in report.steps]
    return result, report.manifest_id, report.input, steps, await app.runs.read.context(RUN)


def rows(path: Path) -> Iterator[tuple[str, str, str, Any, Any]]:
    """Every value: table, naming column, column, name of the row, value (text as bytes)."""
    for table, (name, *columns) in COLUMNS.items():
        for column in columns:
            kind = f"iif(typeof({column}) = 'text', CAST({column} AS BLOB), {column})"
            for row, value in sql(path, f"SELECT {name}, {kind} FROM {table}"):
                yield table, name, column, row, value


def flip(path: Path, table: str, name: str, column: str, row: Any, value: Any, noise: random.Random) -> None:
    """Flip one bit of one value; every other time in text so that it is no longer UTF-8."""
    [(kind,)] = sql(path, f"SELECT typeof({column}) FROM {table} WHERE {name} = ?", row)
    if isinstance(value, int):
        changed: Any = value ^ 1 << noise.randrange(6)
    else:
        content = bytearray(value or b"\0")
        high = kind == "text" and noise.random() < 0.5
        content[noise.randrange(len(content))] ^= 1 << (7 if high else noise.randrange(8))
        changed = bytes(content)
    new = "CAST(? AS TEXT)" if kind == "text" else "?"
    sql(path, f"UPDATE OR REPLACE {table} SET {column} = {new} WHERE {name} = ?", changed, row)


@pytest.fixture(scope="module", params=[True, False], ids=["finished", "halted"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("kept") / "kept", finished=request.param)


@pytest.mark.parametrize("count", [60, pytest.param(1500, marks=pytest.mark.slow)])
def test_a_flipped_bit_of_any_row_is_named_and_never_gives_another_success(kept: Kept, count: int) -> None:
    """P20, F20: events, heads, artifacts, index and views."""
    noise = drawn(20)
    refused = 0
    for table, name, column, row, value in noise.choices(list(rows(kept.whole)), k=count):
        kept.restore()
        flip(kept.path, table, name, column, row, value, noise)
        place = (table, column, row)
        assert kept.named() or table in UNPROVED, place
        found = kept.told()
        assert found == kept.expected or isinstance(found, str), place
        refused += isinstance(found, str)
    assert refused > 0


@pytest.mark.parametrize("count", [60, pytest.param(1500, marks=pytest.mark.slow)])
def test_a_flipped_bit_of_the_file_never_gives_another_success(kept: Kept, count: int) -> None:
    """P20, F20: also where it hits a page's frame, a tree or the schema."""
    noise = drawn(21)
    size = kept.whole.stat().st_size
    outcomes = [flipped(kept, at, noise.randrange(8)) for at in noise.sample(range(size), count)]
    assert set(outcomes) == {"refused", "named", "harmless"}


def test_a_flipped_bit_in_the_header_of_a_row_never_gives_another_success(kept: Kept) -> None:
    """P20: there, a value changes its type or length, and another column begins elsewhere."""
    whole = kept.whole.read_bytes()
    [(manifest,)] = sql(kept.whole, "SELECT id FROM artifact WHERE kind = 'Manifest'")
    # The last copy of each is the live one; between header and envelope stand the event's number and digest.
    event, artifact = whole.rindex(b'{"actor"') - 33, whole.rindex(f"{manifest}Manifest".encode())
    headers = [*range(event - 10, event), *range(artifact - 8, artifact)]
    outcomes = [flipped(kept, at, bit) for at in headers for bit in (0, 4, 7)]
    assert outcomes.count("harmless") < len(outcomes) // 2


def flipped(kept: Kept, at: int, bit: int) -> str:
    """What one flipped bit of the file did: `refused`, `named` by doctor alone, or `harmless`; no more may happen."""
    damaged = bytearray(kept.whole.read_bytes())
    damaged[at] ^= 1 << bit
    kept.restore()
    kept.path.write_bytes(damaged)
    named, found = kept.named(), kept.told()
    if isinstance(found, str):
        assert named, (at, bit, found)
        return "refused"
    assert found == kept.expected, (at, bit)
    return "named" if named else "harmless"


@pytest.mark.parametrize("place", [b"CREATE TABLE event", b"SQLite format", b"ILK1"])
def test_a_store_that_was_refused_is_let_go_of_and_opens_once_it_is_restored(kept: Kept, place: bytes) -> None:
    """S2: a process that met damage need not end before a backup is put in place."""
    damaged = bytearray(kept.whole.read_bytes())
    damaged[damaged.index(place)] ^= 0x10
    kept.restore()
    kept.path.write_bytes(damaged)
    gc.disable()
    try:
        assert kept.named()
        assert isinstance(kept.told(), str)
        files = [entry.resolve() for entry in Path("/proc/self/fd").iterdir()]
        assert [path.name for path in files if path.parent == kept.path.parent] == []
    finally:
        gc.enable()
    kept.restore()
    assert kept.told() == kept.expected
