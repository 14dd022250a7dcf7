"""The store in memory beyond the contract: faults, deaths, its queue, every interleaving of a race."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

import pytest

from interlock.base.clock import SeededEntropy
from interlock.base.errors import InterlockError
from interlock.base.events import Claim, Wake
from interlock.journal.errors import DISK_FULL, OUTCOME_UNKNOWN
from interlock.journal.ports import EMPTY, Append, Appended, Held, Store
from interlock.stores.memory import MemoryStore
from interlock.testing.contracts.harness import append, blob, code_of, content, grow, onto, refusal, stream
from interlock.testing.explorer import explore
from interlock.testing.loop import over_seeds, run

A, B = stream("a"), stream("b")
NOW, LEASE = 1_000, 500


class Crash(Exception):
    """The process ends here."""


def crash_at(point: str) -> Callable[[str], None]:
    def reach(reached: str) -> None:
        if reached == point:
            raise Crash

    return reach


def fail_at(point: str, fault: InterlockError) -> Callable[[str], None]:
    def reach(reached: str) -> None:
        if reached == point:
            raise fault

    return reach


# Faults and deaths


def test_a_crash_before_the_commit_leaves_nothing() -> None:
    async def main() -> None:
        store = MemoryStore(faults=crash_at("append:before"))
        with pytest.raises(Crash):
            await append(store, onto(EMPTY, A), blobs=[blob(b"x")])
        after = store.reopen()
        assert await after.events.heads([A]) == [EMPTY]
        assert await after.artifacts.exists([blob(b"x").id]) == [False]

    run(main())


def test_a_crash_after_the_commit_leaves_all_of_it() -> None:
    async def main() -> None:
        store = MemoryStore(faults=crash_at("append:after_commit"))
        both = onto(EMPTY, A), onto(EMPTY, B)
        with pytest.raises(Crash):
            await append(store, *both)
        assert await store.reopen().events.heads([A, B]) == [each.head for each in both]

    run(main())


def test_a_full_disk_is_the_outcome_of_every_append_and_the_store_goes_on() -> None:
    async def main() -> None:
        fault = DISK_FULL.error("no space left")
        store = MemoryStore(faults=fail_at("append:before", fault))
        appends = [Append([onto(EMPTY, A)]), Append([onto(EMPTY, B)])]
        assert await store.events.append(appends) == [fault, fault]
        assert await store.events.heads([A, B]) == [EMPTY, EMPTY]

    run(main())


def test_an_unknown_outcome_closes_the_store_and_the_next_opening_shows_it() -> None:
    async def main() -> None:
        store = MemoryStore(faults=fail_at("append:after_commit", OUTCOME_UNKNOWN.error("fsync failed")))
        [outcome] = await store.events.append([Append([onto(EMPTY, A, b"1")])])
        assert code_of(outcome) == "outcome_unknown"
        assert (await refusal(store.events.heads([A]))).code == "store_closed"
        assert await content(store.reopen(), A) == [b"1"]

    run(main())


def test_what_a_process_had_not_committed_when_it_died_never_happens() -> None:
    async def main() -> None:
        store = MemoryStore()
        other = store.reopen()
        writing = asyncio.create_task(store.events.append([Append([onto(EMPTY, A)])]))
        await asyncio.sleep(0)
        store.die()
        [outcome] = await writing
        assert code_of(outcome) == "store_closed"
        assert await other.events.heads([A]) == [EMPTY]

    run(main())


def test_a_death_wakes_those_who_wait_for_its_claims() -> None:
    async def main() -> None:
        store = MemoryStore()
        other = store.reopen("the other")
        await store.activations.take(A, "run", store.owner, NOW, LEASE)
        waiting = asyncio.create_task(other.doorbell.wait(other.doorbell.seen(), 60_000))
        await asyncio.sleep(0)
        store.die()
        await waiting
        assert asyncio.get_running_loop().time() < 60
        taken = await other.activations.take(A, "run", other.owner, NOW, LEASE)
        assert taken == Claim(A, "run", "the other", 2, NOW + LEASE)

    run(main())


def test_damaged_bytes_are_not_given_out() -> None:
    async def main() -> None:
        store = MemoryStore()
        [artifact] = await store.artifacts.put([blob(b"as it was")])
        store._handle.data.blobs.put(artifact, b"as it was not")
        assert (await refusal(store.artifacts.get([artifact]))).code == "artifact_corrupt"

    run(main())


def test_a_seed_gives_the_same_names() -> None:
    one, same, another = (MemoryStore(SeededEntropy(seed)) for seed in (1, 1, 2))

    assert (one.id, one.owner, one.reopen().owner) == (same.id, same.owner, same.reopen().owner)
    assert len({one.id, one.owner, one.reopen().owner, another.id}) == 4


# The queue


def test_a_full_queue_refuses_at_once_and_says_when_to_ask_again() -> None:
    async def main() -> None:
        store = MemoryStore(queue_capacity_appends=2)
        waiting = asyncio.create_task(store.events.append([Append([onto(EMPTY, A)]), Append([onto(EMPTY, B)])]))
        await asyncio.sleep(0)

        [refused] = await store.events.append([Append([onto(EMPTY, stream("c"))])])

        assert isinstance(refused, InterlockError)
        assert (refused.code, refused.retryable) == ("queue_full", True)
        assert isinstance(refused.details["retry_after_ms"], int)
        assert store.statistics().queued == 2
        assert all(isinstance(each, Appended) for each in await waiting)
        await grow(store, stream("c"))
        assert (store.statistics().queued, store.statistics().refused) == (0, 1)

    run(main())


@over_seeds(20)
async def test_appends_commit_in_the_order_in_which_they_came() -> None:
    store = MemoryStore()
    arrived: list[str] = []

    async def write(name: str) -> None:
        arrived.append(name)
        await append(store, onto(EMPTY, name))

    await asyncio.gather(*(write(stream(f"s{number}")) for number in range(6)))

    assert [each.stream for each in await store.events.feed("default", 0, 10)] == arrived


@over_seeds(20)
async def test_an_append_that_is_given_up_is_whole_or_nothing_and_holds_nobody_up() -> None:
    store = MemoryStore()
    both = onto(EMPTY, A), onto(EMPTY, B)
    first = asyncio.create_task(grow(store, stream("first")))
    given_up = asyncio.create_task(append(store, *both))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(first, given_up, return_exceptions=True)

    await grow(store, stream("next"))

    assert await store.events.heads([A, B]) in ([EMPTY, EMPTY], [each.head for each in both])
    assert store.statistics().queued == 0


def test_an_append_that_is_given_up_while_it_waits_never_commits() -> None:
    async def main() -> None:
        store = MemoryStore()
        first = asyncio.create_task(grow(store, A))
        given_up = asyncio.create_task(grow(store, B))
        await asyncio.sleep(0)
        given_up.cancel()
        await first
        assert await store.events.heads([B]) == [EMPTY]

    run(main())


@over_seeds(10)
async def test_closing_lets_what_is_queued_finish() -> None:
    store = MemoryStore()
    writing = asyncio.gather(
        *(store.events.append([Append([onto(EMPTY, stream(f"s{number}"))])]) for number in range(4))
    )
    await asyncio.wait_for(queued(store, 4), timeout=1)

    await store.close()

    assert await store.reopen().events.position("default") == 4
    await writing


def test_without_pauses_an_append_is_one_step() -> None:
    async def main() -> None:
        store = MemoryStore(pauses=False)
        step = store.events.append([Append([onto(EMPTY, A)])])
        with pytest.raises(StopIteration):
            step.send(None)
        assert await store.events.position("default") == 1

    run(main())


def test_an_idle_store_can_be_used_from_one_run_after_another() -> None:
    store = MemoryStore()

    async def crowd() -> None:
        await asyncio.gather(*(grow(store, stream(f"s{number}")) for number in range(4)))

    run(crowd())
    run(crowd())

    assert run(store.events.position("default")) == 8


# Every interleaving


def test_k1_of_two_owners_at_one_head_one_wins_in_every_interleaving() -> None:
    async def race() -> list[str]:
        store = MemoryStore()
        other = store.reopen()
        outcomes = await asyncio.gather(
            store.events.append([Append([onto(EMPTY, A, b"1")])]),
            other.events.append([Append([onto(EMPTY, A, b"2")])]),
        )
        assert len(await content(store, A)) == 1
        return sorted(each.code if isinstance(each, InterlockError) else "appended" for [each] in outcomes)

    seen: set[tuple[str, ...]] = set()

    exploration = explore(race, lambda codes: seen.add(tuple(codes)))

    assert exploration.complete
    assert exploration.count > 10
    assert seen == {("appended", "head_moved")}


def test_k4_a_reader_sees_whole_appends_in_every_interleaving() -> None:
    async def race() -> set[int]:
        store = MemoryStore()
        seen: set[int] = set()

        async def look() -> None:
            for _ in range(3):
                seen.add(len(await store.events.feed("default", 0, 10)))
                await asyncio.sleep(0)

        await asyncio.gather(append(store, onto(EMPTY, A, b"1", b"2"), onto(EMPTY, B, b"3")), look())
        return seen

    seen: set[int] = set()

    assert explore(race, seen.update).complete
    assert seen == {0, 3}


def test_k6_the_same_artifact_put_twice_at_once_is_one_in_every_interleaving() -> None:
    async def race() -> list[str]:
        store = MemoryStore()
        await asyncio.gather(*(opened.artifacts.put([blob(b"x")]) for opened in (store, store.reopen())))
        return await store.artifacts.scan("", 10)

    def one(ids: list[str]) -> None:
        assert ids == [hashlib.sha256(b"x").hexdigest()]

    assert explore(race, one).complete


def test_a_wake_against_a_release_is_lost_in_no_interleaving() -> None:
    async def race() -> int | None:
        store = MemoryStore()
        claimed = await taken(store)
        await asyncio.gather(wake(store, NOW), store.activations.release([claimed], None))
        return await store.activations.due("default", ["run"], NOW)

    def due_now(due_ms: int | None) -> None:
        assert due_ms == NOW

    assert explore(race, due_now).complete


def test_claim_against_expiry_gives_one_owner_at_a_time_in_every_interleaving() -> None:
    async def race() -> tuple[list[bool], list[Claim | Held]]:
        store = MemoryStore()
        others = [store.reopen(), store.reopen()]
        claimed = await taken(store)
        at_expiry = NOW + LEASE

        async def take(other: Store) -> Claim | Held:
            await asyncio.sleep(0)
            return await other.activations.take(A, "run", other.owner, at_expiry, LEASE)

        async def renew() -> list[bool]:
            await asyncio.sleep(0)
            return await store.activations.renew([claimed], at_expiry, LEASE)

        renewed, *answers = await asyncio.gather(renew(), *(take(other) for other in others))
        return renewed, answers  # type: ignore[return-value]

    def one_owner(result: tuple[list[bool], list[Claim | Held]]) -> None:
        [renewed], answers = result
        assert renewed + sum(isinstance(each, Claim) for each in answers) == 1

    assert explore(race, one_owner).complete


async def queued(store: MemoryStore, appends: int) -> None:
    """Return once so many wait or were done."""
    for _ in range(1_000):
        figures = store.statistics()
        if figures.queued + figures.appends >= appends:
            return
        await asyncio.sleep(0)


async def taken(store: MemoryStore) -> Claim:
    claimed = await store.activations.take(A, "run", store.owner, NOW, LEASE)
    assert isinstance(claimed, Claim)
    return claimed


async def wake(store: MemoryStore, due_ms: int) -> None:
    await append(store, onto(EMPTY, A), rows=[Wake(A, "run", due_ms)])
