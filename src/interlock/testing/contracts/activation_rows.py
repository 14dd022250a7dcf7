"""The contract of the rows by which an append wakes a stream, records its claim, or ends it.

What it does: proves `Wake`, `Hold` and `Rest` through `EventLog` and `Activations`. What it does not do: it
proves no lease; `activations` does.

Rules: no wake is ever lost, none comes of a refused append, and the rows of an append apply in their order.
"""

# ruff: noqa: S101, D102 - an assertion is what a test is for, and its name is its sentence

from __future__ import annotations

import msgspec

from interlock.base.events import Claim, Hold, Rest, Wake
from interlock.journal.ports import EMPTY, Append, Held, Store
from interlock.testing.contracts.activations import (
    LATER,
    LEASE,
    NOW,
    A,
    B,
    C,
    claim,
    claim_one,
    due,
    take,
    taken,
    wake,
    write,
)
from interlock.testing.contracts.harness import Contract, code_of, content, grow, on_store, onto


class ActivationRowsContract(Contract):
    """Proves what an append does to activations."""

    @on_store
    async def test_a_woken_stream_is_claimed_when_it_is_due_and_not_before(self, store: Store) -> None:
        await wake(store, due_ms=NOW)

        assert await claim(store, NOW - 1) == []
        assert await due(store, NOW - 1) == NOW
        assert await claim(store, NOW) == [Claim(A, "run", store.owner, 1, LATER)]

    @on_store
    async def test_what_is_overdue_is_due_now(self, store: Store) -> None:
        await wake(store, due_ms=NOW)

        next_ms = await due(store, NOW + 5)

        assert next_ms is not None
        assert next_ms <= NOW + 5

    @on_store
    async def test_a_wake_brings_the_due_time_forward_and_never_back(self, store: Store) -> None:
        for due_ms, expected in ((NOW + 50, NOW + 50), (NOW + 90, NOW + 50), (NOW + 20, NOW + 20)):
            await wake(store, due_ms=due_ms)
            assert await due(store) == expected

    @on_store
    async def test_the_wake_of_a_refused_append_is_none(self, store: Store) -> None:
        await grow(store, A)

        [outcome] = await store.events.append([Append([onto(EMPTY, A)], [Wake(A, "run", NOW)])])

        assert code_of(outcome) == "head_moved"
        assert await due(store) is None

    @on_store
    async def test_one_append_wakes_several_streams(self, store: Store) -> None:
        await write(store, Wake(B, "run", NOW + 1), Wake(C, "run", NOW), Wake(A, "job", NOW))

        assert [each.stream for each in await claim(store, NOW + 1)] == [C, B]

    @on_store
    async def test_an_append_records_the_claim_that_it_was_written_under(self, store: Store) -> None:
        other = await self.again(store)
        ours = Claim(A, "run", store.owner, 1, LATER)

        await write(store, Hold(ours))

        assert await other.activations.holder(A, NOW) == ours
        assert isinstance(await take(other), Held)
        assert await store.activations.renew([ours], NOW, LEASE) == [True]
        assert (await claim_one(other, LATER)).epoch == 2

    @on_store
    async def test_recording_the_claim_that_stands_keeps_a_wake_that_came_before(self, store: Store) -> None:
        claimed = await taken(store)
        await wake(store, due_ms=NOW + 5)

        await write(store, Hold(claimed))
        await store.activations.release([claimed], None)

        assert await due(store) == NOW + 5

    @on_store
    async def test_an_append_under_a_lost_claim_is_refused_whole(self, store: Store) -> None:
        other = await self.again(store)
        lost = await taken(store)
        stands = await taken(other, steal=True)
        rival = msgspec.structs.replace(lost, epoch=stands.epoch)

        for claimed in (lost, rival):
            [outcome] = await store.events.append([Append([onto(EMPTY, A)], [Wake(B, "run", NOW), Hold(claimed)])])
            assert code_of(outcome) == "claim_lost"

        assert await content(store, A) == []
        assert await due(store) == LATER
        assert await store.activations.holder(A, NOW) == stands

    @on_store
    async def test_a_later_claim_is_recorded_over_an_earlier_one(self, store: Store) -> None:
        other = await self.again(store)
        await taken(other)
        later = Claim(A, "run", store.owner, 5, LATER)

        await write(store, Hold(later))

        assert await store.activations.holder(A, NOW) == later
        assert (await taken(other, steal=True)).epoch == 6

    @on_store
    async def test_a_stream_that_has_ended_wants_no_owner(self, store: Store) -> None:
        await wake(store)
        claimed = await claim_one(store)

        await write(store, Rest(A))
        await store.activations.release([claimed], NOW)

        assert await store.activations.holder(A, NOW) is None
        assert await store.activations.renew([claimed], NOW, LEASE) == [False]
        assert await claim(store, LATER * 2) == []
        assert await due(store) is None

    @on_store
    async def test_a_stream_that_has_ended_can_be_woken_again(self, store: Store) -> None:
        await wake(store)
        await write(store, Rest(A))

        await wake(store, due_ms=NOW + 5)

        assert (await claim_one(store, NOW + 5)).stream == A

    @on_store
    async def test_wakes_and_rests_of_one_append_apply_in_their_order(self, store: Store) -> None:
        await write(store, Wake(A, "run", NOW), Rest(A), Rest(B), Wake(B, "run", NOW))

        assert [each.stream for each in await claim(store)] == [B]
