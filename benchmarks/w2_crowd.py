"""W2: 500 runs of 10 no-op states, all started at once."""

from __future__ import annotations

import asyncio
import time

from workloads import fresh_app, median, peak_memory_mb, sequence

RUNS = 500
STATES = 10
ROUNDS = 5


async def measure() -> dict[str, float]:
    plan = sequence(STATES)
    seconds = []
    async with fresh_app() as app:
        before = app.store.statistics()
        for _ in range(ROUNDS):
            began = time.perf_counter()
            results = await asyncio.gather(*(app.runs.start(plan) for _ in range(RUNS)))
            seconds.append(time.perf_counter() - began)
            if {result.phase for result in results} != {"completed"}:
                raise RuntimeError("a run did not complete")
        after = app.store.statistics()
    return {
        "states_per_second": round(RUNS * STATES / median(seconds)),
        "states_per_second_best": round(RUNS * STATES / min(seconds)),
        "commits_per_state": round((after.commits - before.commits) / (RUNS * STATES * ROUNDS), 4),
        "peak_memory_mb": peak_memory_mb(),
    }


def run() -> dict[str, float]:
    return asyncio.run(measure())
