"""The writer on PostgreSQL: what the server refuses once is tried again, and what cannot be stored stops no other."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from interlock.base.events import Claim, ClearTimer, Hold, IndexRow, Rest, Row, SetTimer, Wake
from interlock.journal.ports import EMPTY, Append, Appended
from interlock.stores.postgres import PostgresSettings, PostgresStore, open_postgres
from interlock.testing.contracts.harness import append, blob, code_of, content, grow, onto, stream
from tests.postgres import fresh_schema

A, B = stream("a"), stream("b")


async def failing(url: str, state: str, times: int) -> None:
    """Let the next writes of events fail with an SQLSTATE: a trigger that comes while the store is open."""
    server, _, name = url.partition("?schema=")
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as connection:
        await connection.execute(f"SET search_path = {name}".encode())
        await connection.execute(b"CREATE SEQUENCE hiccup")
        await connection.execute(
            "CREATE FUNCTION hiccup() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF nextval('hiccup') <= {times} THEN RAISE EXCEPTION 'hiccup' USING ERRCODE = '{state}'; END IF; "
            "RETURN NULL; END $$".encode()
        )
        await connection.execute(
            b"CREATE TRIGGER hiccup BEFORE INSERT ON event FOR EACH STATEMENT EXECUTE FUNCTION hiccup()"
        )


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03"])
def test_serialisation_failures_and_deadlocks_are_tried_again(postgres_url: str, state: str) -> None:
    async def main() -> None:
        url = fresh_schema(postgres_url)
        store = await open_postgres(url)
        await grow(store, A, b"1")
        await failing(url, state, times=4)
        assert await append(store, onto(EMPTY, B, b"2")) == Appended("default", 2)
        assert store.statistics().commits == 2
        await store.close()

    asyncio.run(main())


def test_what_never_succeeds_is_told_as_contention(postgres_url: str) -> None:
    async def main() -> None:
        url = fresh_schema(postgres_url)
        store = await open_postgres(url, settings=PostgresSettings(batch_retries_max=3))
        await failing(url, "40001", times=3)
        [outcome] = await store.events.append([Append([onto(EMPTY, A)])])
        assert code_of(outcome) == "contention"
        assert await append(store, onto(EMPTY, A)) == Appended("default", 1)
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("state", "code"),
    [("53100", "disk_full"), ("57014", "store_busy"), ("XX001", "store_corrupt"), ("25006", "store_unwritable")],
)
def test_what_the_server_could_not_do_was_not_done_and_can_be_asked_again(
    postgres_url: str, state: str, code: str
) -> None:
    """A full disk, a timeout: nothing was written, everybody in the batch hears why, and the store goes on."""

    async def main() -> None:
        url = fresh_schema(postgres_url)
        store = await open_postgres(url)
        await failing(url, state, times=1)
        outcomes = await store.events.append([Append([onto(EMPTY, each)]) for each in (A, B)])
        assert [code_of(outcome) for outcome in outcomes] == [code, code]
        assert await content(store, A) == []
        assert [await append(store, onto(EMPTY, each)) for each in (A, B)] == [
            Appended("default", 1),
            Appended("default", 2),
        ]
        await store.close()

    asyncio.run(main())


UNSTORABLE: list[Row] = [
    IndexRow("na\0me", "key", b""),
    IndexRow("open", "half \ud800", b""),
    IndexRow("open", "k" * 2_001, b""),
    SetTimer("t" * 3_000, A, 1),
    SetTimer("t", "str\0eam", 1),
    ClearTimer("\ud800"),
    Wake("str\0eam", "run", 1),
    Wake(A, "r\0n", 1),
    Rest("\ud800"),
    Hold(Claim(A, "run", "own\0er", 1, 1)),
]


def test_what_cannot_be_stored_is_refused_alone(postgres_url: str) -> None:
    """A name with U+0000, half a character, a key that no index takes: appends of the same batch go on."""

    async def main() -> None:
        store = await open_postgres(fresh_schema(postgres_url))
        bad = [Append([onto(EMPTY, stream(f"bad{n}"))], [row]) for n, row in enumerate(UNSTORABLE)]
        bad.append(Append([onto(EMPTY, stream("bad"))], (), [blob(b"x", "ki\0nd")]))
        good = [Append([onto(EMPTY, stream(f"good{n}"))], [IndexRow("open", f"k\0{n}", b"")]) for n in range(3)]

        outcomes = await store.events.append([good[0], *bad, *good[1:]])

        assert [code_of(each) for each in outcomes] == ["appended", *["append_malformed"] * len(bad), *["appended"] * 2]
        await store.close()

    asyncio.run(main())


def test_a_lone_append_is_one_commit_and_a_crowd_shares_few(postgres_url: str) -> None:
    async def one(store: PostgresStore, name: str) -> None:
        await grow(store, name, b"1")

    async def main() -> None:
        store = await open_postgres(fresh_schema(postgres_url))
        await one(store, A)
        assert store.statistics().commits == 1
        await asyncio.gather(*(store.events.append([Append([onto(EMPTY, stream(f"s{n}"))])]) for n in range(500)))
        assert store.statistics().appends == 501
        assert store.statistics().commits < 30
        await store.close()

    asyncio.run(main())


def test_two_writers_that_move_each_others_streams_lose_nothing(postgres_url: str) -> None:
    """What a writer remembers is wrong again and again: it looks again, and a conflict is only who really lost."""

    async def hammer(store: PostgresStore, name: str, wins: int) -> int:
        conflicts = 0
        while wins:
            [head] = await store.events.heads([name])
            [outcome] = await store.events.append(
                [Append([onto(head, name)], [Wake(name, "run", 5), IndexRow("open", name, b"")])]
            )
            wins -= isinstance(outcome, Appended)
            conflicts += not isinstance(outcome, Appended)
            assert code_of(outcome) in {"appended", "head_moved"}
        return conflicts

    async def main() -> None:
        url = fresh_schema(postgres_url)
        stores = [await open_postgres(url) for _ in range(2)]
        names = [stream(f"s{n}") for n in range(3)]
        await asyncio.gather(*(hammer(store, name, 15) for store in stores for name in names))
        feed = await stores[0].events.feed("default", 0, 1_000)
        assert [each.position for each in feed] == list(range(1, 91))
        assert [head.seq for head in await stores[1].events.heads(names)] == [30, 30, 30]
        for store in stores:
            await store.close()

    asyncio.run(main())


async def deadlocks(url: str) -> int:
    """How many the server has seen in this database; a session tells what it saw when it ends."""
    async with await psycopg.AsyncConnection.connect(url.partition("?schema=")[0]) as connection:
        found = await connection.execute(b"SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        [(count,)] = await found.fetchall()
        return int(count)


def test_writers_take_their_locks_in_one_order(postgres_url: str) -> None:
    """Heads, new streams, positions, activations, artifacts: nobody waits in a circle."""

    async def crowd(store: PostgresStore, turn: int, *, backwards: bool) -> None:
        names = [stream(f"s{n}", f"t{n % 3}") for n in range(9)]
        heads = dict(zip(names, await store.events.heads(names), strict=True))
        appends = [
            Append(
                [onto(heads[name], name)],
                [Wake(other, "run", turn) for other in (name, stream("shared", "t0"))],
                [blob(b"%d" % n) for n in (turn, turn + 1)],
            )
            for name in names
        ]
        appends += [Append([onto(EMPTY, stream(f"new{turn}-{n}", f"t{n % 3}"))]) for n in range(3)]
        await store.events.append(appends[::-1] if backwards else appends)

    async def main() -> None:
        url = fresh_schema(postgres_url)
        before = await deadlocks(url)
        stores = [await open_postgres(url) for _ in range(3)]
        for turn in range(15):
            await asyncio.gather(*(crowd(store, turn, backwards=n % 2 == 1) for n, store in enumerate(stores)))
        for store in stores:
            await store.close()
        assert await deadlocks(url) == before

    asyncio.run(main())


def test_who_gives_up_waiting_does_not_undo_the_append(postgres_url: str) -> None:
    async def main() -> None:
        store = await open_postgres(fresh_schema(postgres_url))
        waiting = asyncio.create_task(store.events.append([Append([onto(EMPTY, A, b"kept")])]))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await grow(store, B)
        assert await content(store, A) == [b"kept"]
        await store.close()

    asyncio.run(main())
