"""Leases of long work: units that go from one owner to the next, renewals of many at once, and turns of groups."""

from __future__ import annotations

from interlock.journal.leases import Granted, Queued
from interlock.journal.leases import events as e
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import over_seeds
from tests.unit.journal.lease_process import ADA, Process


@over_seeds(3)
async def test_a_unit_goes_on_under_a_new_token_ahead_of_whoever_waits() -> None:
    one = Process(MemoryStore())
    await one.ask("first", holder="run")
    waiting = await one.ask("other", priority=9)
    again = await one.ask("second", holder="run", over=1)

    assert waiting == Queued(1)
    assert again == Granted(2, one.clock.now_ms() + 1_000)
    assert not await one.release(1)  # the owner before has nothing any more
    assert await one.standing("other") == Queued(1)
    assert await one.release(2)
    assert isinstance(await one.standing("other"), Granted)
    assert await one.sound()


@over_seeds(3)
async def test_nobody_goes_on_with_the_unit_of_another_or_with_one_that_has_ended() -> None:
    one = Process(MemoryStore())
    await one.ask("first", holder="run")

    assert await one.ask("thief", holder="another", over=1) == Queued(1)
    await one.release(1)
    assert await one.ask("late", holder="run", over=1) == Queued(1)
    assert await one.sound()


@over_seeds(3)
async def test_many_tokens_are_renewed_in_one_append_and_those_that_have_ended_are_told() -> None:
    one = Process(MemoryStore())
    for name in "abc":
        await one.ask(name, capacity=3)
    await one.release(2)
    before = await one.store.events.position("default")
    kept = await one.leases.renew_all("key", [1, 2, 3, 9], 5_000, principal=ADA)

    assert kept == {1, 3}
    assert await one.store.events.position("default") == before + 2
    assert [record.token for record in await one.records(e.LeaseRenewed)] == [1, 3]
    assert await one.standing("a") == Granted(1, one.clock.now_ms() + 5_000)
    assert await one.sound()


@over_seeds(3)
async def test_groups_take_turns_at_a_single_unit_however_many_requests_one_of_them_has() -> None:
    one = Process(MemoryStore())
    await one.ask("m0", group="many")
    for number in range(1, 6):
        await one.ask(f"m{number}", group="many")
    places = [await one.ask(f"f{number}", group="few") for number in range(1, 3)]
    for token in range(1, 8):
        await one.release(token)
    granted = [record.request_id for record in await one.records(e.LeaseGranted)]

    assert places == [Queued(1), Queued(3)]
    assert granted == ["m0", "f1", "m1", "f2", "m2", "m3", "m4", "m5"]
    assert await one.sound()
