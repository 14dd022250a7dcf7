"""Whether a run, as it is reported, goes on by itself.

It reads no clock and no store. Rule: what a driver would wait out is no end: a free owner, a unit of a lease that some
run gives back, a short back-off; what a person or a later time must supply is.
"""

from __future__ import annotations

from typing import Final

from interlock.engine.reports.records import RUNNING, RunReport

BACKOFF_WAITED_MS: Final = 60_000
"""As long a back-off a run waits out while somebody looks on (`engine.backoff_held_ms_max`, by default)."""


def is_settled(report: RunReport) -> bool:
    """Whether the run has ended, or waits for what does not come by itself."""
    if report.phase != RUNNING:
        return True
    waiting = report.waiting
    if waiting is None or waiting.kind == "queued":
        return False
    if waiting.kind == "backoff" and waiting.since_ms is not None and waiting.until_ms is not None:
        return waiting.until_ms - waiting.since_ms > BACKOFF_WAITED_MS
    return True
