"""Keys and rates over many runs and processes: never more at once than the limit, in order, and nobody is left waiting.

What is counted here is counted by the handlers themselves, beside the product.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from interlock.app import App
from interlock.base.principal import Principal
from interlock.engine.authoring import Plan
from interlock.engine.config import FanOutJoin, RetryPolicy, RunConfig
from interlock.engine.errors import StateFailure
from interlock.engine.flow.limits import FLOW, RATE, Ask, Flow, Rate
from interlock.engine.flow.turnstile import Turnstile
from interlock.engine.io.live import LiveIo
from interlock.engine.reports.records import RunResult
from interlock.journal.leases import decide
from interlock.journal.ports import EMPTY
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import Points
from tests.simulation.flows import Counting, Installation, leases, named, nothing_is_held, run_id, scarce, working

LEASE_MS = 30_000
ADA = Principal(id="local:ada")


@over_seeds(30)
async def test_no_more_runs_of_a_key_are_driven_at_once_than_its_limit_over_two_processes() -> None:
    counting, installation = Counting(), Installation()
    apps = [installation.process() for _ in range(2)]
    starts = [
        apps[number % 2].runs.start(
            working(counting, number), {"name": str(number)}, flow=Flow(key="customer-7", limit=3)
        )
        for number in range(12)
    ]
    results = await asyncio.gather(*starts)

    assert {result.phase for result in results} == {"completed"}
    assert counting.most == 3
    await nothing_is_held(apps[0])


@over_seeds(20)
async def test_workers_drive_detached_runs_of_a_key_one_after_the_other() -> None:
    counting, installation = Counting(), Installation()
    apps = [installation.process() for _ in range(2)]
    plan = working(counting)
    for app in apps:
        app.runs.plans.add(plan)
    for number in range(8):
        await apps[0].runs.start(plan, {"name": str(number)}, flow=Flow(key="one", limit=1), detach=True)
    working_on = [asyncio.create_task(app.runs.worker.work()) for app in apps]
    while True:
        rows = await apps[0].journal.store.activations.due("default", ["run"], 0)
        timers = await apps[0].journal.store.timers.next_due("default")
        if rows is None and timers is None:
            break
        await asyncio.sleep(1)
    for task in working_on:
        task.cancel()
    await asyncio.wait(working_on)

    assert counting.most == 1
    assert Counter(counting.order)["0"] >= 2
    assert len(set(counting.order)) == 8
    await nothing_is_held(apps[0])


async def queued_behind(app: App, counting: Counting, flows: list[tuple[str, Flow]]) -> list[str]:
    """The order in which runs come to their turn that asked, one after the other, while others held all units."""
    plan, flow = named(counting), flows[0][1]
    started = []
    for _ in range(flow.limit):
        started.append(asyncio.create_task(app.runs.start(named(counting, 60), {"name": "holder"}, flow=flow)))
        await asyncio.sleep(1)
    for name, flow in flows:
        started.append(asyncio.create_task(app.runs.start(plan, {"name": name}, flow=flow)))
        await asyncio.sleep(1)
    await asyncio.gather(*started)
    return counting.order[flow.limit :]


@over_seeds(5)
async def test_higher_priority_goes_first_and_then_who_came_first() -> None:
    counting = Counting()
    flows = [
        (name, Flow(key="k", limit=1, priority=priority)) for name, priority in (("a", 0), ("b", 0), ("c", 5), ("d", 1))
    ]

    assert await queued_behind(Installation().process(), counting, flows) == ["c", "d", "a", "b"]


@over_seeds(5)
async def test_two_groups_take_turns_however_many_runs_each_has() -> None:
    counting = Counting()
    groups = ["many"] * 8 + ["few"] * 3
    flows = [(f"{group} {n}", Flow(key="k", limit=2, group=group)) for n, group in enumerate(groups)]
    order = await queued_behind(Installation().process(), counting, flows)

    # The few have gone long before the many that came before them have.
    places = [place for place, name in enumerate(order) if name.startswith("few")]
    assert counting.most == 2
    assert len(order) == 11
    assert places[-1] < 7


@over_seeds(20)
async def test_the_unit_of_an_owner_that_died_comes_back_and_the_run_itself_goes_on_with_it() -> None:
    counting, installation = Counting(), Installation()
    dying, living = installation.process(), installation.process()
    flow = Flow(key="k", limit=1)
    task = asyncio.create_task(dying.runs.start(named(counting, 10), {"name": "a"}, flow=flow, run_id=run_id(1)))
    await asyncio.sleep(5)
    waiter = asyncio.create_task(living.runs.start(named(counting, 10), {"name": "b"}, flow=flow, run_id=run_id(2)))
    await asyncio.sleep(1)
    assert isinstance(dying.store, MemoryStore)
    dying.store.die()
    task.cancel()
    await asyncio.wait([task])
    result = await living.runs.resume(run_id(1), plan=named(counting, 10))
    other = await waiter

    assert (result.phase, other.phase) == ("completed", "completed")
    assert counting.most == 1
    assert counting.order == ["a", "a", "b"]  # it went on with the unit that it had, ahead of who waited
    await nothing_is_held(living)


@over_seeds(10)
async def test_a_queue_goes_on_after_the_owner_died_though_nobody_resumes_its_run() -> None:
    counting, installation = Counting(), Installation()
    dying, living = installation.process(), installation.process()
    flow = Flow(key="k", limit=1)
    task = asyncio.create_task(dying.runs.start(named(counting, 10), {"name": "a"}, flow=flow))
    await asyncio.sleep(5)
    assert isinstance(dying.store, MemoryStore)
    dying.store.die()
    task.cancel()
    await asyncio.wait([task])
    loop = asyncio.get_running_loop()
    died_s = loop.time()
    result = await living.runs.start(named(counting, 0), {"name": "b"}, flow=flow)

    assert result.phase == "completed"
    assert loop.time() - died_s <= LEASE_MS / 1000 + 1


def test_a_queue_that_is_full_is_tried_again_until_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "REQUESTS_MAX", 2)
    counting, branches = Counting(), Plan("many")
    for number in range(4):

        @branches.state(name=f"s{number}", flow=Flow(key="s", limit=1, priority=number))
        async def state() -> None:
            await counting.work(5)

    async def main() -> tuple[set[str], int]:
        app = Installation().process()
        flow = Flow(key="k", limit=1)
        starts = [app.runs.start(named(counting, 5), {"name": str(n)}, flow=flow, run_id=run_id(n)) for n in range(5)]
        results = await asyncio.gather(*starts)
        fan_out = RunConfig(execution_mode=FanOutJoin.of(4))
        results.append(await app.runs.start(branches, config=fan_out))
        return {each.phase for each in results}, (await app.runs.read.report(run_id(4))).events

    phases, events = run(main())

    assert phases == {"completed"}
    assert counting.most == 1
    assert events < 60  # it was looked at once a second, and not all the time


async def died_at(point: int) -> bool:
    """Whether a process dies at that point of a run with units, once everything that it left behind is driven."""
    counting, installation, points = Counting(), Installation(), Points(point)
    flow = Flow(key="k", limit=1)
    dying, living = installation.process(points), installation.process()
    living.runs.plans.add(scarce(counting))
    first = asyncio.create_task(dying.runs.start(scarce(counting), {"name": "a"}, flow=flow, run_id=run_id(1)))
    try:
        await first
    except BaseException:
        if not points.dead:
            raise
    began_s = asyncio.get_running_loop().time()
    other = asyncio.create_task(living.runs.start(scarce(counting), {"name": "b"}, flow=flow, run_id=run_id(2)))
    worker = asyncio.create_task(living.runs.worker.work())
    assert (await other).phase == "completed"
    while [
        await living.store.activations.due("default", ["run"], 0),
        await living.store.timers.next_due("default"),
    ] != [
        None,
        None,
    ]:
        await asyncio.sleep(1)
    worker.cancel()
    await asyncio.wait([worker])
    if await living.journal.store.events.heads([f"default/run/{run_id(1)}"]) != [EMPTY]:
        assert (await living.runs.read.result(run_id(1))).phase == "completed"
    assert asyncio.get_running_loop().time() - began_s < 2 * LEASE_MS / 1000 + 10
    assert counting.most == 1
    await nothing_is_held(living)
    return points.dead


def test_a_process_may_die_at_any_point_and_leaks_no_unit_for_longer_than_its_lease() -> None:
    point = 1
    while run(died_at(point)):
        point += 1

    assert point > 20


@over_seeds(10)
async def test_a_run_that_waits_for_a_signal_holds_no_unit() -> None:
    counting, app = Counting(), Installation().process()
    plan = Plan("asks")

    @plan.state
    async def only(io: LiveIo) -> None:
        await io.wait("answer")

    flow = Flow(key="k", limit=1)
    asking = await app.runs.start(plan, flow=flow, run_id=run_id(1))
    other = await app.runs.start(named(counting), {"name": "b"}, flow=flow)

    assert asking.waiting is not None
    assert (asking.waiting.kind, other.phase) == ("suspended", "completed")
    await nothing_is_held(app)


@over_seeds(10)
async def test_states_with_a_key_are_limited_over_all_runs_and_do_not_hold_up_other_branches() -> None:
    counting, others, installation = Counting(), Counting(), Installation()
    plan = Plan("devices")
    device = Flow(key="device-x", limit=2)

    for branch in range(4):

        @plan.state(name=f"device{branch}", flow=device)
        async def on_device() -> None:
            await counting.work(5)

        @plan.state(name=f"free{branch}")
        async def free() -> None:
            await others.work(1)

    config = RunConfig(execution_mode=FanOutJoin.of(8))
    apps = [installation.process() for _ in range(2)]
    results = await asyncio.gather(*(app.runs.start(plan, config=config) for app in apps))

    assert {result.phase for result in results} == {"completed"}
    assert counting.most == 2
    assert others.most == 8
    assert max(others.begun_ms) - min(others.begun_ms) < 1_000
    await nothing_is_held(apps[0])


@over_seeds(10)
async def test_a_sequential_run_whose_state_waits_for_a_unit_is_queued_with_its_place_and_holds_nothing() -> None:
    counting, app = Counting(), Installation().process()
    plan = Plan("device")

    @plan.state(flow=Flow(key="device-x", limit=1))
    async def only() -> None:
        await counting.work(10)

    tasks = []
    for n in range(1, 4):
        tasks.append(asyncio.create_task(app.runs.start(plan, run_id=run_id(n), flow=Flow(key="c", limit=9))))
        await asyncio.sleep(1)
    waiting = [(await app.runs.read.report(run_id(n))).waiting for n in range(1, 4)]
    reasons = await app.runs.read.why(run_id(3))
    held = await leases(app)
    await asyncio.gather(*tasks)

    assert [None if each is None else (each.kind, each.place, each.state_id) for each in waiting] == [
        None,
        ("queued", 1, "device.only.main"),
        ("queued", 2, "device.only.main"),
    ]
    [reason] = reasons
    assert (reason.kind, reason.place) == ("queued", 2)
    assert [holder.run_id for holder in reason.holders] == [run_id(1)]
    assert reason.release == ("interlock lease show flow/device-x",)
    assert held["flow/c"].units_held == 1
    assert counting.most == 1


@over_seeds(10)
async def test_a_queued_run_that_is_cancelled_or_paused_leaves_the_queue() -> None:
    counting, installation = Counting(), Installation()
    app = installation.process()
    flow = Flow(key="k", limit=1)
    holder = asyncio.create_task(app.runs.start(named(counting, 20), {"name": "a"}, flow=flow))
    await asyncio.sleep(1)
    tasks = [
        asyncio.create_task(app.runs.start(named(counting), {"name": str(n)}, flow=flow, run_id=run_id(n)))
        for n in (1, 2)
    ]
    await asyncio.sleep(1)
    before = (await leases(app))["flow/k"].queued
    await app.runs.control.cancel(run_id(1), "not needed", principal=ADA)
    await app.runs.control.pause(run_id(2), "later", principal=ADA)
    results: list[RunResult] = await asyncio.gather(*tasks)
    after = (await leases(app))["flow/k"].queued
    await holder
    await app.runs.control.unpause(run_id(2), "now", principal=ADA)
    result = await app.runs.resume(run_id(2))

    assert (before, after) == (2, 0)
    assert [each.phase for each in results] == ["cancelled", "running"]
    assert result.phase == "completed"
    await nothing_is_held(app)


@over_seeds(10)
async def test_no_more_runs_begin_in_a_time_than_the_rate_allows_though_every_process_is_restarted() -> None:
    counting, installation = Counting(), Installation({"engine": {"backoff_held_ms_max": 600_000}})
    rate = Rate(key="provider", limit=3, per_ms=60_000)
    for number in range(10):
        app = installation.process()
        await app.runs.start(named(counting, 0), {"name": str(number)}, rate=rate)

    begun = counting.begun_ms
    assert len(begun) == 10
    assert all(begun[n + 3] - begun[n] >= 60_000 for n in range(len(begun) - 3))
    assert begun[-1] - begun[0] <= 190_000


@over_seeds(10)
async def test_entries_of_states_keep_to_a_rate_over_all_runs_also_when_they_are_tried_again() -> None:
    counting, installation = Counting(), Installation()
    plan = Plan("calls")

    @plan.state(rate=Rate(key="provider", limit=2, per_ms=1_000), retry=RetryPolicy.fixed(3, 10))
    async def call() -> None:
        await counting.work(0)
        if len(counting.begun_ms) % 3 == 1:
            raise StateFailure("busy", "try again", retryable=True)

    apps = [installation.process() for _ in range(2)]
    await asyncio.gather(*(apps[n % 2].runs.start(plan) for n in range(8)))

    begun = counting.begun_ms
    assert len(begun) > 8
    assert all(begun[n + 2] - begun[n] >= 1_000 for n in range(len(begun) - 2))


@over_seeds(5)
async def test_a_fork_waits_for_a_unit_of_the_key_that_its_source_had() -> None:
    counting, app = Counting(), Installation().process()
    flow = Flow(key="k", limit=1)
    await app.runs.start(scarce(counting), {"name": "source"}, flow=flow, run_id=run_id(1))
    holder = asyncio.create_task(app.runs.start(named(counting, 20), {"name": "holder"}, flow=flow))
    await asyncio.sleep(1)
    forking = asyncio.create_task(app.runs.fork(run_id(1), "second", run_id=run_id(2)))
    await asyncio.sleep(1)
    waiting = (await app.runs.read.report(run_id(2))).waiting
    await holder

    assert waiting is not None
    assert (waiting.kind, waiting.place) == ("queued", 1)
    assert (await forking).phase == "completed"
    assert counting.most == 1
    await nothing_is_held(app)


@over_seeds(5)
async def test_a_branch_that_is_tried_again_at_once_asks_for_its_unit_anew() -> None:
    counting, installation = Counting(), Installation()
    plan, failed = Plan("device"), set[str]()

    for name in ("a", "b", "c"):

        @plan.state(name=name, flow=Flow(key="device", limit=1), retry=RetryPolicy.fixed(2))
        async def state(io: LiveIo, name: str = name) -> None:
            await counting.work(1)
            if name not in failed:
                failed.add(name)
                raise StateFailure("busy", "try again", retryable=True)

    for number in range(8):

        @plan.state(name=f"free{number}")
        async def free() -> None:  # their ends make the run look for what is next while a unit is on its way back
            for _ in range(6):
                await asyncio.sleep(1)

    config = RunConfig(execution_mode=FanOutJoin.of(16))
    apps = [installation.process() for _ in range(2)]
    results = await asyncio.gather(*(app.runs.start(plan, config=config) for app in apps))

    assert {result.phase for result in results} == {"completed"}
    assert counting.most == 1
    await nothing_is_held(apps[0])


@over_seeds(5)
async def test_a_unit_that_is_lost_while_the_next_is_asked_for_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting, installation = Counting(), Installation()
    one, other = (installation.process() for _ in range(2))
    flow, rate = Flow(key="k", limit=1), Rate(key="r", limit=100, per_ms=1000)
    acquire, competing = Turnstile.acquire, list[asyncio.Task[RunResult]]()

    async def losing(self: Turnstile, stream: str, ask: Ask, *rest: Any) -> Any:
        """What asks for the rate has its first unit taken away, and another run gets that."""
        if ask.lease == f"{RATE}r" and not competing:
            [found] = [f for f in [await self.find("default", f"{FLOW}k", "")] if f is not None]
            competing.append(asyncio.create_task(other.runs.start(named(counting, 20), {"name": "other"}, flow=flow)))
            await asyncio.sleep(1)
            await one.leases.release(f"{FLOW}k", found.token or 0, principal=ADA)
            await self.renew()
            await asyncio.sleep(1)
        return await acquire(self, stream, ask, *rest)

    monkeypatch.setattr(Turnstile, "acquire", losing)
    result = await one.runs.start(named(counting, 20), {"name": "one"}, flow=flow, rate=rate)

    assert {result.phase, (await competing[0]).phase} == {"completed"}
    assert (counting.most, counting.order) == (1, ["other", "one"])
    await nothing_is_held(one)
