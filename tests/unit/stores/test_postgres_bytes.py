"""What is hashed comes back from PostgreSQL byte for byte, whatever it is."""

from __future__ import annotations

import asyncio

import psycopg

from interlock.base.events import IndexRow, SetTimer
from interlock.journal.ports import EMPTY, Append, Appended, Head, StoredEvent, StreamAppend, ViewRow
from interlock.stores.postgres import open_postgres
from interlock.testing.contracts.harness import stream
from tests.postgres import fresh_schema

A = stream("a")

REWRITTEN_BY_A_JSON_COLUMN = (
    b'{"b":1,"a":2}',  # the order of members
    b'{"a":1,"a":2}',  # a member twice
    b'{"n":1.0,"m":1e2,"k":-0}',  # the spelling of numbers
    b'{"n":1e400}',  # a number beyond a double
    b'{"text":"\\u0000"}',  # U+0000, which text cannot hold
    b'{"lone":"\\ud800"}',  # half a character
    '{"é":"é e\u0301"}'.encode(),  # composed and not
    b' { "a" : 1 }\n',  # white space
    b"\x00\xff\xfe no JSON at all",
)


def test_d14_hashed_data_is_kept_as_bytes_and_never_as_json(postgres_url: str) -> None:
    """D14: envelope, data and salt of events, artifacts, index values, timers and documents are what was given."""
    url = fresh_schema(postgres_url)

    async def main() -> None:
        store = await open_postgres(url)
        events = [
            StoredEvent(A, seq, f"{seq:064x}", b"envelope " + data, data, data)
            for seq, data in enumerate(REWRITTEN_BY_A_JSON_COLUMN, 1)
        ]
        rows = [IndexRow("odd", f"key {n}", data) for n, data in enumerate(REWRITTEN_BY_A_JSON_COLUMN)]
        timers = [SetTimer(f"timer {n}", A, n, data) for n, data in enumerate(REWRITTEN_BY_A_JSON_COLUMN)]
        head = Head(len(events), events[-1].digest)
        append = Append([StreamAppend(A, "default", EMPTY, events, head)], [*rows, *timers])
        assert isinstance((await store.events.append([append]))[0], Appended)
        views = [ViewRow(f"row {n}", n, {}, data) for n, data in enumerate(REWRITTEN_BY_A_JSON_COLUMN)]
        assert await store.views.apply("default", "odd@1", views, 0, 1)
        await store.close()

        store = await open_postgres(url)
        given = list(REWRITTEN_BY_A_JSON_COLUMN)
        for read in (await store.events.read(A, 0, 100), await store.events.feed("default", 0, 100)):
            assert [each.data for each in read] == given
            assert [each.salt for each in read] == given
            assert [each.envelope for each in read] == [b"envelope " + data for data in given]
        assert await store.index.get("default", "odd", [row.key for row in rows]) == given
        assert [timer.payload for timer in await store.timers.scan("default", "", 100)] == given
        assert await store.views.rows("default", "odd@1", [row.key for row in views]) == given
        await store.close()

    asyncio.run(main())
    assert json_columns(url) == []


def test_keys_may_hold_what_the_text_of_a_database_cannot(postgres_url: str) -> None:
    """U+0000 in keys of the index, of views and of timers, and keys in the order of their code points."""
    keys = ["a", "a\0", "a\0b", "b", "\uffff", "\U0001f512"]

    async def main() -> None:
        store = await open_postgres(fresh_schema(postgres_url))
        event = StoredEvent(A, 1, "1" * 64, b"{}", b"{}")
        rows = [IndexRow("odd", key, key.encode()) for key in reversed(keys)]
        timers = [SetTimer(key, A, 1) for key in reversed(keys)]
        addition = StreamAppend(A, "default", EMPTY, [event], Head(1, "1" * 64))
        await store.events.append([Append([addition], [*rows, *timers])])
        await store.views.apply("default", "odd@1", [ViewRow(key, 0, {"of\0": key}, b"") for key in keys], 0, 1)

        assert [key for key, _ in await store.index.scan("default", "odd", "", "", 100)] == keys
        assert [key for key, _ in await store.index.scan("default", "odd", "a\0", "", 100)] == ["a\0", "a\0b"]
        assert [timer.timer_id for timer in await store.timers.scan("default", "", 100)] == keys
        assert [timer.timer_id for timer in await store.timers.due("default", 1, 100)] == keys
        assert await store.views.query("default", "odd@1", {"of\0": "a\0"}, None, 10) == [(0, "a\0", b"")]
        await store.close()

    asyncio.run(main())


def json_columns(url: str) -> list[str]:
    """Columns of a store that a database would rewrite."""
    server, _, schema = url.partition("?schema=")
    with psycopg.connect(server) as connection:
        rows = connection.execute(
            "SELECT table_name || '.' || column_name FROM information_schema.columns "
            "WHERE table_schema = %s AND data_type IN ('json', 'jsonb', 'xml')",
            (schema,),
        ).fetchall()
    return [name for (name,) in rows]
