"""What waits for the writer: jobs, and the batches in which they share a transaction.

What it does: declares the records. What it does not do: it queues and writes nothing; `writer` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from interlock.journal.ports import Append
from interlock.stores.appending import Outcome
from interlock.stores.sqlite.transaction import Task


@dataclass(slots=True, eq=False)
class Job:
    """What one caller waits for: outcomes of appends, or the result of a task."""

    appends: Sequence[Append]
    task: Task | None
    bytes: int
    future: asyncio.Future[Any]

    @property
    def ops(self) -> int:
        """How much of the queue's bound it takes."""
        return len(self.appends) or 1


@dataclass(slots=True, eq=False)
class Batch:
    """Jobs that share a transaction, and what became of it; or an interlude and no job."""

    jobs: list[Job]
    interlude: Callable[[], None] | None = None
    appends: Sequence[Append] = ()
    outcomes: list[Outcome] = field(default_factory=list)
    results: list[object] = field(default_factory=list)
    fault: Exception | None = None
    wrote: bool = False
