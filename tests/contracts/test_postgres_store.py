"""The store on PostgreSQL passes every contract, on a real server, with each test in a schema of its own."""

from __future__ import annotations

import pytest

from interlock.journal.ports import Store
from interlock.stores.postgres import PostgresStore, open_postgres
from interlock.testing.contracts import StoreContract
from tests.postgres import fresh_schema


class TestPostgresStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _on_a_server(self, postgres_url: str) -> None:
        self.url = postgres_url
        self.urls: dict[str, str] = {}

    async def make_store(self) -> Store:
        url = fresh_schema(self.url)
        store = await open_postgres(url)
        self.urls[store.id] = url
        return store

    async def reopen(self, store: Store) -> Store:
        assert isinstance(store, PostgresStore)
        return await open_postgres(self.urls[store.id])
