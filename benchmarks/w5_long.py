"""W5: one run of 10 000 states: what its last 100 cost against its first 100, what resuming it costs, and replaying it.

The first and the last with nothing written and with one new context key in each state; medians, and the ratio of means
beside them, which holds the fold snapshots and checkpoints that fall into either hundred.
"""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

from workloads import NoOperation, fresh_app, median, peak_memory_mb, sequence

from interlock import ExecutionPlan, StateNode

STATES = 10_000
EDGE = 100
REPLAYS = 5


async def _costs(plan: ExecutionPlan) -> tuple[list[float], list[float]]:
    """Microseconds from one handler's call to the next, of the first and of the last hundred states."""
    marks: list[float] = []
    kind = type(plan.states[0].state)
    original = kind.handle

    async def handle(self: object, ctx: object, io: object, rec: object) -> object:
        marks.append(time.perf_counter())
        return await original(self, ctx, io, rec)  # type: ignore[arg-type]

    kind.handle = handle  # type: ignore[assignment,method-assign]
    try:
        async with fresh_app() as app:
            await app.runs.start(plan)
    finally:
        kind.handle = original  # type: ignore[method-assign]
    costs = [(after - before) * 1e6 for before, after in pairwise(marks)]
    return costs[:EDGE], costs[-EDGE:]


class Halting(NoOperation):
    """Waits for ever when it is entered first, and says when it is entered again."""

    def __init__(self) -> None:
        self.entered: list[float] = []
        self.reached = asyncio.Event()
        self.again = asyncio.Event()

    async def handle(self, ctx: object, io: object, rec: object) -> None:
        self.entered.append(time.perf_counter())
        if len(self.entered) == 1:
            self.reached.set()
            await asyncio.Event().wait()
        self.again.set()
        await asyncio.Event().wait()


async def _resume_ms(stop_at: int) -> float:
    """Milliseconds from `resume` to the handler's call, of a run of 10 000 states that was stopped at `stop_at`.

    Everything counts: claim, history, manifest, comparison with the plan, readiness, and the durable first append.
    """
    plan = sequence(STATES)
    halting = Halting()
    states = list(plan.states)
    states[stop_at] = StateNode(states[stop_at].id, halting)
    stopped = ExecutionPlan(plan.op_id, plan.version, tuple(states), plan.edges)
    run_id = "01890a5d-ac96-774b-bcce-b302099a8057"
    async with fresh_app() as app:
        task = asyncio.create_task(app.runs.start(stopped, run_id=run_id))
        await halting.reached.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        began = time.perf_counter()
        driving = asyncio.create_task(app.runs.resume(run_id))
        await halting.again.wait()
        driving.cancel()
        await asyncio.gather(driving, return_exceptions=True)
    return (halting.entered[1] - began) * 1000


async def _replay_events_per_s(plan: ExecutionPlan) -> float:
    """Events a second of an offline replay: read, verified, folded, driven anew and compared."""
    rates: list[float] = []
    async with fresh_app() as app:
        run_id = (await app.runs.start(plan)).run_id
        for _ in range(REPLAYS):
            began = time.perf_counter()
            report = await app.runs.replay(run_id)
            rates.append(report.events / (time.perf_counter() - began))
            if not report.identical or report.compared != STATES:
                raise RuntimeError("the replay differs")
    return median(rates)


async def measure() -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, keys in (("", False), ("_with_key", True)):
        first, last = await _costs(sequence(STATES, keys=keys))
        figures[f"first_100{name}_us"] = round(median(first))
        figures[f"last_100{name}_us"] = round(median(last))
        figures[f"ratio{name}"] = round(median(last) / median(first), 3)
        figures[f"ratio{name}_of_means"] = round(sum(last) / sum(first), 3)
        figures[f"replay{name}_events_per_s"] = round(await _replay_events_per_s(sequence(STATES, keys=keys)))
    for stop_at in (500, 2_500, 5_000, 7_500, 9_900):
        figures[f"resume_at_{stop_at}_ms"] = round(await _resume_ms(stop_at), 1)
    figures["peak_memory_mb"] = peak_memory_mb()
    return figures


def run() -> dict[str, float]:
    return asyncio.run(measure())
