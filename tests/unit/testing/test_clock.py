"""The virtual clock: it follows the loop, can be set, and belongs to virtual time only."""

from __future__ import annotations

import asyncio

import pytest

from interlock.testing.clock import VirtualClock
from interlock.testing.loop import run


def test_a_run_begins_at_the_wall_time_it_is_given() -> None:
    async def main() -> int:
        return VirtualClock().now_ms()

    assert run(main(), start_ms=42) == 42


def test_a_clock_that_is_set_back_wakes_nobody_and_shows_the_new_time() -> None:
    async def main() -> tuple[int, float]:
        clock = VirtualClock()
        clock.jump(-500)
        await asyncio.sleep(1)
        return clock.now_ms(), asyncio.get_running_loop().time()

    assert run(main(), start_ms=1_000) == (1_500, 1.0)


def test_a_virtual_clock_refuses_a_loop_in_real_time() -> None:
    async def main() -> None:
        VirtualClock()

    with pytest.raises(RuntimeError, match="needs a virtual loop"):
        asyncio.run(main())


def test_who_sleeps_until_a_time_wakes_at_it() -> None:
    async def main() -> None:
        clock = VirtualClock()
        for due_ms in (1_003, 1_010, 90_061, 90_062):
            await asyncio.sleep((due_ms - clock.now_ms()) / 1000)
            assert clock.now_ms() == due_ms

    run(main(), start_ms=1_000)
