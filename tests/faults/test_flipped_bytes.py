"""A byte that changes in a store after a run was written: found, or without consequence, never another success.

Rows are changed one by one through SQL, sampled, on both durable stores; then bytes of SQLite's file, which also hits
pages and trees: those of PostgreSQL are the server's to guard.
What is told of the damaged store is what was told of the whole one, or a refusal.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from psycopg.errors import UniqueViolation

from interlock import App
from interlock.base.errors import Category, InterlockError
from interlock.base.principal import local_principal
from interlock.doctor import examine
from tests.faults.durable import Durable, keep
from tests.faults.halting import RUN, Halted, sql

pytestmark = pytest.mark.unproved("every test flips bytes of its store, to see them found")

COLUMNS = {
    "event": ("place", "stream", "seq", "digest", "envelope", "data", "salt"),
    "stream": ("id", "seq", "digest"),
    "artifact": ("id", "bytes", "content"),
    "index_row": ("key", "value"),
    "view_row": ("key", "document", "ordinal"),
}
"""Columns of each table that is changed."""
SQLITE_NAMES = {"event": "place", "stream": "no", "artifact": "no", "index_row": "key", "view_row": "key"} | {
    "view_term": "name"
}
"""What names a row in SQLite; in PostgreSQL its place does."""
POSTGRES_ORDERS = {"event": "place", "stream": "no", "artifact": "id", "index_row": "partition, name, key"} | {
    "view_row": "view, key",
    "view_term": "view, term, ordinal, key",
}
UNPROVED = {"index_row"}
"""A fold snapshot is a cache: what makes it unusable need not be named."""


class Value(NamedTuple):
    """One value of a store: text as its bytes."""

    table: str
    column: str
    row: Any
    text: bool
    value: Any


def drawn(seed: int) -> random.Random:
    """Places that are the same in every run."""
    return random.Random(seed)  # noqa: S311 — no secret


class Kept:
    """A run on a store that is damaged again and again, and what is told of it while it is whole."""

    def __init__(self, durable: Durable, folder: Path, *, finished: bool) -> None:
        self.durable = durable
        self.halted = Halted(durable.fresh(folder, "store"), engine={"fold_snapshot_events": 10})
        self.store = self.halted.store
        if finished:
            self.halted.resume()
            self.halted.drive(lambda app: app.client(local_principal("tester")).call("run.list", {}))
        self.path, self.whole = folder / "store", folder / "whole" / "store"
        self.restore = keep(self.store, folder / "whole")
        self.expected = self.told()
        assert not isinstance(self.expected, str)

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
            return bool(asyncio.run(examine(self.store)).findings)
        except InterlockError as fault:
            assert fault.category is Category.CORRUPT, fault
            return True


async def told(app: App) -> object:
    result = await app.runs.resume(RUN)
    report = await app.runs.read.report(RUN)
    steps = [(step.name, step.status, step.failures) for step in report.steps]
    return result, report.manifest_id, report.input, steps, await app.runs.read.context(RUN)


def values(kept: Kept) -> Iterator[Value]:
    """Every value of a store, in an order that is always the same."""
    if kept.durable.on_files:
        for table, columns in {**COLUMNS, "view_term": ("value", "key")}.items():
            for column in columns:
                kind = f"typeof({column}) = 'text'"
                content = f"iif({kind}, CAST({column} AS BLOB), {column})"
                for row, text, value in sql(
                    kept.store, f"SELECT {SQLITE_NAMES[table]}, {kind}, {content} FROM {table}"
                ):
                    yield Value(table, column, row, bool(text), value)
        return
    for table, columns in {**COLUMNS, "view_term": ("term", "key")}.items():
        for column in columns:
            found = sql(kept.store, f"SELECT ctid::text, {column} FROM {table} ORDER BY {POSTGRES_ORDERS[table]}")
            for row, value in found:
                text = isinstance(value, str)
                yield Value(table, column, row, text, value.encode() if text else value)


def changed(each: Value, noise: random.Random, *, any_bytes: bool) -> Any:
    """A value with one bit flipped; every other time in text so that it is no longer UTF-8, with `any_bytes`."""
    if isinstance(each.value, int):
        return each.value ^ 1 << noise.randrange(6)
    content = bytearray(each.value or b"\0")
    if each.text and any_bytes:
        high = noise.random() < 0.5
        content[noise.randrange(len(content))] ^= 1 << (7 if high else noise.randrange(8))
    else:  # the server takes no text that is none: the lowest bit of a printed character gives another
        content[noise.randrange(len(content))] ^= 1 if each.text else 1 << noise.randrange(8)
    return bytes(content)


def flip(kept: Kept, each: Value, noise: random.Random) -> None:
    """Flip one bit of one value; in SQLite it takes the place of a row that it collides with."""
    if kept.durable.on_files:
        new, name = "CAST(? AS TEXT)" if each.text else "?", SQLITE_NAMES[each.table]
        statement = f"UPDATE OR REPLACE {each.table} SET {each.column} = {new} WHERE {name} = ?"
        sql(kept.store, statement, changed(each, noise, any_bytes=True), each.row)
        return
    while True:
        new = changed(each, noise, any_bytes=False)
        statement = f"UPDATE {each.table} SET {each.column} = ? WHERE ctid = ?::tid"
        try:
            sql(kept.store, statement, new.decode() if each.text else new, each.row)
        except UniqueViolation:
            continue
        return


@pytest.fixture(scope="module", params=[True, False], ids=["finished", "halted"])
def kept_rows(request: pytest.FixtureRequest, durable: Durable, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(durable, tmp_path_factory.mktemp("kept"), finished=request.param)


@pytest.fixture(scope="module", params=[True, False], ids=["finished", "halted"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(Durable(), tmp_path_factory.mktemp("kept"), finished=request.param)


@pytest.mark.parametrize("count", [60, pytest.param(1500, marks=[pytest.mark.slow, pytest.mark.timeout(3_000)])])
def test_a_flipped_bit_of_any_row_is_named_and_never_gives_another_success(kept_rows: Kept, count: int) -> None:
    """P20, F20: events, heads, artifacts, index and views."""
    kept, noise, refused = kept_rows, drawn(20), 0
    kept.restore()
    places = noise.choices(range(len(list(values(kept)))), k=count // kept.durable.stride(1, 4))
    for at in places:
        kept.restore()
        each = list(values(kept))[at]
        flip(kept, each, noise)
        place = each[:3]
        assert kept.named() or each.table in UNPROVED, place
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
