"""Examining a store in a file whose rows were changed or deleted behind its back."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from interlock.journal.journal import Journal
from interlock.stores.sqlite import open_sqlite
from tests.unit.journal.bank import NOW_MS, open_journal
from tests.unit.journal.vault import DOCUMENT, MAP, A, B, C, fill, findings

pytestmark = pytest.mark.unproved("every test damages its store, to see the damage named")


class StillClock:
    """Always the same time."""

    def now_ms(self) -> int:
        return NOW_MS


async def opened(path: Path, *, read_only: bool = False) -> Journal:
    return open_journal(await open_sqlite(path, read_only=read_only), StillClock())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A filled store that is closed."""

    async def make() -> None:
        journal = await opened(tmp_path / "store.db")
        await fill(journal)
        await journal.store.close()

    asyncio.run(make())
    return tmp_path / "store.db"


def examined(path: Path) -> list[tuple[str, str]]:
    async def examine() -> list[tuple[str, str]]:
        journal = await opened(path, read_only=True)
        try:
            return await findings(journal)
        finally:
            await journal.store.close()

    return asyncio.run(examine())


def test_a_store_in_a_file_is_sound_before_it_is_damaged(path: Path) -> None:
    assert examined(path) == []


DAMAGES: dict[str, tuple[str, tuple[object, ...], list[tuple[str, str]]]] = {
    "data": (
        "UPDATE event SET data = x'7b7d' WHERE stream = (SELECT no FROM stream WHERE id = ?) AND seq = ?",
        (A, 5),
        [("event_corrupt", f"{A}#5")],
    ),
    "envelope": (
        """UPDATE event SET envelope = CAST(replace(envelope, 'ada', 'eve') AS BLOB)
           WHERE stream = (SELECT no FROM stream WHERE id = ?) AND seq = ?""",
        (A, 6),
        [("event_corrupt", f"{A}#6")],
    ),
    "salt": (
        "UPDATE event SET salt = x'00' WHERE stream = (SELECT no FROM stream WHERE id = ?) AND seq = ?",
        (A, 4),
        [("event_corrupt", f"{A}#4")],
    ),
    "digest": (
        "UPDATE event SET digest = x'00' WHERE stream = (SELECT no FROM stream WHERE id = ?) AND seq = ?",
        (B, 2),
        [("event_corrupt", f"{B}#2")],
    ),
    "event gone": (
        "DELETE FROM event WHERE stream = (SELECT no FROM stream WHERE id = ?) AND seq = ?",
        (A, 4),
        [("event_missing", f"{A}#4"), ("feed_hole", "default@5")],
    ),
    "head": ("UPDATE stream SET digest = x'00' WHERE id = ?", (C,), [("head_wrong", C)]),
    "head ahead": ("UPDATE stream SET seq = 9 WHERE id = ?", (A,), [("event_missing", f"{A}#7-9")]),
    "head behind": ("UPDATE stream SET seq = 5 WHERE id = ?", (A,), [("head_wrong", A)]),
    "artifact": (
        "UPDATE artifact SET content = x'00' WHERE id = ?",
        (DOCUMENT.id,),
        [("artifact_corrupt", DOCUMENT.id)],
    ),
    "artifact gone": (
        "DELETE FROM artifact WHERE id = ?",
        (MAP.root_id,),
        [("artifact_not_found", MAP.root_id)],
    ),
    "index": (
        "UPDATE index_row SET value = x'00' WHERE key = ?",
        ("t-1",),
        [("index_row_wrong", "default/command/t-1")],
    ),
    "index gone": (
        "DELETE FROM index_row WHERE name = ?",
        ("name",),
        [("index_row_wrong", "default/name/savings")],
    ),
    "snapshot": (
        "UPDATE index_row SET value = x'00' WHERE name = ?",
        ("fold",),
        [("fold_snapshot_wrong", f"default/fold/account:{A}")],
    ),
    "view": (
        "UPDATE view_row SET ordinal = ?",
        (1,),
        [("view_row_wrong", f"default/balances@1/{stream}") for stream in (A, B, C)],
    ),
    "view gone": (
        "DELETE FROM view_row WHERE key = ?",
        (B,),
        [("view_row_wrong", f"default/balances@1/{B}")],
    ),
    "term gone": (
        "DELETE FROM view_term WHERE key = ?",
        (B,),
        [("view_row_wrong", f"default/balances@1/{B}")],
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_changed_row_of_a_file_is_named_and_nothing_else_is(path: Path, damage: str) -> None:
    statement, values, found = DAMAGES[damage]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(statement, values).rowcount > 0
        connection.commit()

    assert examined(path) == found
