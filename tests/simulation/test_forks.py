"""A process dies at every point while it makes a fork, and whoever comes next completes it.

With few records in an append a fork is made in many, so that every place between two inherited states, and between two
records of one, is a place to die at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from interlock.app import App
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import FanOutJoin, RunConfig
from interlock.engine.context import Context
from interlock.engine.errors import StateFailure
from interlock.engine.io.live import LiveIo
from interlock.engine.lineage import inheriting
from interlock.engine.lineage.forking import ForkResult
from interlock.testing.app import read_run
from interlock.testing.checker import check_artifacts, check_run
from interlock.testing.loop import run
from tests.simulation.crashes import RUN_ID, Points, World, facts, records
from tests.simulation.plans import read, write

FORK_ID = "01890a5d-ac96-774b-bcce-b302099a8058"
WIDE = RunConfig(execution_mode=FanOutJoin.of(3))
SETTINGS = {"engine": {"fold_snapshot_events": 10}}  # so that forks are read from snapshots of their state, too
NEXT = ("fork again", "resume", "worker")


def chain(held: list[bool]) -> Plan:
    """Three states with facts and an effect, before one that fails as long as it is held."""
    plan = Plan("chain")

    @plan.state
    async def one(start: int, io: LiveIo, ctx: Context) -> int:
        await io.call(read("sources"))
        await io.record_value("noted", start)
        ctx.write("large", "l" * 5000)
        return start + 1

    @plan.state(side_effects="apply_side_effect", idempotency="chain:1")
    async def two(one: int, io: LiveIo) -> int:
        await io.call(write("publish"))
        return one + 1

    @plan.state
    async def three(two: int) -> int:
        return two + 1

    @plan.state(side_effects="apply_side_effect", idempotency="chain:2")
    async def four(three: int, io: LiveIo) -> int:
        await io.call(write("announce"))
        if held[0]:
            raise StateFailure("held", "it is held")
        return three + 1

    return plan


def wide(held: list[bool]) -> Plan:
    """As `chain`, with two of its states at once."""
    plan = Plan("chain")

    @plan.state
    async def one(start: int, io: LiveIo, ctx: Context) -> int:
        await io.call(read("sources"))
        ctx.write("large", "l" * 5000)
        return start + 1

    @plan.state(side_effects="apply_side_effect", idempotency="chain:1")
    async def two(one: int, io: LiveIo) -> int:
        await io.call(write("publish"))
        return one + 1

    @plan.state
    async def three(one: int, io: LiveIo) -> int:
        await io.record_value("noted", one)
        return one + 1

    @plan.state(side_effects="apply_side_effect", idempotency="chain:2")
    async def four(two: int, three: int, io: LiveIo) -> int:
        await io.call(write("announce"))
        if held[0]:
            raise StateFailure("held", "it is held")
        return two + three

    return plan


class ForkWorld:
    """A world whose run failed in its last state; its forks need not fail."""

    def __init__(self, made: Callable[[list[bool]], Plan], config: RunConfig) -> None:
        self.made = made
        self.held = [True]
        self.world = World(lambda: made(self.held), {"start": 1}, config=config, settings=SETTINGS)
        self.config = config

    async def begin(self) -> None:
        app = self.world.process()
        result = await self.world.drive(app)
        assert result.phase == "failed"
        self.held[0] = False

    def process(self, points: Points | None = None) -> App:
        app = self.world.process(points)
        app.runs.plans.add(self.world.plan())
        return app

    async def fork(self, app: App, **options: Any) -> ForkResult:
        return await app.runs.fork(RUN_ID, run_id=FORK_ID, absorb_all=True, **options)

    async def next_life(self, how: str) -> None:
        """Another process, which knows of the fork in one of three ways."""
        app = self.process()
        exists = bool(await read_run(app, FORK_ID))
        if how == "fork again" or not exists:
            await self.fork(app)
        elif how == "resume":
            await app.runs.resume(FORK_ID)
        else:
            await asyncio.sleep(60)  # a claim of the dead process lapses
            await app.runs.worker.work(until_idle=True)

    async def outcome(self) -> tuple[object, ...]:
        """All of the fork that a reader may rely on, after it was held against every rule."""
        app = self.process()
        log = await read_run(app, FORK_ID)
        if self.config.execution_mode == "Sequential":
            check_run(log, plan=self.made(self.held).build())
        await check_artifacts(log, app.store.artifacts)
        result = await app.runs.read.result(FORK_ID)
        entered = [each.state_id for each in records(log) if isinstance(each, e.StateEntered) and each.attempt == 0]
        return result.phase, result.final_snapshot_id, sorted(entered), facts(log)


CASES = {"one after the other": (chain, RunConfig()), "at once": (wide, WIDE)}


@pytest.mark.parametrize("records_max", [1, 3, 1000])
@pytest.mark.parametrize("how", NEXT)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_process_that_dies_while_it_makes_a_fork_leaves_one_that_the_next_completes(
    case: tuple[Any, RunConfig], how: str, records_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I2, I4, I5, I6, I8, I10, I12, I16: checked after every death; nothing that was inherited runs again."""
    monkeypatch.setattr(inheriting, "INHERITED_RECORDS_MAX", records_max)

    async def scenario(crash_at: int | None) -> tuple[tuple[object, ...], list[str]]:
        world = ForkWorld(*case)
        await world.begin()
        points = Points(crash_at)
        try:
            await world.fork(world.process(points))
        except BaseException:
            if not points.dead:
                raise
            await world.next_life(how)
        found = await world.outcome()
        outside = world.world.outside
        assert (outside.count("sources"), outside.count("publish")) == (1, 1), crash_at
        assert dict(outside.applied) == {"publish": 1, "announce": 1}, crash_at
        return found, points.reached

    expected, reached = run(scenario(None))
    assert expected[0] == "completed"
    assert len(reached) > (12 if records_max == 1 else 5)
    for crash_at, name in enumerate(reached, 1):
        assert run(scenario(crash_at))[0] == expected, f"killed at point {crash_at}, {name}"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_of_several_processes_that_make_one_fork_at_once_one_does_and_all_tell_the_same(
    case: tuple[Any, RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inheriting, "INHERITED_RECORDS_MAX", 1)

    async def scenario() -> None:
        world = ForkWorld(*case)
        await world.begin()
        told = await asyncio.gather(*(world.fork(world.process()) for _ in range(3)))
        assert len({repr(each) for each in told}) == 1
        assert (await world.outcome())[0] == "completed"
        assert world.world.outside.applied["announce"] == 1

    for seed in range(20):
        run(scenario(), seed=seed)


def test_a_fork_that_is_not_complete_yet_is_neither_forked_nor_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inheriting, "INHERITED_RECORDS_MAX", 1)

    async def scenario() -> None:
        world = ForkWorld(chain, RunConfig())
        await world.begin()
        points = Points(9)
        with pytest.raises(BaseException):  # noqa: B017, PT011 - the process is dead
            await world.fork(world.process(points))
        app = world.process()
        assert (await app.runs.read.state(FORK_ID)).is_inheriting
        with pytest.raises(Exception, match="has not recorded all that it inherits"):
            await app.runs.fork(FORK_ID)
        other = Plan("chain", version="2")
        other.state(name="one")(_nothing)
        migration = await app.runs.migration(FORK_ID, other)
        assert not migration.is_possible
        assert "has not recorded all" in migration.objections[0]

    run(scenario())


async def _nothing() -> None:
    pass
