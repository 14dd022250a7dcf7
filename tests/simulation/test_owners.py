"""Several processes and one run: one owns it, the others watch, and whoever lost it stops."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from interlock.app import App
from interlock.base.errors import NotFound
from interlock.base.principal import ENGINE
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy
from interlock.engine.errors import StateFailure
from interlock.engine.fold import RUN_FOLD
from interlock.engine.io.live import LiveIo
from interlock.engine.reports.records import RunResult
from interlock.journal.ports import Held
from interlock.testing.loop import over_seeds
from tests.simulation.crashes import RUN_ID, World, error_of, records
from tests.simulation.plans import numbers, read, release, single, write

LEASE_S = 30


def counted(calls: Counter[str], seconds: float = 0) -> Callable[[], Plan]:
    """Three states that count their executions and take their time."""

    def plan() -> Plan:
        plan = Plan("counted")

        @plan.state
        async def one() -> int:
            calls["one"] += 1
            await asyncio.sleep(seconds)
            return 1

        @plan.state
        async def two(one: int) -> int:
            calls["two"] += 1
            await asyncio.sleep(seconds)
            return one + 1

        @plan.state
        async def three(two: int) -> int:
            calls["three"] += 1
            await asyncio.sleep(seconds)
            return two + 1

        return plan

    return plan


def owners(world: World) -> list[str]:
    return [each.owner for each in records(world.log) if isinstance(each, e.OwnerClaimed)]


async def resumed(world: World, app: App, *, steal: bool = False) -> RunResult:
    return await app.runs.resume(RUN_ID, plan=world.plan(), steal=steal)


@over_seeds(50)
async def test_of_several_resumes_at_one_head_one_drives_and_the_others_watch() -> None:
    """K1, F17, M3: nobody else runs a handler, and all give the same answer."""
    calls: Counter[str] = Counter()
    world = World(counted(calls))
    await world.live(crash_on="append:after_commit")
    calls.clear()
    results = await asyncio.gather(*(resumed(world, world.process()) for _ in range(4)))
    world.result = results[0]
    await world.check()

    assert calls == {"one": 1, "two": 1, "three": 1}
    assert {result.phase for result in results} == {"completed"}
    assert len(set(map(repr, results))) == 1
    assert len(owners(world)) == 2


@over_seeds(30)
async def test_of_several_starts_with_one_id_one_starts_and_the_others_attach() -> None:
    """K5, C3: over processes."""
    calls: Counter[str] = Counter()
    world = World(counted(calls))
    results = await asyncio.gather(*(world.drive(world.process()) for _ in range(4)))
    world.result = results[0]
    await world.check()

    assert calls == {"one": 1, "two": 1, "three": 1}
    assert len(set(map(repr, results))) == 1


@over_seeds(100)
async def test_of_several_starts_with_one_id_within_one_process_one_drives() -> None:
    """K5, K8: those who were too late give nothing back that is not theirs."""
    calls: Counter[str] = Counter()
    world = World(single(counted_only(calls)))
    app = world.process()
    results = await asyncio.gather(*(world.drive(app) for _ in range(3)))
    world.result = results[0]
    await world.check()

    assert calls == {"only": 1}
    assert len(set(map(repr, results))) == 1


def counted_only(calls: Counter[str]) -> Callable[[], Coroutine[None, None, None]]:
    """A state that counts its executions."""

    async def only() -> None:
        calls["only"] += 1
        await asyncio.sleep(1)

    return only


@over_seeds(30)
async def test_resumes_within_one_process_wait_for_each_other() -> None:
    """K8."""
    calls: Counter[str] = Counter()
    world = World(counted(calls, seconds=1))
    await world.live(crash_on="append:after_commit")
    calls.clear()
    app = world.process()
    results = await asyncio.gather(*(resumed(world, app) for _ in range(3)))

    assert calls == {"one": 1, "two": 1, "three": 1}
    assert len(set(map(repr, results))) == 1


@over_seeds(10)
async def test_a_resume_while_the_owner_lives_watches_until_the_run_has_ended() -> None:
    """K2: a living owner is not taken for a dead one, however long its state takes."""
    calls: Counter[str] = Counter()
    world = World(counted(calls, seconds=10 * LEASE_S))
    driving = asyncio.create_task(world.drive(world.process()))
    await asyncio.sleep(5 * LEASE_S)
    watching = await resumed(world, world.process())
    world.result = await driving
    await world.check()

    assert watching == world.result
    assert calls == {"one": 1, "two": 1, "three": 1}
    assert owners(world) == ["process 1"]


@over_seeds(10)
async def test_whoever_watches_takes_over_when_the_owner_dies() -> None:
    """K2, F18: at once, because a dead process holds no claim."""
    calls: Counter[str] = Counter()
    world = World(counted(calls, seconds=60))
    app = world.process()
    driving = asyncio.create_task(world.drive(app))
    await asyncio.sleep(90)
    watching = asyncio.create_task(resumed(world, world.process()))
    await asyncio.sleep(1)
    world.kill(app)
    world.result = await watching
    await world.check()

    assert world.result.phase == "completed"
    assert calls == {"one": 1, "two": 2, "three": 1}
    assert error_of(world) == "orphan_attempt_recovered"
    await asyncio.gather(driving, return_exceptions=True)


@over_seeds(20)
async def test_an_owner_whose_run_was_stolen_stops_at_its_next_append_and_watches() -> None:
    """K2, F18, M3, G2: it never looks for the new head, and its answer is that of the new owner."""
    calls: Counter[str] = Counter()
    world = World(counted(calls, seconds=60))
    first = asyncio.create_task(world.drive(world.process()))
    await asyncio.sleep(30)
    second = asyncio.create_task(resumed(world, world.process(), steal=True))
    results = await asyncio.gather(first, second)
    world.result = results[0]
    await world.check()

    assert results[0] == results[1]
    assert owners(world) == ["process 1", "process 2"]
    assert calls == {"one": 2, "two": 1, "three": 1}


@over_seeds(20)
async def test_a_run_that_is_stolen_again_and_again_ends_all_the_same() -> None:
    """K2, D1, M9: attempts count on without a gap."""
    calls: Counter[str] = Counter()
    world = World(counted(calls, seconds=10), settings={"engine": {"crash_budget": 100}})
    driving = [asyncio.create_task(world.drive(world.process()))]
    for _ in range(6):
        await asyncio.sleep(7)
        driving.append(asyncio.create_task(resumed(world, world.process(), steal=True)))
    results = await asyncio.gather(*driving)
    world.result = results[0]
    await world.check()

    assert len(set(map(repr, results))) == 1
    assert len(owners(world)) == 7


@over_seeds(10)
async def test_an_owner_that_was_frozen_beyond_its_lease_loses_the_run_without_harm() -> None:
    """F18, K2, K3: it wakes, appends on its old head, is refused, and sends nothing more."""
    world = World(release, faults=lambda outside: outside.slow("sources", 10))
    frozen = world.process()
    driving = asyncio.create_task(world.drive(frozen))
    await asyncio.sleep(5)
    world.points(frozen).freeze(frozen=True)
    await asyncio.sleep(2 * LEASE_S)
    thawed = asyncio.create_task(resumed(world, world.process()))
    await asyncio.sleep(5)
    world.points(frozen).freeze(frozen=False)
    results = await asyncio.gather(driving, thawed)
    world.result = results[0]
    await world.check()

    assert results[0] == results[1]
    assert owners(world) == ["process 1", "process 2"]
    assert world.outside.applied["publish"] == 1


@over_seeds(10)
async def test_what_an_owner_that_lost_its_run_still_sends_is_absorbed_by_its_key() -> None:
    """F18: its effect was under way when the run was taken over."""

    async def only(io: LiveIo) -> str:
        await io.call(write("pay"))
        return "paid"

    world = World(
        single(only, side_effects="apply_side_effect", idempotency="pay:1"),
        faults=lambda outside: outside.slow("pay", 60),
    )
    first = asyncio.create_task(world.drive(world.process()))
    await asyncio.sleep(30)
    results = await asyncio.gather(first, resumed(world, world.process(), steal=True))
    world.result = results[1]
    await world.check()

    assert (world.outside.count("pay"), world.outside.applied["pay"]) == (2, 1)


@over_seeds(10)
async def test_an_append_on_a_head_that_was_read_before_another_owners_is_refused() -> None:
    """K3, D4, M3: what was decided on events up to k is appended on k or not at all."""
    world = World(counted(Counter(), seconds=10))
    first = asyncio.create_task(world.drive(world.process()))
    await asyncio.sleep(5)
    second = asyncio.create_task(resumed(world, world.process(), steal=True))
    await asyncio.gather(first, second)
    await world.check()
    epochs = [event.envelope.seq for event in world.log if isinstance(event.record, e.OwnerClaimed)]
    taken = world.log[epochs[1] - 1 :]

    assert {event.envelope.actor for event in taken} == {"system:engine"}
    assert sum(isinstance(event.record, e.StateEntered) for event in taken) == 3


@over_seeds(5)
async def test_a_claim_that_this_process_took_again_is_kept_alive() -> None:
    """A run that is stolen within one process is renewed for its new driver."""
    calls: Counter[str] = Counter()
    world = World(counted(calls, seconds=10 * LEASE_S))
    app = world.process()
    first = asyncio.create_task(world.drive(app))
    await asyncio.sleep(LEASE_S)
    second = asyncio.create_task(resumed(world, app, steal=True))
    await asyncio.sleep(15 * LEASE_S)
    other = asyncio.create_task(resumed(world, world.process()))
    results = await asyncio.gather(first, second, other)
    await world.check()

    assert len(set(map(repr, results))) == 1
    assert owners(world) == ["process 1", "process 1"]


@over_seeds(5)
async def test_a_back_off_is_waited_out_by_one_of_those_who_watch() -> None:
    """C18, F12."""
    tried: list[int] = []

    async def only() -> None:
        tried.append(1)
        if len(tried) < 3:
            raise StateFailure("broke", "it broke", retryable=True)

    world = World(single(only, retry=RetryPolicy.fixed(3, 5_000)))
    results = await asyncio.gather(*(world.drive(world.process()) for _ in range(3)))
    world.result = results[0]
    await world.check()

    assert len(tried) == 3
    assert {result.phase for result in results} == {"completed"}


@over_seeds(5)
async def test_a_run_that_ended_while_somebody_asked_for_it_gives_its_result() -> None:
    """C21, K1."""
    world = World(numbers, {"start": 1})
    first = asyncio.create_task(world.drive(world.process()))
    results = []
    while not first.done():
        with suppress(NotFound):  # until it has begun
            results.append(await resumed(world, world.process()))
        await asyncio.sleep(0)
    world.result = await first
    await world.check()

    assert {repr(result) for result in results} <= {repr(world.result)}


@over_seeds(10)
async def test_a_dead_process_sends_nothing_and_records_nothing() -> None:
    """F4: what it had not committed never will be."""

    async def only(io: LiveIo) -> None:
        await asyncio.gather(*(io.call(read(name)) for name in ("a", "b", "c")), return_exceptions=True)

    world = World(single(only))
    await world.live(crash_on="send:after")
    log, deliveries = world.log, len(world.outside.deliveries)
    await asyncio.sleep(100)
    await world.check()
    assert (len(world.log), len(world.outside.deliveries)) == (len(log), deliveries)

    await world.live()
    assert world.result is not None
    assert world.result.phase == "completed"


@over_seeds(5)
async def test_a_run_whose_old_owner_was_quicker_than_the_one_that_took_it_is_looked_at_again() -> None:
    """The old owner's last append beats the new one's first: the claim is the new one's, and so is the wake."""
    going, calls = asyncio.Event(), Counter[str]()
    plan = Plan("tardy")

    @plan.state(retry=RetryPolicy.fixed(2, 1_000))
    async def only() -> None:
        calls["only"] += 1
        await going.wait()
        if calls["only"] == 1:
            raise StateFailure("once", "it works the second time", retryable=True)

    world = World(lambda: plan)
    old, new = world.process(), world.process()
    await old.runs.start(plan, run_id=RUN_ID, detach=True)
    working = asyncio.create_task(old.runs.worker.work())
    while not calls["only"]:
        await asyncio.sleep(0.01)
    stream, append = f"default/run/{RUN_ID}", new.store.events.append

    async def overtaken(appends: Any) -> Any:
        if not going.is_set():
            going.set()
            await asyncio.sleep(0.1)  # the old owner records the failure and when to try again, and lets go
        return await append(appends)

    new.store.events.append = overtaken  # type: ignore[method-assign]  # the new owner is slow, once
    claim = await new.store.activations.take(stream, e.RUN, new.store.owner, new.journal.now_ms(), 30_000, steal=True)
    assert not isinstance(claim, Held)
    loaded = await new.journal.load(RUN_FOLD, stream)
    new.runs.plans.add(plan)
    assert await new.runs._driver.taken(claim, loaded, RUN_ID, ENGINE) is None

    await asyncio.sleep(5)
    working.cancel()
    assert (await new.runs.read.result(RUN_ID)).phase == "completed"
