"""Whether a run, as it is reported, goes on by itself.

It reads no clock and no store; whoever asks brings the time, and the reports of children.

Rule: what a driver in the foreground would sit out is no end: a free owner, a unit of a lease, a time that is near, a
child that itself goes on. What a person or a later time must supply is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from interlock.engine.reports.records import RUNNING, RunReport

SAT_OUT_MS_MAX: Final = 60_000
"""So long ahead a time is near (`engine.backoff_held_ms_max`, by default)."""

GENERATIONS_MAX: Final = 16
"""Children of children that are asked about."""

Ask = Callable[[str], Awaitable[RunReport]]
"""The report of a run."""


async def is_settled(report: RunReport, ask: Ask, now_ms: int, generations: int = GENERATIONS_MAX) -> bool:
    """Whether the run has ended, or waits for what does not come by itself. Raises: what asking raises."""
    waiting = report.waiting
    if report.phase != RUNNING:
        return True
    if waiting is None or waiting.kind == "queued":
        return False
    if waiting.kind != "parked" and waiting.until_ms is not None and waiting.until_ms - now_ms <= SAT_OUT_MS_MAX:
        return False
    if waiting.kind != "suspended" or generations == 0:
        return True
    for run_id in _awaited(report):
        if not await is_settled(await ask(run_id), ask, now_ms, generations - 1):
            return False
    return True


def _awaited(report: RunReport) -> list[str]:
    """Children that have not ended, and that a step waits for."""
    waits = {(wait.step, wait.name.removeprefix("child:")) for wait in report.waits if wait.kind == "child"}
    return [child.run_id for child in report.children if child.status == RUNNING and (child.step, child.name) in waits]
