"""Who spends the time of a state: the W2 workload's single-thread time, split by what it is spent on.

Profiled, so every figure is larger than without; only the shares mean something.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats

from workloads import fresh_app, sequence

RUNS = 300
STATES = 10
SHARES = {
    "fold": ("engine/fold.py",),
    "decide": ("engine/decide.py", "engine/schedule.py"),
    "loop and attempt": (
        "engine/loop.py",
        "engine/at_once.py",
        "engine/attempt.py",
        "engine/session.py",
        "engine/runs.py",
        "asyncio/timeouts.py",
    ),
    "encode and hash": ("journal/chain.py", "journal/catalogue.py", "msgspec", "_hashlib", "base/canonical.py"),
    "context map": ("engine/context.py", "base/merkle_map.py", "base/merkle_node.py"),
    "journal": ("journal/journal.py", "journal/ports.py", "journal/streams.py"),
    "store and hand-off": ("stores/", "apsw", "threading.py", "queue.py", "concurrent/"),
    "event loop": ("asyncio/",),
}


async def measure() -> dict[str, object]:
    plan = sequence(STATES)
    async with fresh_app() as app:
        await app.runs.start(plan)
        profile = cProfile.Profile()
        profile.enable()
        await asyncio.gather(*(app.runs.start(plan) for _ in range(RUNS)))
        profile.disable()
    spent = dict.fromkeys([*SHARES, "other"], 0.0)
    for (file, _, name), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        place = f"{file}:{name}"
        share = next((share for share, marks in SHARES.items() if any(mark in place for mark in marks)), "other")
        spent[share] += own
    total = sum(spent.values())
    return {
        "profiled_us_per_state": round(total / (RUNS * STATES) * 1e6, 1),
        "share": {name: round(seconds / total, 3) for name, seconds in sorted(spent.items(), key=lambda i: -i[1])},
    }


def run() -> dict[str, object]:
    return asyncio.run(measure())
