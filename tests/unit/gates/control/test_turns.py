"""Turns: calls of one run one after the other, in order, and figures with the reference's names."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.gates.control.turns import TENANTS_MAX, Turns
from interlock.journal.queues import StreamQueues


def turns(per_stream_max: int = 256) -> Turns:
    return Turns(StreamQueues(per_stream_max=per_stream_max, total_max=1000, wait_ms_max=30_000))


def test_calls_of_one_run_come_in_order_and_others_at_once() -> None:
    async def main() -> None:
        held, order = turns(), list[str]()

        async def call(stream: str, name: str, seconds: float) -> None:
            async with held.hold(stream):
                order.append(f"{name} begins")
                await asyncio.sleep(seconds)
                order.append(f"{name} ends")

        await asyncio.gather(call("a", "a1", 0.02), call("a", "a2", 0), call("b", "b1", 0))
        assert order == ["a1 begins", "b1 begins", "b1 ends", "a1 ends", "a2 begins", "a2 ends"]
        found = held.statistics()
        assert (found.lock_acquisitions, found.active_holders, found.pending_waiters) == (3, 0, 0)
        assert found.queue_depth_histogram[:2] == [2, 1]
        assert (found.queue_depth_p50, found.queue_depth_p95) == (0, 1)
        assert sum(found.lock_wait_histogram) == 3
        assert found.lock_wait_p95_us >= 10_000

    asyncio.run(main())


def test_a_full_queue_is_refused_at_once_with_a_time_to_try_again() -> None:
    async def main() -> None:
        held = turns(per_stream_max=1)
        release = asyncio.Event()

        async def call() -> None:
            async with held.hold("a"):
                await release.wait()

        tasks = [asyncio.create_task(call()) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(InterlockError) as fault:
            await call()
        assert (fault.value.code, fault.value.retryable) == ("queue_full", True)
        assert isinstance(fault.value.details["retry_after_ms"], int)
        release.set()
        await asyncio.gather(*tasks)
        assert held._calls == {}

    asyncio.run(main())


def test_the_figures_have_the_names_and_buckets_of_the_reference() -> None:
    found = msgspec.to_builtins(turns().statistics())
    assert found["lock_wait_buckets_us"] == [100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000]
    assert found["queue_depth_buckets"] == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert len(found["lock_wait_histogram"]) == len(found["queue_depth_histogram"]) == 11
    assert found["lock_wait_p50_us"] == found["queue_depth_p95"] == 0


def test_a_tenant_is_told_its_own_figures_and_nothing_of_others() -> None:
    async def main() -> None:
        held = turns(per_stream_max=1)
        release, begun = asyncio.Event(), asyncio.Event()

        async def call() -> None:
            async with held.hold("acme/scenario_run/1:1:a"):
                begun.set()
                await release.wait()

        for _ in range(3):
            async with held.hold("globex/scenario_run/1:1:a"):
                pass
        tasks = [asyncio.create_task(call()) for _ in range(2)]
        await begun.wait()
        with pytest.raises(InterlockError):
            await call()
        acme, globex, whole = held.statistics("acme"), held.statistics("globex"), held.statistics()
        assert (acme.lock_acquisitions, acme.active_holders, acme.pending_waiters) == (1, 1, 1)
        assert (globex.lock_acquisitions, globex.active_holders, globex.pending_waiters) == (3, 0, 0)
        assert (whole.lock_acquisitions, whole.active_holders, whole.pending_waiters) == (4, 1, 1)
        assert sum(globex.lock_wait_histogram) == sum(globex.queue_depth_histogram) == 3
        assert held.statistics("nobody") == turns().statistics()
        release.set()
        await asyncio.gather(*tasks)
        assert (held.statistics("acme").lock_acquisitions, held.statistics("acme").active_holders) == (2, 0)

    asyncio.run(main())


def test_the_figures_of_tenants_are_bounded() -> None:
    async def main() -> None:
        held = turns()
        for number in range(TENANTS_MAX + 1):
            async with held.hold(f"t{number}/scenario_run/1:1:a"):
                pass
        assert [held.statistics(name).lock_acquisitions for name in ("t0", "t1", f"t{TENANTS_MAX}")] == [0, 1, 1]
        assert held.statistics().lock_acquisitions == TENANTS_MAX + 1
        assert len(held._of_tenant) == TENANTS_MAX

    asyncio.run(main())
