"""The store in an SQLite file passes every contract, in real time and through real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.journal.ports import Store
from interlock.stores.sqlite import SqliteStore, open_sqlite
from interlock.testing.contracts import StoreContract


class TestSqliteStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _in_a_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.made = 0

    async def make_store(self) -> Store:
        self.made += 1
        return await open_sqlite(self.folder / f"{self.made}.store")

    async def reopen(self, store: Store) -> Store:
        assert isinstance(store, SqliteStore)
        return await open_sqlite(store.path)
