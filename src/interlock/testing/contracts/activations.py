"""The contract of `Activations`: who may drive a stream, since when, and that no wake is ever lost.

What it does: proves claims, leases, wakes and what an append records of them. What it does not do: it proves
no fence; that is the expected head of an append.

Rules: one living claim a stream at most; a dead owner's claim has ended; the caller says what time it is. The
functions here write and claim as the owner that a store is.
"""

# ruff: noqa: S101, D102 - an assertion is what a test is for, and its name is its sentence

from __future__ import annotations

import asyncio

import msgspec

from interlock.base.events import Claim, Rest, Row, Wake
from interlock.journal.ports import Held, Store
from interlock.testing.contracts.harness import Contract, grow, on_store, stream

A, B, C = stream("a"), stream("b"), stream("c")
NOW = 1_000_000
LEASE = 30_000
LATER = NOW + LEASE


async def write(store: Store, *rows: Row, to: str = A) -> None:
    """Write rows with an event."""
    await grow(store, to, rows=rows)


async def wake(store: Store, stream_id: str = A, due_ms: int = NOW, kind: str = "run") -> None:
    """Wake a stream with an event of its own."""
    await write(store, Wake(stream_id, kind, due_ms), to=stream_id)


async def claim(
    store: Store,
    now_ms: int = NOW,
    limit: int = 10,
    kinds: tuple[str, ...] = ("run",),
    partition: str = "default",
) -> list[Claim]:
    """Claim as the owner that `store` is."""
    return await store.activations.claim(partition, kinds, store.owner, limit, now_ms, LEASE)


async def claim_one(store: Store, now_ms: int = NOW) -> Claim:
    """Claim what must be exactly one stream."""
    claims = await claim(store, now_ms)
    assert len(claims) == 1
    return claims[0]


async def take(store: Store, stream_id: str = A, now_ms: int = NOW, *, steal: bool = False) -> Claim | Held:
    """Take a stream as the owner that `store` is."""
    return await store.activations.take(stream_id, "run", store.owner, now_ms, LEASE, steal=steal)


async def taken(store: Store, stream_id: str = A, now_ms: int = NOW, *, steal: bool = False) -> Claim:
    """Take a stream that can be taken."""
    claimed = await take(store, stream_id, now_ms, steal=steal)
    assert isinstance(claimed, Claim)
    return claimed


async def due(store: Store, now_ms: int = NOW, partition: str = "default") -> int | None:
    """When the next run can be claimed."""
    return await store.activations.due(partition, ["run"], now_ms)


async def ready(
    store: Store, now_ms: int = NOW, after: str = "", limit: int = 100, kinds: tuple[str, ...] = ("run",)
) -> list[str]:
    """Partitions in which something can be claimed."""
    return await store.activations.ready(kinds, now_ms, after, limit)


class ActivationsContract(Contract):
    """Proves `Activations`."""

    # Claiming

    @on_store
    async def test_where_nobody_woke_anything_there_is_nothing_to_claim(self, store: Store) -> None:
        await grow(store, A)

        assert await claim(store) == []
        assert await due(store) is None
        assert await store.activations.holder(A, NOW) is None

    @on_store
    async def test_the_oldest_is_claimed_first_and_no_more_than_asked_for(self, store: Store) -> None:
        for name, due_ms in (("d", NOW - 1), ("b", NOW - 4), ("a", NOW - 2), ("c", NOW - 3), ("e", NOW + 1)):
            await wake(store, stream(name), due_ms)

        first = await claim(store, limit=3)
        rest = await claim(store, limit=3)

        assert [each.stream for each in first] == [stream(name) for name in "bca"]
        assert [each.stream for each in rest] == [stream("d")]
        assert await claim(store, limit=0) == []

    @on_store
    async def test_only_the_kinds_that_are_asked_for_are_claimed(self, store: Store) -> None:
        await wake(store, A, NOW, "run")
        await wake(store, B, NOW - 1, "job")
        await wake(store, C, NOW - 2, "gate")

        assert await store.activations.due("default", ["job", "none"], NOW) == NOW - 1
        assert await claim(store, kinds=("none",)) == []
        assert [(each.stream, each.kind) for each in await claim(store, kinds=("job", "run"))] == [
            (B, "job"),
            (A, "run"),
        ]

    @on_store
    async def test_partitions_are_claimed_apart(self, store: Store) -> None:
        elsewhere = stream("a", "elsewhere")
        await wake(store, elsewhere, NOW)

        assert await claim(store) == []
        assert await due(store) is None
        assert await due(store, partition="elsewhere") == NOW
        assert [each.stream for each in await claim(store, partition="elsewhere")] == [elsewhere]

    @on_store
    async def test_of_all_partitions_those_are_ready_in_which_something_can_be_claimed(self, store: Store) -> None:
        for name, due_ms, kind in (
            *[("b", NOW, "run"), ("d", NOW - 9, "run"), ("a", NOW + 1, "run"), ("c", NOW - 5, "job")],
            *[("e", NOW - 1, "run"), ("e2", NOW + 9, "job")],
        ):
            await wake(store, stream("s", name), due_ms, kind)
        await wake(store, stream("other", "b"), NOW - 3)
        await grow(store, stream("idle", "f"))

        assert await ready(store) == ["b", "d", "e"]
        assert await ready(store, kinds=("job", "run")) == ["b", "c", "d", "e"]
        assert await ready(store, kinds=("none",)) == await ready(store, kinds=()) == []
        assert await ready(store, NOW - 4) == ["d"]
        assert await ready(store, NOW - 10) == []

    @on_store
    async def test_ready_partitions_come_in_pages_in_the_order_of_their_names(self, store: Store) -> None:
        names = [f"p{number:02d}" for number in range(9)]
        for number, name in enumerate(names):
            await wake(store, stream("s", name), NOW - number % 4)

        assert await ready(store, limit=4) == names[:4]
        assert await ready(store, after="p03", limit=4) == names[4:8]
        assert await ready(store, after="p07x") == names[8:]
        assert await ready(store, after="p08") == await ready(store, limit=0) == []

    @on_store
    async def test_however_much_is_due_in_one_partition_the_others_are_found_beside_it(self, store: Store) -> None:
        many: list[Row] = [Wake(stream(f"s{number}", "b"), "run", NOW - 9) for number in range(1_100)]
        await write(store, *many, to=stream("s", "b"))
        for name, due_ms, kind in (("a", NOW - 1, "run"), ("c", NOW, "run"), ("d", NOW + 1, "run"), ("e", NOW, "job")):
            await wake(store, stream("s", name), due_ms, kind)

        assert await ready(store) == ["a", "b", "c"]
        assert await ready(store, after="a", limit=1) == ["b"]
        assert await ready(store, after="b") == ["c"]
        assert await ready(store, kinds=("job", "run")) == ["a", "b", "c", "e"]
        assert await ready(store, NOW - 10) == await ready(store, after="c") == []

    @on_store
    async def test_a_partition_is_ready_until_nothing_in_it_can_be_claimed(self, store: Store) -> None:
        other = await self.again(store)
        elsewhere = stream("a", "elsewhere")
        await wake(store, elsewhere)
        await wake(store, B)

        [held] = await claim(store, partition="elsewhere")
        assert await ready(other) == ["default"]
        assert await ready(other, LATER) == ["default", "elsewhere"]
        await store.activations.release([held], NOW + 2)
        assert await ready(other, NOW + 2) == ["default", "elsewhere"]
        await write(store, Rest(elsewhere), to=elsewhere)
        assert await ready(other, LATER) == ["default"]

    @on_store
    async def test_the_first_due_time_of_any_partition_is_found_without_naming_one(self, store: Store) -> None:
        assert await store.activations.due(None, ["run"], NOW) is None
        await wake(store, A, NOW + 7)
        await wake(store, stream("a", "elsewhere"), NOW + 3)
        await wake(store, stream("b", "elsewhere"), NOW + 1, "job")

        assert await store.activations.due(None, ["run"], NOW) == NOW + 3
        assert await store.activations.due(None, ["run", "job"], NOW) == NOW + 1
        [claimed] = await claim(store, NOW + 3, partition="elsewhere")
        assert await store.activations.due(None, ["run"], NOW) == NOW + 7
        await store.activations.release([claimed], NOW + 5)
        assert await store.activations.due(None, ["run"], NOW) == NOW + 5

    @on_store
    async def test_what_a_dead_owner_held_is_ready_in_its_partition(self, store: Store) -> None:
        dying = await self.again(store)
        await wake(store, stream("a", "elsewhere"))
        await claim(dying, partition="elsewhere")
        assert await ready(store) == []

        await self.die(dying)

        assert await ready(store) == ["elsewhere"]
        assert await ready(store, after="elsewhere") == await ready(store, limit=0) == []
        first_ms = await store.activations.due(None, ["run"], NOW)
        assert first_ms is not None
        assert first_ms <= NOW

    @on_store
    async def test_a_claim_clears_the_due_time(self, store: Store) -> None:
        await wake(store)

        claimed = await claim_one(store)
        await store.activations.release([claimed], None)

        assert await claim(store, LATER * 2) == []
        assert await due(store) is None

    @on_store
    async def test_owners_that_claim_at_once_share_no_stream(self, store: Store) -> None:
        other = await self.again(store)
        for number in range(12):
            await wake(store, stream(f"s{number}"))

        claims = await asyncio.gather(*(claim((store, other)[n % 2], limit=2) for n in range(6)))

        claimed = [each.stream for some in claims for each in some]
        assert sorted(claimed) == sorted(stream(f"s{number}") for number in range(12))

    @on_store
    async def test_owners_that_take_at_once_do_not_both_get_it(self, store: Store) -> None:
        other = await self.again(store)

        answers = await asyncio.gather(*(take((store, other)[n % 2]) for n in range(4)))

        [won] = [each for each in answers if isinstance(each, Claim)]
        assert [each.claim for each in answers if isinstance(each, Held)] == [won] * 3

    # Leases

    @on_store
    async def test_a_living_claim_is_nobody_elses(self, store: Store) -> None:
        other = await self.again(store)
        await wake(store)
        claimed = await claim_one(store)

        for opened in (store, other):
            assert await opened.activations.holder(A, LATER - 1) == claimed
            assert await claim(opened, LATER - 1) == []
            assert await due(opened) == LATER

    @on_store
    async def test_a_claim_that_was_not_renewed_can_be_claimed_by_another(self, store: Store) -> None:
        other = await self.again(store)
        await wake(store)
        await claim_one(store)

        assert await store.activations.holder(A, LATER) is None
        assert await claim_one(other, LATER) == Claim(A, "run", other.owner, 2, LATER + LEASE)

    @on_store
    async def test_a_renewed_claim_lives_longer(self, store: Store) -> None:
        other = await self.again(store)
        await wake(store)
        claimed = await claim_one(store)

        assert await store.activations.renew([claimed], NOW + 10_000, LEASE) == [True]

        assert await claim(other, LATER) == []
        longer = msgspec.structs.replace(claimed, expires_ms=LATER + 10_000)
        assert await other.activations.holder(A, LATER) == longer

    @on_store
    async def test_only_what_is_still_ours_is_renewed(self, store: Store) -> None:
        other = await self.again(store)
        await wake(store, A)
        lost = await claim_one(store)
        found = await claim_one(other, LATER)
        kept = await taken(store, B, LATER)
        given_back = await taken(store, C, LATER)
        await store.activations.release([given_back], None)
        unknown = msgspec.structs.replace(kept, stream=stream("unknown"))

        claims = [lost, kept, given_back, unknown]
        assert await store.activations.renew(claims, LATER, LEASE) == [False, True, False, False]
        assert await store.activations.renew([found], LATER, LEASE) == [True]

    @on_store
    async def test_a_dead_owners_claims_have_ended_at_once(self, store: Store) -> None:
        dying = await self.again(store)
        await wake(store, A)
        await claim_one(dying)
        await taken(dying, B)

        await self.die(dying)

        next_ms = await due(store)
        assert next_ms is not None
        assert next_ms <= NOW
        assert await store.activations.holder(A, NOW) is None
        assert await store.activations.holder(B, NOW) is None
        assert (await taken(store, B)).epoch == 2
        assert [(each.stream, each.epoch) for each in await claim(store)] == [(A, 2)]

    @on_store
    async def test_claims_are_kept_when_others_open_and_close_the_store(self, store: Store) -> None:
        claimed = await taken(store)

        other = await self.again(store)
        assert await other.activations.holder(A, NOW) == claimed
        await other.close()

        assert await store.activations.holder(A, NOW) == claimed
        assert await store.activations.renew([claimed], NOW, LEASE) == [True]

    # Releasing

    @on_store
    async def test_what_is_given_back_until_a_time_is_due_again_then(self, store: Store) -> None:
        claimed = await taken(store)

        await store.activations.release([claimed], NOW + 70)

        assert await store.activations.holder(A, NOW) is None
        assert await due(store) == NOW + 70
        assert await claim(store, NOW + 69) == []
        assert (await claim_one(store, NOW + 70)).epoch == 2

    @on_store
    async def test_a_wake_while_it_is_held_survives_the_release(self, store: Store) -> None:
        for until_ms in (None, NOW + 500):
            claimed = await taken(store)
            await wake(store, due_ms=NOW + 20)
            assert await claim(store, NOW + 20) == []

            await store.activations.release([claimed], until_ms)

            assert await due(store) == NOW + 20
            assert len(await claim(store, NOW + 20)) == 1
            await store.activations.release([await taken(store, steal=True)], None)

    @on_store
    async def test_a_release_before_the_wake_that_came_meanwhile_is_due_first(self, store: Store) -> None:
        claimed = await taken(store)
        await wake(store, due_ms=NOW + 500)

        await store.activations.release([claimed], NOW + 20)

        assert await due(store) == NOW + 20

    @on_store
    async def test_giving_back_what_is_no_longer_ours_changes_nothing(self, store: Store) -> None:
        other = await self.again(store)
        lost = await taken(store)
        found = await taken(other, steal=True)

        await store.activations.release([lost], NOW)

        assert await store.activations.holder(A, NOW) == found
        assert await claim(store, LATER - 1) == []

    @on_store
    async def test_several_are_given_back_at_once(self, store: Store) -> None:
        claims = [await taken(store, each) for each in (A, B, C)]

        await store.activations.release(claims, NOW)
        await store.activations.release([], NOW)

        assert sorted(each.stream for each in await claim(store)) == [A, B, C]

    # Taking

    @on_store
    async def test_a_stream_is_taken_though_it_is_not_due(self, store: Store) -> None:
        assert await take(store) == Claim(A, "run", store.owner, 1, LATER)

        await wake(store, B, NOW + 99)
        assert (await taken(store, B)).epoch == 1
        assert await due(store) == LATER

    @on_store
    async def test_what_is_held_is_not_taken_not_even_by_its_holder(self, store: Store) -> None:
        other = await self.again(store)
        claimed = await taken(store)

        assert await take(other) == Held(claimed)
        assert await take(store) == Held(claimed)
        assert (await taken(other, now_ms=LATER)).epoch == 2

    @on_store
    async def test_stealing_ends_a_living_claim(self, store: Store) -> None:
        other = await self.again(store)
        lost = await taken(store)

        stolen = await taken(other, steal=True)

        assert (stolen.owner, stolen.epoch) == (other.owner, 2)
        assert await store.activations.holder(A, NOW) == stolen
        assert await store.activations.renew([lost], NOW, LEASE) == [False]

    @on_store
    async def test_the_epoch_rises_by_one_with_every_claim(self, store: Store) -> None:
        other = await self.again(store)
        epochs = []
        for turn in range(3):
            now_ms = NOW + turn * 10 * LEASE
            epochs.append((await taken(store, now_ms=now_ms)).epoch)
            epochs.append((await taken(other, now_ms=now_ms, steal=True)).epoch)
            left_behind = await claim_one(store, now_ms + LEASE)
            epochs.append(left_behind.epoch)
            await store.activations.release([left_behind], now_ms)
            again = await claim_one(other, now_ms)
            epochs.append(again.epoch)
            await other.activations.release([again], None)

        assert epochs == list(range(1, 13))
