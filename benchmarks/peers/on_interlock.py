"""Interlock, on SQLite or on the PostgreSQL that it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

from protocol import Crowd, Given, main

from interlock import App, Context, ExecutionPlan, StateMeta, StateNode
from interlock.engine.meta import SideEffectKind
from interlock.engine.plan import DependencyEdge

PURE = StateMeta(side_effects=SideEffectKind.PURE)


class Noted:
    """A state that notes that it ran, where the workload wants it."""

    def __init__(self, number: int, given: Given) -> None:
        self._number = number
        self._given = given

    def meta(self) -> StateMeta:
        return PURE

    async def handle(self, ctx: Context, io: object, rec: object) -> None:
        self._given.note(await ctx.require("run", str), self._number)


def sequence(given: Given, count: int) -> ExecutionPlan:
    ids = [f"bench.s{number:05d}.main" for number in range(count)]
    states = [StateNode(state_id, Noted(number, given)) for number, state_id in enumerate(ids)]
    return ExecutionPlan("bench", "1", tuple(states), tuple(DependencyEdge(*pair) for pair in pairwise(ids)))


@asynccontextmanager
async def opened(given: Given) -> AsyncIterator[Crowd]:
    async with App.open(given.database or given.folder / "store.db") as app:

        async def crowd(ids: Sequence[str], states: int) -> None:
            plan = sequence(given, states)
            results = await asyncio.gather(*(app.runs.start(plan, {"run": run}, run_id=run) for run in ids))
            if {result.phase for result in results} != {"completed"}:
                raise RuntimeError("a run did not complete")

        yield crowd


if __name__ == "__main__":
    main(opened)
