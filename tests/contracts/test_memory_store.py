"""The store in memory passes every contract, on virtual time and over interleavings."""

from __future__ import annotations

from interlock.journal.ports import Store
from interlock.stores.memory import MemoryStore
from interlock.testing.contracts import StoreContract
from interlock.testing.loop import run


class TestMemoryStore(StoreContract):
    run = staticmethod(run)
    seeds = 5

    async def make_store(self) -> Store:
        return MemoryStore()

    async def reopen(self, store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        return store.reopen()

    async def die(self, store: Store) -> None:
        assert isinstance(store, MemoryStore)
        store.die()
