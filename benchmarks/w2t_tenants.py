"""W2t: a worker for every tenant, of which one of 2,000 has work; beside the same work in a store without the others.

Each of the others has a run that has ended and one that waits for a signal, with a deadline: a timer that is set.
"""

from __future__ import annotations

import asyncio
import time

from workloads import fresh_app, median, peak_memory_mb

from interlock import App, Io, Plan
from interlock.base.principal import Principal, local_principal

TENANTS = 2_000
RUNS = 200
ROUNDS = 3
AT_ONCE = 100
DAY_MS = 86_400_000
BUSY = local_principal("ada", "busy")


def ending() -> Plan:
    done = Plan("done")

    @done.state
    async def nothing() -> int:
        return 1

    return done


def waiting() -> Plan:
    bench = Plan("bench")

    @bench.state
    async def ask(io: Io) -> int:
        return await io.wait("answer", int, timeout_ms=DAY_MS)

    @bench.state
    async def use(ask: int) -> int:
        return ask

    return bench


async def settle(app: App, tenants: int) -> None:
    """Give so many tenants what they have."""
    ended, waits = ending(), waiting()

    async def one(principal: Principal) -> None:
        await app.runs.start(ended, principal=principal)
        await app.runs.start(waits, principal=principal)

    for first in range(0, tenants, AT_ONCE):
        last = min(first + AT_ONCE, tenants)
        await asyncio.gather(*(one(local_principal("bob", f"tenant-{number:05d}")) for number in range(first, last)))


async def drain(app: App, work: Plan) -> float:
    """Seconds from the first answer to the end of the last run of the busy tenant; the worker is at work already."""
    runs = [each.run_id for each in await asyncio.gather(*(app.runs.start(work, principal=BUSY) for _ in range(RUNS)))]
    left, ended = set(runs), asyncio.Event()

    def seen(driven: object) -> None:
        left.discard(getattr(driven, "run_id", ""))
        if not left:
            ended.set()

    working = asyncio.ensure_future(app.runs.worker.work(partition=None, observer=seen))
    began = time.perf_counter()
    for run_id in runs:
        await app.runs.control.signal(run_id, "ask", "answer", 7, principal=BUSY)
    waited = asyncio.ensure_future(ended.wait())
    await asyncio.wait([working, waited], return_when=asyncio.FIRST_COMPLETED)
    taken = time.perf_counter() - began
    if working.done():
        working.result()
    working.cancel()
    await asyncio.wait([working])
    phases = {(await app.runs.read.result(each, tenant=BUSY.tenant)).phase for each in runs}
    if phases != {"completed"}:
        raise RuntimeError("a run did not complete")
    return taken


async def rate(tenants: int) -> float:
    work = waiting()
    async with fresh_app() as app:
        await settle(app, tenants)
        return RUNS / median([await drain(app, work) for _ in range(ROUNDS)])


async def measure() -> dict[str, float]:
    alone, among = await rate(0), await rate(TENANTS)
    return {
        "tenants": TENANTS,
        "runs_per_second": round(among),
        "runs_per_second_alone": round(alone),
        "alone_to_among": round(alone / among, 3),
        "peak_memory_mb": peak_memory_mb(),
    }


def run() -> dict[str, float]:
    return asyncio.run(measure())
