"""W2f: 100 runs at once, each with a fan-out of 8 states that write a key, and a join that reads them."""

from __future__ import annotations

import asyncio
import time

from workloads import PURE, OneKey, fresh_app, median, peak_memory_mb

from interlock import Context, ExecutionPlan, FanOutJoin, RunConfig, StateMeta, StateNode
from interlock.engine.plan import DependencyEdge

RUNS = 100
BRANCHES = 8
ROUNDS = 5


class Join:
    """A state that reads what every branch wrote."""

    def meta(self) -> StateMeta:
        return PURE

    async def handle(self, ctx: Context, io: object, rec: object) -> None:
        found = [await ctx.read(f"key_{number}") for number in range(BRANCHES)]
        ctx.write("joined", len([value for value in found if value is not None]))


def plan() -> ExecutionPlan:
    """A first state, the branches, the join."""
    branches = [StateNode(f"bench.b{number}.main", OneKey(f"key_{number}")) for number in range(BRANCHES)]
    first, join = StateNode("bench.first.main", OneKey("first")), StateNode("bench.join.main", Join())
    edges = [DependencyEdge(first.id, each.id) for each in branches]
    edges += [DependencyEdge(each.id, join.id) for each in branches]
    return ExecutionPlan("bench", "1", (first, *branches, join), tuple(edges))


async def measure() -> dict[str, float]:
    work, config, states = plan(), RunConfig(execution_mode=FanOutJoin.of(BRANCHES)), BRANCHES + 2
    seconds = []
    async with fresh_app() as app:
        before = app.store.statistics()
        for _ in range(ROUNDS):
            began = time.perf_counter()
            results = await asyncio.gather(*(app.runs.start(work, config=config) for _ in range(RUNS)))
            seconds.append(time.perf_counter() - began)
            if {result.phase for result in results} != {"completed"}:
                raise RuntimeError("a run did not complete")
            if await app.runs.read.output(results[0].run_id, "joined") != BRANCHES:
                raise RuntimeError("a join did not see every branch")
        after = app.store.statistics()
    return {
        "states_per_second": round(RUNS * states / median(seconds)),
        "states_per_second_best": round(RUNS * states / min(seconds)),
        "commits_per_state": round((after.commits - before.commits) / (RUNS * states * ROUNDS), 4),
        "peak_memory_mb": peak_memory_mb(),
    }


def run() -> dict[str, float]:
    return asyncio.run(measure())
