"""W1: one run of 200 no-op states in sequence, each durable before the next starts."""

from __future__ import annotations

import asyncio

from workloads import fresh_app, median, peak_memory_mb, sequence, timed_start

STATES = 200
ROUNDS = 15


async def measure() -> dict[str, float]:
    plan = sequence(STATES)
    async with fresh_app() as app:
        await timed_start(app, plan)  # warm
        before = app.store.statistics()
        seconds = [await timed_start(app, plan) for _ in range(ROUNDS)]
        after = app.store.statistics()
    return {
        "states_per_second": round(STATES / median(seconds)),
        "states_per_second_best": round(STATES / min(seconds)),
        "commits_per_state": round((after.commits - before.commits) / (STATES * ROUNDS), 3),
        "peak_memory_mb": peak_memory_mb(),
    }


def run() -> dict[str, float]:
    return asyncio.run(measure())
