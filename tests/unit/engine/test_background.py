"""Work beside the runs of a process: at most once at a time, again when it is wanted again, and over when closed."""

from __future__ import annotations

import asyncio

import pytest

from interlock.engine.background import Background
from interlock.testing.loop import over_seeds


class Work:
    """Notes when it begins and ends; it ends once it is let go."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.go = asyncio.Event()

    async def __call__(self) -> None:
        self.told.append("began")
        try:
            await self.go.wait()
        finally:
            self.told.append("ended")


@over_seeds(3)
async def test_work_that_is_under_way_is_not_begun_twice_and_begins_again_once_it_has_ended() -> None:
    work = Work()
    beside = Background(work, "work")
    for _ in range(3):
        beside.start()
        await asyncio.sleep(1)
    assert work.told == ["began"]

    work.go.set()
    await asyncio.sleep(1)
    beside.start()
    await asyncio.sleep(1)
    assert work.told == ["began", "ended"] * 2


@over_seeds(3)
async def test_what_was_closed_has_ended_and_can_be_closed_again() -> None:
    work = Work()
    beside = Background(work, "work")
    await beside.close()
    beside.start()
    await asyncio.sleep(1)
    await beside.close()
    assert work.told == ["began", "ended"]
    await beside.close()


@over_seeds(0)
async def test_a_fault_that_ended_the_work_is_told_by_close() -> None:
    async def fail() -> None:
        raise OSError("gone")

    beside = Background(fail, "work")
    beside.start()
    await asyncio.sleep(1)
    with pytest.raises(OSError, match="gone"):
        await beside.close()
