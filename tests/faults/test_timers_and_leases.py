"""Timers and leases over real processes that are killed: every firing happens once, every lease goes on.

On both durable stores.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from interlock.base.clock import SeededEntropy, SystemClock
from interlock.base.principal import Principal
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.journal.leases import Granted, Leases, Queued
from interlock.journal.leases import events as e
from interlock.journal.leases.decide import EXPIRY
from interlock.journal.leases.fold import LEASE_FOLD
from interlock.journal.leases.views import LEASES
from interlock.journal.ports import Store
from interlock.journal.runner import Runner, RunnerSettings
from interlock.journal.store_name import StoreName, store_name
from interlock.journal.timers import TimerService
from interlock.journal.verify import verify
from tests.faults.durable import Durable, open_named
from tests.unit.journal.alarms import NOW_MS, Clockwork

ADA = Principal(id="local:ada")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
ALARMS = [f"a{number}" for number in range(6)]
LEASE_MS = 2_000
WAITER = "default/run/waiter"
POINTS = range(3)
"""Of `Durable.points`: before an append is written, on its way, once it is committed."""


def started(store: StoreName, role: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, role, str(store), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True)


def leases_on(store: Store) -> tuple[Journal, Leases, TimerService]:
    journal = Journal(store, EventCatalogue(e.EVENTS), SystemClock(), SeededEntropy(os.getpid()))
    runner = Runner(journal, RunnerSettings(), "0" * 64)
    return journal, Leases(runner), TimerService(journal, runner, [EXPIRY])


async def ask(leases: Leases, request_id: str, wake: str | None = None, lease_ms: int = LEASE_MS) -> Granted | Queued:
    return await leases.acquire(
        "key", holder=request_id, request_id=request_id, lease_ms=lease_ms, capacity=1, wake=wake, principal=ADA
    )


def killing(point: str, at: int) -> Callable[[str], None]:
    """Ends this process when it reaches a point for the `at`th time."""
    reached = 0

    def faults(name: str) -> None:
        nonlocal reached
        reached += name == point
        if reached == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return faults


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("at", [1, 4, 6])
def test_a_process_killed_while_it_fires_leaves_every_timer_to_fire_once(
    tmp_path: Path, durable: Durable, point: int, at: int
) -> None:
    path = durable.fresh(tmp_path)

    async def arrange() -> None:
        store = await open_named(path)
        for number, name in enumerate(ALARMS):
            await Clockwork(store, SystemClock()).arrange(name, NOW_MS - number)
        await store.close()

    async def after() -> list[str]:
        store = await open_named(path)
        clock = Clockwork(store, SystemClock())
        await clock.fire(NOW_MS)
        assert (await verify(clock.journal)).findings == []
        rung = await clock.rung()
        await store.close()
        return rung

    asyncio.run(arrange())
    process = started(path, "fire", durable.points[point], str(at))
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGKILL
    assert asyncio.run(after()) == ALARMS[::-1]


def test_processes_that_serve_the_same_timers_fire_each_of_them_once_and_in_order(
    tmp_path: Path, durable: Durable
) -> None:
    path = durable.fresh(tmp_path)
    names = [f"a{number:03d}" for number in range(60)]

    async def main() -> list[str]:
        store = await open_named(path)
        clock = Clockwork(store, SystemClock())
        for number, name in enumerate(names):
            await clock.arrange(name, NOW_MS + number)
        rivals = [started(path, "fire", "never", "1") for _ in range(2)]
        await clock.fire(NOW_MS + 1_000)
        for rival in rivals:
            rival.communicate(timeout=60)
        assert [rival.returncode for rival in rivals] == [0, 0]
        rung = await clock.rung()
        await store.close()
        return rung

    assert asyncio.run(main()) == names


def test_the_lease_of_a_killed_holder_expires_and_is_granted_on_to_who_waits_and_wakes_it(
    tmp_path: Path, durable: Durable
) -> None:
    path = durable.fresh(tmp_path)

    async def main() -> None:
        store = await open_named(path)
        journal, leases, timers = leases_on(store)
        holder = started(path, "hold")
        assert holder.stdout is not None
        assert await asyncio.to_thread(holder.stdout.readline) == "1\n"
        assert await ask(leases, "waiter", WAITER, 60_000) == Queued(1)
        first = await leases.standing("key", "holder", principal=ADA)
        assert isinstance(first, Granted)
        holder.kill()
        holder.communicate()

        serving = asyncio.create_task(timers.serve(["default"]))
        while not isinstance(standing := await leases.standing("key", "waiter", principal=ADA), Granted):
            await store.doorbell.wait(store.doorbell.seen(), 10_000)
        serving.cancel()

        assert standing.token == 2
        expired = [
            event.record
            async for page in journal.read(e.lease_stream("default", "key"))
            for event in page
            if isinstance(event.record, e.LeaseExpired) and event.envelope.at_ms >= event.record.expires_ms
        ]
        # The holder had renewed for as long as it lived.
        assert [(record.token, record.expires_ms >= first.expires_ms) for record in expired] == [(1, True)]
        [claim] = await store.activations.claim("default", ["run"], store.owner, 9, journal.now_ms(), 1_000)
        assert claim.stream == WAITER
        assert (await verify(journal, [LEASE_FOLD], [LEASES])).findings == []
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_while_it_records_an_expiry_leaves_one_expiry_and_one_grant(
    tmp_path: Path, durable: Durable, point: int
) -> None:
    path = durable.fresh(tmp_path)

    async def before() -> None:
        store = await open_named(path)
        _, leases, _ = leases_on(store)
        await ask(leases, "holder", None, 1)
        await ask(leases, "waiter", WAITER, 60_000)
        await store.close()

    async def after() -> list[type]:
        store = await open_named(path)
        journal, leases, timers = leases_on(store)
        await timers.fire_due("default", journal.now_ms() + 1_000)
        assert isinstance(await leases.standing("key", "waiter", principal=ADA), Granted)
        assert (await verify(journal, [LEASE_FOLD], [LEASES])).findings == []
        kinds = [type(event.record) async for page in journal.read(e.lease_stream("default", "key")) for event in page]
        await store.close()
        return kinds

    asyncio.run(before())
    process = started(path, "expire", durable.points[point])
    process.communicate(timeout=60)
    kinds = asyncio.run(after())

    assert process.returncode in (0, -signal.SIGKILL)
    assert (kinds.count(e.LeaseExpired), kinds.count(e.LeaseGranted)) == (1, 2)


# What the processes do


async def fire(path: StoreName, point: str, at: str) -> None:
    """Fire every alarm that is due, until it is killed."""
    store = await open_named(path, faults=killing(point, int(at)))
    await Clockwork(store, SystemClock()).fire(NOW_MS + 1_000)
    await store.close()


async def hold(path: StoreName) -> None:
    """Hold the lease and renew it for ever."""
    store = await open_named(path)
    _, leases, _ = leases_on(store)
    granted = await ask(leases, "holder")
    assert isinstance(granted, Granted)
    print(granted.token, flush=True)
    while True:
        await leases.renew("key", granted.token, LEASE_MS, principal=ADA)
        await asyncio.sleep(LEASE_MS / 40_000)


async def expire(path: StoreName, point: str) -> None:
    """Record what has expired, until it is killed."""
    store = await open_named(path, faults=killing(point, 1))
    journal, _, timers = leases_on(store)
    await timers.fire_due("default", journal.now_ms() + 1_000)
    await store.close()


if __name__ == "__main__":
    roles: dict[str, Callable[..., Coroutine[object, object, None]]] = {"fire": fire, "hold": hold, "expire": expire}
    asyncio.run(roles[sys.argv[1]](store_name(sys.argv[2]), *sys.argv[3:]))
