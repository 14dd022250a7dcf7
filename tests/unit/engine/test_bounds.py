"""What one append of a run may hold, whatever the run is like."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from interlock import Io, Plan
from interlock.base.bounds import EVENTS_PER_APPEND_MAX
from interlock.base.principal import local_principal
from interlock.engine.decide import EngineSettings
from interlock.testing.app import memory_app
from interlock.testing.loop import run

RUN = "11111111-1111-4111-8111-111111111111"
KIDS = 5_000


def most(name: str) -> int:
    """The largest value that a setting may have."""
    [limits] = get_type_hints(EngineSettings, include_extras=True)[name].__metadata__
    return int(limits.le)


def test_the_append_that_ends_a_run_holds_an_end_of_every_attempt_and_a_word_to_every_child() -> None:
    assert most("concurrency_max") + most("children_max") < EVENTS_PER_APPEND_MAX * 3 / 4


@pytest.mark.slow
def test_a_run_with_as_many_children_as_there_may_be_is_cancelled_with_all_of_them() -> None:
    """H2, H5."""
    kid, plan = Plan("kid"), Plan("parent")

    @kid.state
    async def waits(io: Io) -> int:
        return await io.wait("go", int)

    @plan.state
    async def spawn(io: Io) -> int:
        for number in range(KIDS):
            await io.spawn(kid, name=f"kid {number}")
        return await io.wait("go", int)

    async def main() -> None:
        app = memory_app()
        await app.runs.start(plan, run_id=RUN)
        await app.runs.control.cancel(RUN, "no need", principal=local_principal("ada"))
        assert (await app.runs.read.result(RUN)).phase == "cancelled"
        kids = list((await app.runs.read.state(RUN)).children)
        assert len(kids) == KIDS
        assert {(await app.runs.read.result(kid_id)).phase for kid_id in kids} == {"cancelled"}

    run(main())
