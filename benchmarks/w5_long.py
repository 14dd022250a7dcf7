"""W5: one run of 10 000 states: cost of the last 100 against the first 100, with and without a new context key in
each, and the time to resume it after an interruption near its start and near its end."""

from __future__ import annotations

import asyncio
import time

from workloads import NoOperation, OneKey, fresh_app, median, peak_memory_mb, sequence

from interlock import App, ExecutionPlan
from interlock.engine.config import RunConfig
from interlock.engine.decide import EngineSettings
from interlock.engine.fold import RUN_FOLD
from interlock.journal.streams import stream_id

STATES = 10_000
EDGE = 100


async def _ratio(plan: ExecutionPlan) -> tuple[float, float]:
    """Microseconds per state of the first and of the last hundred (medians over their states)."""
    marks: list[float] = []

    def marked(node_type: type) -> None:
        original = node_type.handle

        async def handle(self: object, ctx: object, io: object, rec: object) -> object:
            marks.append(time.perf_counter())
            return await original(self, ctx, io, rec)

        node_type.handle = handle
        node_type.original = original

    kind = type(plan.states[0].state)
    marked(kind)
    try:
        async with fresh_app() as app:
            await app.runs.start(plan)
    finally:
        kind.handle = kind.original
    costs = [(after - before) * 1e6 for before, after in zip(marks, marks[1:], strict=False)]
    return sum(costs[:EDGE]) / EDGE, sum(costs[-EDGE:]) / EDGE


async def _resume_ms(app: App, stop_at: int) -> float:
    """Milliseconds to load a run of 10 000 states that stands at `stop_at` and take its next step."""
    reached = asyncio.Event()

    class Stopping(NoOperation):
        async def handle(self, ctx: object, io: object, rec: object) -> None:
            if not reached.is_set():
                reached.set()
                await asyncio.Event().wait()

    plan = sequence(STATES)
    states = list(plan.states)
    node = states[stop_at]
    states[stop_at] = type(node)(node.id, Stopping())
    stopping = ExecutionPlan(plan.op_id, plan.version, tuple(states), plan.edges)
    task = asyncio.create_task(app.runs.start(stopping, config=RunConfig()))
    await reached.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    run_id = (await app.views.query("default", "runs", {}, None, 1)).items[0].run_id
    stream = stream_id("default", "run", run_id)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        await app.journal.load(RUN_FOLD, stream)
        seconds.append(time.perf_counter() - began)
    return median(seconds) * 1000


async def measure() -> dict[str, float]:
    first, last = await _ratio(sequence(STATES))
    first_key, last_key = await _ratio(sequence(STATES, keys=True))
    async with fresh_app() as app:
        early = await _resume_ms(app, 1_500)
        late = await _resume_ms(app, 9_500)
    return {
        "first_100_us": round(first),
        "last_100_us": round(last),
        "ratio": round(last / first, 3),
        "first_100_with_key_us": round(first_key),
        "last_100_with_key_us": round(last_key),
        "ratio_with_key": round(last_key / first_key, 3),
        "load_at_1500_ms": round(early, 1),
        "load_at_9500_ms": round(late, 1),
        "fold_snapshot_events": EngineSettings().fold_snapshot_events,
        "peak_memory_mb": peak_memory_mb(),
    }


def run() -> dict[str, float]:
    return asyncio.run(measure())


__all__ = ["OneKey", "run"]
