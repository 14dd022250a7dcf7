"""Rows whose values are of other types than were written, and listings that turn back: damage, on every port."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from interlock.base.errors import Corruption, InterlockError
from interlock.base.events import IndexRow
from interlock.journal.ports import Append, Store, ViewRow
from interlock.stores.sqlite import open_sqlite
from interlock.stores.sqlite.rows import RowShape, check_ascending
from interlock.testing.contracts.harness import append, blob, grow, onto, stream

A, PARTITION, VIEW = stream("a"), "default", "people@1"
ROW = ViewRow("ada", 1, {"town": "London"}, b"{}")
SMALL = blob(b"small")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a row in every table."""
    path = tmp_path_factory.mktemp("whole") / "store"

    async def main() -> None:
        store = await open_sqlite(path)
        await grow(store, A, b"1")
        [head] = await store.events.heads([A])
        await append(store, onto(head, A), rows=[IndexRow("names", "ada", b"1")], blobs=[SMALL])
        await store.views.apply(PARTITION, VIEW, [ROW], 0, 1)
        await store.activations.take(A, "run", "nobody", 0, 1000)
        await store.close()

    asyncio.run(main())
    return path


async def next_append(store: Store) -> None:
    [head] = await store.events.heads([A])
    row = IndexRow("names", "bo", b"2", fresh=True)
    [outcome] = await store.events.append([Append([onto(head, A)], [row], [SMALL])])
    if isinstance(outcome, Exception):
        raise outcome


READERS: dict[str, Callable[[Store], Awaitable[Any]]] = {
    "events.heads": lambda store: store.events.heads([A]),
    "events.read": lambda store: store.events.read(A, 0, 10),
    "events.feed": lambda store: store.events.feed(PARTITION, 0, 10),
    "events.streams": lambda store: store.events.streams(PARTITION, "", 10),
    "events.partitions": lambda store: store.events.partitions(),
    "events.append": next_append,
    "artifacts.get": lambda store: store.artifacts.get([SMALL.id]),
    "artifacts.exists": lambda store: store.artifacts.exists([SMALL.id]),
    "artifacts.scan": lambda store: store.artifacts.scan("", 10),
    "index.get": lambda store: store.index.get(PARTITION, "names", ["ada"]),
    "index.scan": lambda store: store.index.scan(PARTITION, "names", "", "", 10),
    "index.names": lambda store: store.index.names(PARTITION),
    "views.position": lambda store: store.views.position(PARTITION, VIEW),
    "views.rows": lambda store: store.views.rows(PARTITION, VIEW, ["ada"]),
    "views.query": lambda store: store.views.query(PARTITION, VIEW, {}, None, 10),
    "views.query by a term": lambda store: store.views.query(PARTITION, VIEW, {"town": "London"}, None, 10),
    "views.apply": lambda store: store.views.apply(PARTITION, VIEW, [ViewRow("ada")], 1, 2),
    "activations.claim": lambda store: store.activations.claim(PARTITION, ["run"], "me", 9, 5000, 1000),
    "activations.take": lambda store: store.activations.take(A, "run", "me", 5000, 1000),
    "activations.due": lambda store: store.activations.due(PARTITION, ["run"], 0),
    "activations.holder": lambda store: store.activations.holder(A, 0),
}
COLUMNS = {
    "partition": ["id"],
    "stream": ["id", "partition", "seq", "digest"],
    "event": ["stream", "seq", "digest", "envelope", "data", "salt"],
    "artifact": ["id", "kind", "bytes", "content"],
    "index_row": ["partition", "name", "key", "value"],
    "view": ["partition", "name", "position"],
    "view_row": ["view", "key", "ordinal", "terms", "document"],
    "view_term": ["view", "name", "value", "ordinal", "key"],
    "activation": ["stream", "partition", "kind", "due_ms", "epoch", "owner", "expires_ms"],
}
SEEM_MISSING = {
    *[("event", "stream"), ("artifact", "kind"), ("index_row", "partition"), ("index_row", "key")],
    *[("view", "partition"), ("view", "name"), ("view_row", "view")],
    *[("view_term", name) for name in ("view", "name", "value", "key")],
}
"""What no port looks at, or what no longer finds its row: heads tell of lost events, doctor of the others."""
OTHERS = ["x'ff00'", "'text'", "7", "0.5", "NULL"]


def spoil(path: Path, table: str, column: str, value: str) -> None:
    """Store a value of any type where the schema allows one type: the schema is made to allow all, for that long."""
    connection = apsw.Connection(str(path))
    connection.pragma("foreign_keys", 0)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    connection.pragma("writable_schema", 1)
    strict = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).get
    loose = strict.replace(") STRICT, WITHOUT", ") WITHOUT").replace(") STRICT", ")").replace(" NOT NULL", "")
    for kind in ("TEXT", "INTEGER", "BLOB"):
        loose = loose.replace(f" {kind},", ",").replace(f" {kind}\n", "\n")
    set_schema(connection, table, loose)
    connection.execute(f"UPDATE OR IGNORE {table} SET {column} = {value}")
    set_schema(connection, table, strict)
    connection.close()


def set_schema(connection: apsw.Connection, table: str, text: str) -> None:
    connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (text, table))
    connection.execute("PRAGMA writable_schema = RESET")
    connection.pragma("writable_schema", 1)


@pytest.mark.parametrize(("table", "column"), [(table, column) for table, names in COLUMNS.items() for column in names])
def test_a_value_of_another_type_is_damage_for_whoever_reads_it_and_no_fault_of_the_program(
    whole: Path, tmp_path: Path, table: str, column: str
) -> None:
    """P20: as one flipped bit in the header of a row makes it."""

    async def ask(path: Path, read: Callable[[Store], Awaitable[Any]]) -> None:
        store = await open_sqlite(path)
        try:
            await read(store)
        finally:
            await store.close()

    refused = 0
    for value in OTHERS:
        spoiled = tmp_path / "spoiled"
        spoiled.write_bytes(whole.read_bytes())
        spoil(spoiled, table, column, value)
        for read in READERS.values():
            path = tmp_path / "store"
            path.write_bytes(spoiled.read_bytes())
            try:
                asyncio.run(ask(path, read))
            except InterlockError as fault:
                refused += isinstance(fault, Corruption)
    assert bool(refused) != ((table, column) in SEEM_MISSING)


def test_a_listing_that_turns_back_is_damage() -> None:
    check_ascending("stream", ["", "a", "b"])
    for keys in (["b", "a"], ["", "a", "a"]):
        with pytest.raises(Corruption):
            check_ascending("stream", keys)


@pytest.mark.parametrize("count", [1, 4, 5, 300])
def test_one_wrong_value_among_many_rows_is_found(count: int) -> None:
    shape = RowShape("event", int, (bytes, type(None)))
    rows: list[tuple[Any, ...]] = [(n, None if n % 2 else b"") for n in range(count)]

    assert shape.checked(rows) == rows
    for wrong in ((0, "text"), (None, b""), (True, b"")):
        with pytest.raises(Corruption, match="table event"):
            shape.checked([*rows[:-1], wrong])
