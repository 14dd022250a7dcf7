"""How slow a transfer may be, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from interlock.surfaces.http.pace import Pace
from interlock.testing.loop import run


async def moved(pace: Pace, count: int, after_s: float, times: int) -> None:
    for _ in range(times):
        await pace.of(asyncio.sleep(after_s))
        pace.moved(count)


def test_whoever_moves_at_the_least_rate_may_go_on_for_ever() -> None:
    async def main() -> None:
        await moved(Pace(30_000, 1_000), 20_000, 20, 10_000)

    run(main())


def test_whoever_is_slower_has_an_end_however_steadily_something_moves() -> None:
    async def main() -> None:
        pace = Pace(30_000, 1_000)
        with pytest.raises(TimeoutError):
            await moved(pace, 990, 1, 100_000)
        assert asyncio.get_running_loop().time() == pytest.approx(30 / 0.01, rel=0.05)

    run(main())


def test_whoever_was_fast_may_not_stand_still_for_it() -> None:
    async def main() -> None:
        pace = Pace(30_000, 1_000)
        await moved(pace, 1_000_000, 1, 100)
        with pytest.raises(TimeoutError):
            await moved(pace, 0, 31, 1)

    run(main())


def test_our_own_work_does_not_count() -> None:
    async def main() -> None:
        pace = Pace(30_000, 1_000)
        for _ in range(100):
            await asyncio.sleep(60)
            await moved(pace, 1_000, 1, 1)

    run(main())


def test_without_a_least_rate_the_window_is_all_the_time_there_is() -> None:
    async def main() -> None:
        pace = Pace(30_000)
        with pytest.raises(TimeoutError):
            await moved(pace, 1_000_000, 1, 100)
        assert asyncio.get_running_loop().time() == pytest.approx(30, abs=1)

    run(main())
