"""The contexts from which branches start leave nothing behind: `tests/conftest.py` proves the store of each test."""

from __future__ import annotations

import asyncio

import pytest

from interlock import App, Context, FanOutJoin, Plan, RunConfig


async def _joined(order: tuple[str, ...]) -> tuple[str | None, object]:
    """The end of a run whose branches complete in this order."""
    plan = Plan("joining")
    over = {name: asyncio.Event() for name in order}

    async def branch(ctx: Context, name: str) -> None:
        place = order.index(name)
        if place:
            await over[order[place - 1]].wait()
        ctx.write(f"of_{name}", name)
        over[name].set()

    @plan.state(name="a")
    async def a(ctx: Context) -> None:
        await branch(ctx, "a")

    @plan.state(name="b")
    async def b(ctx: Context) -> None:
        await branch(ctx, "b")

    @plan.state(name="c")
    async def c(ctx: Context) -> None:
        await branch(ctx, "c")

    @plan.state(after=[a, b, c])
    async def join(ctx: Context) -> list[str]:
        return sorted(await ctx.dump())

    async with App.open() as app:
        result = await app.runs.start(plan, config=RunConfig(execution_mode=FanOutJoin.of(3)))
        return result.final_snapshot_id, await app.runs.read.output(result.run_id, "join")


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_a_join_stores_no_context_between_its_branches_in_whatever_order_they_end(order: tuple[str, ...]) -> None:
    """Once each branch was put on top of the one before, and what lay between was stored and named by no event."""
    final, keys = asyncio.run(_joined(order))

    assert keys == ["of_a", "of_b", "of_c"]
    assert final == asyncio.run(_joined(("a", "b", "c")))[0]
