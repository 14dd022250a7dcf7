"""The plans whose recorded runs are replayed, and the lives that these runs had.

What it does: `LIVES` makes, for each name, a world in which a run has come to its end. What it does not do: it writes
no file; `scripts/record_replays.py` does.

Rule: a plan here is never changed, because what was recorded with it must replay identically; another one gets another
name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.engine.attempt import DomainEvent, Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import FanOutJoin, RetryPolicy, RunConfig
from interlock.engine.context import Context
from interlock.engine.errors import StateFailure
from interlock.engine.io.surface import Io
from interlock.engine.pipelines.operations import OpGraph, OpIo, OpRegistry
from interlock.engine.pipelines.pipeline import Pipeline, PipelineStep, plan_pipeline
from interlock.engine.plan import ExecutionPlan
from tests.simulation.crashes import RUN_ID, World
from tests.simulation.outside import BUSY
from tests.simulation.plans import read, write

OPERATOR = local_principal("ada")


def journey() -> Plan:
    """Calls, draws, values, artifacts, an effect, a failure that is tried again, and a crash."""
    plan = Plan("journey")

    @plan.state
    async def fetch(start: int, io: Io, rec: Recorder) -> dict[str, Any]:
        await rec.emit("looking", {"from": start})
        answer = await io.call(read("sources"))
        await io.record_value("count", {"files": 3})
        await rec.emit_many([DomainEvent("found", {"file": name}) for name in ("a", "b")])
        return {"answer": answer.response, "first": await io.get_recorded_fact("absent") is None}

    @plan.state(retry=RetryPolicy.fixed(4, 100), snapshot="always")
    async def shape(fetch: dict[str, Any], io: Io, ctx: Context) -> list[Any]:
        ctx.write("scratch", fetch["first"])
        nonce = await io.random("nonce", 8)
        await io.call(read("service"))
        ctx.delete("scratch")
        return [await io.now("shaped"), nonce.hex(), await io.now_millis(), "x" * 100]

    @plan.state(side_effects="apply_side_effect", idempotency="journey:1")
    async def publish(shape: list[Any], io: Io, rec: Recorder) -> object:
        await rec.artifact("Output", repr(shape).encode(), {"step": "publish"})
        return (await io.call(write("publish"))).response

    @plan.state(after=["publish"])
    async def last(io: Io) -> str:
        try:
            await io.call(read("optional"))
        except InterlockError:
            return "without"
        return "with"

    return plan


def asking() -> Plan:
    """Waits that are answered, slept, and let expire."""
    plan = Plan("asking")

    @plan.state
    async def ask(io: Io) -> dict[str, Any]:
        approved = await io.wait("approval", dict)
        await io.sleep("a while", 50)
        return {"approved": approved, "late": await io.wait("opinion", int, timeout_ms=50, default=7)}

    @plan.state(after=["ask"])
    async def give_up(io: Io) -> None:
        await io.wait("nobody", timeout_ms=50)

    return plan


def branching() -> Plan:
    """States that run at once, and one that joins them."""
    plan = Plan("branching")

    @plan.state
    async def source() -> int:
        return 5

    def branch(number: int) -> Callable[..., Awaitable[int]]:
        async def work(source: int, ctx: Context, io: Io, rec: Recorder) -> int:
            await rec.emit("working", number)
            await io.now("begun")
            await asyncio.sleep(0.01 * (3 - number))
            ctx.write(f"branch_{number}", source * number)
            return number

        return work

    for number in range(3):
        plan.state(name=f"b{number}")(branch(number))

    @plan.state
    async def joined(b0: int, b1: int, b2: int, ctx: Context) -> list[int]:
        return [await ctx.require(f"branch_{n}", int) for n in (b0, b1, b2)]

    return plan


def family() -> Plan:
    """A parent with two children, one of which fails."""
    kid = Plan("kid")

    @kid.state
    async def work(n: int) -> int:
        if n == 2:
            raise StateFailure("broken", "it cannot be done")
        return n * 10

    plan = Plan("family")

    @plan.state
    async def parent(io: Io) -> list[Any]:
        ended = [await io.child(kid, {"n": n}, name=f"kid {n}") for n in (1, 2)]
        return [[each.status, await io.output(each, "work")] for each in ended]

    return plan


class Counting:
    """An operation of two states that counts on from what it imports."""

    op_id = "counting"
    op_version = "1"

    def io(self, config: Any) -> OpIo:
        return OpIo(imports=("total",) if config["on"] else (), exports=("total",))

    def expand(self, op_path: str, config: Any, _run_config: RunConfig) -> OpGraph:
        plan = Plan("counting")

        @plan.state
        async def begin(ctx: Context, io: Io) -> None:
            before = await ctx.read("total") if config["on"] else 0
            ctx.write("begun", before)
            await io.call(read("sources", f"{op_path} sources"))

        @plan.state(after=[begin])
        async def end(ctx: Context) -> None:
            ctx.write("total", await ctx.require("begun", int) + config["by"])

        return OpGraph.of_plan(op_path, plan)


def pipeline() -> ExecutionPlan:
    """Two operations, one after the other."""
    steps = (
        PipelineStep("first", "counting", "1", {"on": False, "by": 2}),
        PipelineStep("second", "counting", "1", {"on": True, "by": 3}),
    )
    return plan_pipeline(Pipeline("counted", "1", steps), OpRegistry([Counting()]))


PLANS: dict[str, Callable[[], Plan | ExecutionPlan]] = {
    "journey": journey,
    "asking": asking,
    "branching": branching,
    "family": family,
    "pipeline": pipeline,
}


async def _journey() -> World:
    def faults(outside: Any) -> None:
        outside.fail("service", BUSY, BUSY)
        outside.fail("optional", BUSY)

    world = World(journey, {"start": 1}, faults=faults)
    await world.live(crash_on="send:after")
    await world.live()
    return world


async def _asking() -> World:
    world = World(asking)
    app = world.process()
    await world.drive(app)
    await app.runs.control.signal(RUN_ID, "ask", "approval", {"by": "ada"}, principal=OPERATOR)
    await world.drive(app)
    return world


async def _driven(plan: Callable[[], Plan | ExecutionPlan], config: RunConfig | None = None) -> World:
    world = World(plan, config=config)
    await world.drive(world.process())
    return world


LIVES: dict[str, Callable[[], Awaitable[World]]] = {
    "journey": _journey,
    "asking": _asking,
    "branching": lambda: _driven(branching, RunConfig(execution_mode=FanOutJoin.of(3))),
    "family": lambda: _driven(family),
    "pipeline": lambda: _driven(pipeline),
}
