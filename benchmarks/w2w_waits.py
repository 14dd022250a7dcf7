"""W2w: 500 runs wait for a signal each; one process answers them all, and a worker drives them to their end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from workloads import fresh_app, median, peak_memory_mb

from interlock import App, Io, Plan
from interlock.base.principal import local_principal

RUNS = 500
ROUNDS = 3
PERSON = local_principal("ada")


@dataclass
class Seconds:
    """How long each part of one round took."""

    suspended: float
    answered: float
    ended: float


def plan() -> Plan:
    waiting = Plan("bench")

    @waiting.state
    async def ask(io: Io) -> int:
        return await io.wait("answer", int)

    @waiting.state
    async def use(ask: int) -> int:
        return ask

    return waiting


async def once(app: App, work: Plan) -> Seconds:
    began = time.perf_counter()
    results = await asyncio.gather(*(app.runs.start(work) for _ in range(RUNS)))
    suspended = time.perf_counter()
    if {result.waiting.kind for result in results if result.waiting} != {"suspended"}:
        raise RuntimeError("a run does not wait")
    control = app.runs.control
    await asyncio.gather(*(control.signal(each.run_id, "ask", "answer", 7, principal=PERSON) for each in results))
    answered = time.perf_counter()
    await app.runs.worker.work(until_idle=True)
    ended = time.perf_counter()
    phases = [(await app.runs.read.result(each.run_id)).phase for each in results]
    if set(phases) != {"completed"}:
        raise RuntimeError("a run did not complete")
    return Seconds(suspended - began, answered - suspended, ended - answered)


async def measure() -> dict[str, float]:
    work = plan()
    async with fresh_app() as app:
        rounds = [await once(app, work) for _ in range(ROUNDS)]
    return {
        "waits_per_second": round(RUNS / median([each.suspended for each in rounds])),
        "answers_per_second": round(RUNS / median([each.answered for each in rounds])),
        "runs_ended_per_second": round(RUNS / median([each.ended for each in rounds])),
        "peak_memory_mb": peak_memory_mb(),
    }


def run() -> dict[str, float]:
    return asyncio.run(measure())
