"""Replays of runs that lived in a `World`: without transports, clock and entropy, and seen to write nothing."""

from __future__ import annotations

from typing import Any, NoReturn

from interlock.app import App
from interlock.engine.authoring import Plan
from interlock.engine.context import Context
from interlock.engine.plan import ExecutionPlan
from interlock.engine.replay.report import ReplayReport
from interlock.testing.app import dump, memory_app
from tests.simulation.crashes import RUN_ID, World


class Forbidden:
    """Stands for everything that a replay must not touch: transport, clock, entropy."""

    def effectful(self, _request: object) -> NoReturn:
        raise AssertionError("a replay asks a transport")

    async def call(self, _request: object, _context: object) -> NoReturn:
        raise AssertionError("a replay calls the outside")

    async def close(self) -> None:
        pass

    def now_ms(self) -> NoReturn:
        raise AssertionError("a replay reads the clock")

    def random_bytes(self, _count: int) -> NoReturn:
        raise AssertionError("a replay draws entropy")


def sealed_off(world: World) -> App:
    """An application on what the world has recorded, that can reach nothing else."""
    app = memory_app(world._content.reopen("replay"), transports={"outside": Forbidden()})
    app.journal.clock = app.journal.entropy = Forbidden()
    return app


async def replayed(world: World, plan: Plan | ExecutionPlan | None = None, run_id: str = RUN_ID) -> ReplayReport:
    """The report of a replay, with today's plan or the world's own."""
    app = sealed_off(world)
    before, delivered = await dump(app.store), len(world.outside.deliveries)
    report = await app.runs.replay(run_id, plan or world.plan())
    assert await dump(app.store) == before, "a replay has written"
    assert len(world.outside.deliveries) == delivered, "a replay has called the outside"
    return report


def told(report: ReplayReport) -> dict[str, Any]:
    """What a report says first, in short."""
    found = report.divergence
    if found is None:
        return {"identical": True}
    return {"state": found.state_id, "attempt": found.attempt, "kind": found.kind.value, "key": found.fact_key}


def changed_numbers() -> Plan:
    """As `numbers`, with another second state."""
    plan = Plan("numbers")

    @plan.state
    async def one(start: int) -> int:
        return start + 1

    @plan.state
    async def two(one: int, ctx: Context) -> int:
        ctx.write("square", one * one * one)
        ctx.write("added", True)
        return one + 1

    @plan.state
    async def three(two: int, ctx: Context) -> None:
        square = await ctx.require("square", int)
        ctx.delete("square")
        ctx.write("sum", two + square)

    return plan
