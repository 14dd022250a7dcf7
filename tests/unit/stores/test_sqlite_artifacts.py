"""Artifacts of a store in an SQLite file: where they lie, and what damage to them does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import apsw
import pytest

from interlock.journal.ports import EMPTY, Append
from interlock.stores.sqlite import SqliteSettings, SqliteStore, open_sqlite
from interlock.testing.contracts.harness import append, blob, code_of, is_empty, onto, refusal, stream

A = stream("a")
SMALL, LARGE = blob(b"s" * 100), blob(b"l" * 101)
SETTINGS = SqliteSettings(artifact_inline_bytes_max=100)
Test = Callable[[SqliteStore], Coroutine[Any, Any, None]]


def on_store(folder: Path, test: Test) -> None:
    async def main() -> None:
        store = await open_sqlite(folder / "store", settings=SETTINGS)
        try:
            await test(store)
        finally:
            await store.close()

    asyncio.run(main())


def files_of(folder: Path) -> list[str]:
    return [path.name for path in (folder / "store.artifacts").rglob("*") if path.is_file()]


def test_large_artifacts_lie_in_files_and_small_ones_in_the_database(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        await append(store, onto(EMPTY, A), blobs=[SMALL, LARGE])

        assert await store.artifacts.get([SMALL.id, LARGE.id]) == [SMALL.content, LARGE.content]
        assert await store.artifacts.exists([SMALL.id, LARGE.id]) == [True, True]

    on_store(tmp_path, test)
    assert files_of(tmp_path) == [LARGE.id]


def test_another_limit_does_not_hide_what_was_stored_under_an_earlier_one(tmp_path: Path) -> None:
    async def store_them(store: SqliteStore) -> None:
        await store.artifacts.put([SMALL, LARGE])

    on_store(tmp_path, store_them)

    async def main() -> None:
        for limit in (0, 1000):
            settings = SqliteSettings(artifact_inline_bytes_max=limit)
            store = await open_sqlite(tmp_path / "store", settings=settings)
            assert await store.artifacts.put([SMALL, LARGE]) == [SMALL.id, LARGE.id]
            assert await store.artifacts.get([SMALL.id, LARGE.id]) == [SMALL.content, LARGE.content]
            assert await store.artifacts.exists([SMALL.id, LARGE.id]) == [True, True]
            await store.close()

    asyncio.run(main())


def test_a_large_artifact_is_in_its_file_before_the_append_begins(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    async def main() -> None:
        store = await open_sqlite(
            tmp_path / "store",
            settings=SETTINGS,
            faults=lambda point: seen.append((point, len(files_of(tmp_path)))),
        )
        await append(store, onto(EMPTY, A), blobs=[LARGE])
        await store.close()

    asyncio.run(main())
    assert seen == [
        ("artifact:before_rename", 1),  # under another name
        ("artifact:after_rename", 1),
        ("append:before", 1),
        ("append:before_commit", 1),
        ("append:after_commit", 1),
    ]


def test_a_lost_file_is_missing_and_a_changed_one_is_damaged(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        other = blob(b"o" * 200)
        await store.artifacts.put([LARGE, other])
        folder = tmp_path / "store.artifacts"
        (folder / LARGE.id[:2] / LARGE.id).unlink()
        (folder / other.id[:2] / other.id).write_bytes(b"p" * 200)

        assert await store.artifacts.exists([LARGE.id, other.id]) == [False, True]
        assert (await refusal(store.artifacts.get([LARGE.id]))).code == "artifact_not_found"
        assert (await refusal(store.artifacts.get([other.id]))).code == "artifact_corrupt"
        await store.artifacts.put([LARGE])
        assert await store.artifacts.get([LARGE.id]) == [LARGE.content]

    on_store(tmp_path, test)


@pytest.mark.parametrize("content", [b"t" * 100, b"s" * 99, b""])
def test_changed_bytes_in_the_database_are_never_given_out(tmp_path: Path, content: bytes) -> None:
    async def test(store: SqliteStore) -> None:
        await store.artifacts.put([SMALL])
        connection = apsw.Connection(str(tmp_path / "store"))
        connection.execute("UPDATE artifact SET content = ?", (content,))
        connection.close()

        assert (await refusal(store.artifacts.get([SMALL.id]))).code == "artifact_corrupt"

    on_store(tmp_path, test)


def test_an_append_that_names_an_artifact_stored_with_another_size_is_refused_alone(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        await store.artifacts.put([SMALL])
        connection = apsw.Connection(str(tmp_path / "store"))
        connection.execute("UPDATE artifact SET bytes = 7")
        connection.close()

        outcomes = await store.events.append(
            [Append([onto(EMPTY, A)], (), [SMALL]), Append([onto(EMPTY, stream("b"))])]
        )

        assert code_of(outcomes[0]) == "artifact_corrupt"
        assert await is_empty(store, A)
        assert await store.events.position("default") == 1

    on_store(tmp_path, test)


def test_what_is_no_digest_is_no_artifact(tmp_path: Path) -> None:
    async def test(store: SqliteStore) -> None:
        for name in ("", "../x", "é", "A" * 64):
            assert await store.artifacts.exists([name]) == [False]
            assert (await refusal(store.artifacts.get([name]))).code == "artifact_not_found"

    on_store(tmp_path, test)
