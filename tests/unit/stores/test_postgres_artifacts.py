"""Large artifacts on PostgreSQL: few statements, one transaction each, and parts that fit together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import pytest

from interlock.base.errors import InterlockError
from interlock.journal.ports import EMPTY, Append, Blob
from interlock.stores.postgres import open_postgres
from interlock.stores.postgres.artifacts import PART_BYTES, PARTS_AT_ONCE
from interlock.stores.postgres.connections import Pool
from interlock.testing.contracts.harness import blob, code_of, onto, stream
from tests.postgres import fresh_schema

PART = b"0123456789abcdef" * (PART_BYTES // 16)


def large(parts: int, more: int = 1) -> Blob:
    """An artifact of so many whole parts, and some bytes."""
    return blob(PART * parts + b"x" * more)


async def transactions(url: str) -> int:
    """In how many transactions the parts that are there were written."""
    server, _, schema = url.partition("?schema=")
    async with await psycopg.AsyncConnection.connect(server) as connection:
        found = await connection.execute(f"SELECT count(DISTINCT xmin::text) FROM {schema}.artifact_part".encode())
        [(count,)] = await found.fetchall()
        return int(count)


@pytest.mark.parametrize("parts", [1, PARTS_AT_ONCE - 1, PARTS_AT_ONCE, PARTS_AT_ONCE * 2])
def test_the_parts_of_an_artifact_are_one_transaction(postgres_url: str, parts: int) -> None:
    async def main() -> None:
        url = fresh_schema(postgres_url)
        store = await open_postgres(url)
        for each in (large(parts, more=0), large(parts)):
            await store.artifacts.put([each])
            assert await store.artifacts.get([each.id]) == [each.content]
        assert await transactions(url) == 2
        await store.close()

    asyncio.run(main())


def test_many_artifacts_are_looked_for_once_and_read_with_few_statements(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of appends that come together and of a page that is read; what is in several of them is written once."""
    asked = list[bytes]()

    async def rows(self: Pool, sql: bytes, values: Sequence[Any] | Mapping[str, Any] | None = None) -> list[Any]:
        asked.append(sql)
        return await rows_of(self, sql, values)

    async def main() -> None:
        store = await open_postgres(fresh_schema(postgres_url))
        blobs = [blob(b"%d" % n * 40_000) for n in range(10, 40)]
        appends = [Append([onto(EMPTY, stream(f"s{n}"))], (), [each, blobs[0]]) for n, each in enumerate(blobs[1:])]
        monkeypatch.setattr(Pool, "rows", rows)
        assert {code_of(each) for each in await store.events.append(appends)} == {"appended"}
        assert len([sql for sql in asked if b"FROM artifact" in sql]) == 1

        asked.clear()
        ids = [each.id for each in reversed(blobs)]
        assert await store.artifacts.get([*ids, ids[0]]) == [each.content for each in [*reversed(blobs), blobs[-1]]]
        assert len([sql for sql in asked if b"FROM artifact" in sql]) == 2
        await store.close()

    rows_of = Pool.rows
    asyncio.run(main())


def test_an_artifact_under_a_wrong_name_stops_no_other_append(postgres_url: str) -> None:
    async def main() -> None:
        store = await open_postgres(fresh_schema(postgres_url))
        good, bad = large(1), Blob("f" * 64, "file", PART * 2)
        appends = [Append([onto(EMPTY, stream(f"s{n}"))], (), [each]) for n, each in enumerate((good, bad, good))]
        codes = [code_of(each) for each in await store.events.append(appends)]
        assert codes == ["appended", "artifact_id_mismatch", "appended"]
        assert await store.artifacts.exists([good.id, bad.id]) == [True, False]
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize("lost", ["no = 0", "no = 1", "true"])
def test_a_part_that_is_lost_is_told_with_the_artifact(postgres_url: str, lost: str) -> None:
    async def main() -> None:
        url = fresh_schema(postgres_url)
        store = await open_postgres(url)
        one, other = large(1), large(2)
        await store.artifacts.put([one, other])
        server, _, schema = url.partition("?schema=")
        async with await psycopg.AsyncConnection.connect(server) as connection:
            values = (bytes.fromhex(other.id),)
            await connection.execute(f"DELETE FROM {schema}.artifact_part WHERE id = %s AND {lost}".encode(), values)
        with pytest.raises(InterlockError) as fault:
            await store.artifacts.get([one.id, other.id])
        assert (fault.value.code, fault.value.details["artifact"]) == ("artifact_corrupt", other.id)
        await store.close()

    asyncio.run(main())


def test_two_stores_that_put_the_same_artifacts_at_once_both_succeed(postgres_url: str) -> None:
    async def main() -> None:
        url = fresh_schema(postgres_url)
        stores = [await open_postgres(url) for _ in range(2)]
        blobs = [large(2, more=n) for n in range(4)]
        await asyncio.gather(stores[0].artifacts.put(blobs), stores[1].artifacts.put(blobs[::-1]))
        assert await stores[0].artifacts.get([each.id for each in blobs]) == [each.content for each in blobs]
        for store in stores:
            await store.close()

    asyncio.run(main())
