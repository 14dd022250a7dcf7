"""Units whose grant is heard of late: the store was away, or the process stood still."""

from __future__ import annotations

import asyncio
from typing import Any

from interlock.engine.flow.limits import Flow
from interlock.testing.loop import run
from tests.simulation.flows import Counting, Installation, named, nothing_is_held

LEASE_MS = 30_000


def test_a_unit_that_expires_before_its_run_hears_of_it_is_asked_for_again() -> None:
    """The store was away between the grant and its answer: the run is not left alone for that."""

    async def main() -> None:
        installation = Installation()
        one, other = (installation.process() for _ in range(2))
        standing, slow = one.leases.standing, [True]

        async def late(*asked: Any, **options: Any) -> Any:
            if slow.pop() if slow else False:
                await asyncio.sleep(1.5 * LEASE_MS / 1000)
                assert await other.timers.fire_due("default", other.journal.now_ms()) == 1
            return await standing(*asked, **options)

        one.leases.standing = late  # type: ignore[method-assign]  # the answer to one request comes late
        flow = Flow(key="k", limit=1)
        assert (await one.runs.start(named(Counting()), {"name": "one"}, flow=flow)).phase == "completed"
        assert asyncio.get_running_loop().time() < 2 * LEASE_MS / 1000
        await nothing_is_held(one)

    run(main())
