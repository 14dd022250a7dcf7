"""The contract of `Doorbell`: waiting for other writers may be cut short, and never takes longer than asked.

What it does: proves that a commit is noticed, by whomever it was made. What it does not do: it measures no
delay.
"""

# ruff: noqa: S101, D102 - an assertion is what a test is for, and its name is its sentence

from __future__ import annotations

import asyncio

from interlock.journal.ports import Store
from interlock.testing.contracts.harness import Contract, grow, on_store, stream

A = stream("a")
SHORT_MS = 20
# Nobody waits this long: whoever is not woken before has missed the bell.
LONG_MS = 60_000
COMMITS = 3


async def long_wait(store: Store, seen: int) -> int:
    """Wait for longer than any test may take; fails where the wait was not cut short."""
    async with asyncio.timeout(LONG_MS / 2_000):
        return await store.doorbell.wait(seen, LONG_MS)


async def silent(store: Store, seen: int, bells: int) -> bool:
    """Whether the bell rests after so many more: one commit may be noticed twice, told of and seen in a look."""
    for _ in range(bells + 1):
        mark = await store.doorbell.wait(seen, SHORT_MS)
        if mark == seen:
            return True
        seen = mark
    return False


class DoorbellContract(Contract):
    """Proves a `Doorbell`."""

    @on_store
    async def test_without_a_commit_a_wait_ends_after_its_time(self, store: Store) -> None:
        seen = store.doorbell.seen()

        assert await store.doorbell.wait(seen, SHORT_MS) == seen
        assert await store.doorbell.wait(seen, 0) == seen

    @on_store
    async def test_what_was_committed_before_the_wait_ends_it_at_once(self, store: Store) -> None:
        seen = store.doorbell.seen()
        await grow(store, A)

        assert await long_wait(store, seen) != seen

    @on_store
    async def test_a_commit_ends_the_wait_of_everyone(self, store: Store) -> None:
        other = await self.again(store)
        waits = [asyncio.create_task(long_wait(opened, opened.doorbell.seen())) for opened in (store, other, store)]
        before = [store.doorbell.seen(), other.doorbell.seen(), store.doorbell.seen()]
        await asyncio.sleep(SHORT_MS / 1_000)

        await grow(store, A)

        marks = await asyncio.gather(*waits)
        assert all(mark != seen for mark, seen in zip(marks, before, strict=True))

    @on_store
    async def test_a_mark_is_good_for_the_next_wait(self, store: Store) -> None:
        other = await self.again(store)
        seen = store.doorbell.seen()
        for _ in range(COMMITS):
            await grow(other, A)
            mark = await long_wait(store, seen)
            assert mark != seen
            seen = mark

        assert await silent(store, seen, bells=2 * COMMITS)

    @on_store
    async def test_a_wait_that_is_given_up_hurts_nobody(self, store: Store) -> None:
        given_up = asyncio.create_task(store.doorbell.wait(store.doorbell.seen(), LONG_MS))
        await asyncio.sleep(SHORT_MS / 1_000)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)

        await grow(store, A)

        assert given_up.cancelled()
