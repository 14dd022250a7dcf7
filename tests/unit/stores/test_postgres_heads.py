"""What the writer remembers of heads: what is used stays, and what is missing is all that is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from interlock.base.events import Claim, Hold, Rest, Wake
from interlock.journal.ports import Append, Head
from interlock.stores.postgres import PostgresSettings, PostgresStore, open_postgres
from interlock.stores.postgres.connections import Pool
from interlock.stores.postgres.statements import statements
from interlock.testing.contracts.harness import code_of, grow, onto, stream
from tests.postgres import fresh_schema

FIND = statements("events")["streams_find"]
NAMES = [stream(f"s{number}") for number in range(10)]
Asked = list[tuple[bytes, Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Every statement that the store reads with, and its values."""
    found: Asked = []
    rows_of: Callable[..., Any] = Pool.rows

    async def rows(self: Pool, sql: bytes, values: Sequence[Any] | Mapping[str, Any] | None = None) -> list[Any]:
        found.append((sql, values))
        return list(await rows_of(self, sql, values))

    monkeypatch.setattr(Pool, "rows", rows)
    return found


def looked_for(asked: Asked) -> list[list[str]]:
    return [sorted(values[0]) for sql, values in asked if sql == FIND]


async def onto_all(store: PostgresStore, heads: dict[str, Head], *rows: object) -> list[str]:
    """Append to every stream in one call; move the heads that were appended to."""
    appends = [Append([onto(head, name)], rows) for name, head in heads.items()]  # type: ignore[arg-type]
    outcomes = [code_of(each) for each in await store.events.append(appends)]
    heads |= {each.streams[0].stream: each.streams[0].head for each in appends}
    return outcomes


def test_only_the_head_that_is_not_remembered_is_read(postgres_url: str, asked: Asked) -> None:
    """A batch of many remembered heads and one that another process made: one statement for the one."""

    async def main() -> None:
        url = fresh_schema(postgres_url)
        store, other = await open_postgres(url), await open_postgres(url)
        heads = {name: await grow(store, name) for name in NAMES[:-1]}
        heads[NAMES[-1]] = await grow(other, NAMES[-1])
        asked.clear()

        assert await onto_all(store, heads) == ["appended"] * 10
        assert looked_for(asked) == [[NAMES[-1]]]
        assert await onto_all(store, heads) == ["appended"] * 10
        assert looked_for(asked) == [[NAMES[-1]]]
        await store.close()
        await other.close()

    asyncio.run(main())


def test_a_batch_that_wakes_streams_reads_activations_and_no_head(postgres_url: str, asked: Asked) -> None:
    async def main() -> None:
        store = await open_postgres(fresh_schema(postgres_url))
        heads = {name: await grow(store, name) for name in NAMES}
        asked.clear()
        assert await onto_all(store, heads, Wake(NAMES[0], "run", 7), Rest(NAMES[1])) == ["appended"] * 10
        assert looked_for(asked) == []
        assert await store.activations.due("default", ["run"], 0) == 7
        await store.close()

    asyncio.run(main())


def test_a_stream_that_is_used_is_not_forgotten(postgres_url: str, asked: Asked) -> None:
    """Many others come and go: what was not used for longest makes room, and memory stays bounded."""

    async def main() -> None:
        store = await open_postgres(fresh_schema(postgres_url), settings=PostgresSettings(heads_cached_max=16))
        hot = {name: await grow(store, name) for name in NAMES[:3]}
        for number in range(200):
            await store.events.append([Append([onto(Head(0, ""), stream(f"cold{number}"))])])
            if number % 5 == 0:
                assert await onto_all(store, hot) == ["appended"] * 3
            assert len(store.writer._heads._streams) <= 16
        assert looked_for(asked) == [[name] for name in NAMES[:3]]  # the test's own looks, before it began
        await store.close()

    asyncio.run(main())


def test_what_was_remembered_wrongly_beside_what_is_read_is_read_again(postgres_url: str) -> None:
    """Another process moved one stream and made another: who knows their heads appends, who does not is refused."""

    async def main() -> None:
        url = fresh_schema(postgres_url)
        store, other = await open_postgres(url), await open_postgres(url)
        stale = await grow(store, NAMES[0])
        moved, made = await grow(other, NAMES[0]), await grow(other, NAMES[1])
        assert await onto_all(store, {NAMES[0]: moved, NAMES[1]: made}) == ["appended"] * 2

        last = await grow(other, NAMES[0])
        unknown = await grow(other, NAMES[2])
        assert last != stale
        assert await onto_all(store, {NAMES[0]: stale, NAMES[2]: unknown}) == ["head_moved", "appended"]
        again = await grow(other, NAMES[3])
        [head] = await other.events.heads([NAMES[0]])
        await grow(other, NAMES[0])
        assert await onto_all(store, {NAMES[0]: head, NAMES[3]: again}) == ["head_moved", "appended"]
        await store.close()
        await other.close()

    asyncio.run(main())


@pytest.mark.parametrize("numbers", [True, False])
def test_new_streams_are_woken_and_held_without_reading(postgres_url: str, asked: Asked, *, numbers: bool) -> None:
    """Whether or not a number is drawn for a new stream already, its activation is what its rows say."""

    async def main() -> None:
        store = await open_postgres(fresh_schema(postgres_url))
        await grow(store, stream("first"))
        if not numbers:
            store.writer._heads._numbers.clear()
        asked.clear()
        appends = [
            Append([onto(Head(0, ""), name)], [Wake(name, "run", 5), Hold(Claim(name, "run", store.owner, 3, 2**50))])
            for name in NAMES
        ]
        assert {code_of(each) for each in await store.events.append(appends)} == {"appended"}
        assert [sql for sql, _ in asked if b"FROM activation" in sql] == []
        holder = await store.activations.holder(NAMES[0], 0)
        assert holder is not None
        assert holder.epoch == 3
        await store.activations.release([holder], None)
        await store.close()

    asyncio.run(main())
