"""The contract of a whole `Store`: all its ports, who it is, what it counts, and how it ends.

What it does: adds the store's own affairs to the suites of its ports. What it does not do: it opens no
damaged or foreign store; what an adapter refuses to open is its own.
"""

# ruff: noqa: S101, D102 - an assertion is what a test is for, and its name is its sentence

from __future__ import annotations

from interlock.base.errors import StorageFailure
from interlock.journal.ports import EMPTY, Append, Store
from interlock.testing.contracts.activation_rows import ActivationRowsContract
from interlock.testing.contracts.activations import ActivationsContract
from interlock.testing.contracts.artifacts import ArtifactsContract
from interlock.testing.contracts.doorbell import DoorbellContract
from interlock.testing.contracts.event_log import EventLogContract
from interlock.testing.contracts.harness import blob, code_of, content, grow, on_store, onto, refusal, stream
from interlock.testing.contracts.index import IndexContract
from interlock.testing.contracts.timers import TimersContract
from interlock.testing.contracts.views import ViewStoreContract

A = stream("a")


class StoreContract(
    EventLogContract,
    ArtifactsContract,
    IndexContract,
    ViewStoreContract,
    ActivationsContract,
    ActivationRowsContract,
    TimersContract,
    DoorbellContract,
):
    """Proves a `Store` through all its ports."""

    @on_store
    async def test_a_store_keeps_its_identity_and_each_opening_has_its_own_owner(self, store: Store) -> None:
        other = await self.again(store)

        assert (store.id != "", other.id) == (True, store.id)
        assert len({store.owner, other.owner, ""}) == 3

    @on_store
    async def test_two_stores_are_not_the_same(self, store: Store) -> None:
        another = await self.make_store()
        await another.close()

        assert another.id != store.id

    @on_store
    async def test_the_statistics_count_what_was_done(self, store: Store) -> None:
        await grow(store, A, b"1", b"2")
        await store.events.append([Append([onto(EMPTY, A)]), Append([onto(EMPTY, stream("b"))])])

        figures = store.statistics()

        assert (figures.appends, figures.events, figures.conflicts) == (2, 3, 1)
        assert (figures.queued, figures.refused) == (0, 0)
        assert figures.commits >= 1

    @on_store
    async def test_a_closed_store_takes_and_gives_nothing(self, store: Store) -> None:
        await grow(store, A)
        await store.close()

        [outcome] = await store.events.append([Append([onto(EMPTY, A)])])
        faults = [
            await refusal(store.events.heads([A])),
            await refusal(store.events.read(A, 0, 10)),
            await refusal(store.events.feed("default", 0, 10)),
            await refusal(store.artifacts.put([blob(b"late")])),
            await refusal(store.index.get("default", "open", ["key"])),
            await refusal(store.views.position("default", "runs@1")),
            await refusal(store.activations.holder(A, 0)),
            await refusal(store.timers.due("default", 0, 10)),
        ]

        assert code_of(outcome) == "store_closed"
        assert {fault.code for fault in faults} == {"store_closed"}
        assert all(isinstance(fault, StorageFailure) for fault in faults)

    @on_store
    async def test_a_store_may_be_closed_twice_and_opened_again(self, store: Store) -> None:
        await grow(store, A, b"1")

        await store.close()
        await store.close()

        other = await self.again(store)
        assert await content(other, A) == [b"1"]
