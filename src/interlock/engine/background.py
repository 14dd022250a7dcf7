"""One task of a process that works beside its runs, for as long as there is something to do.

What it does: starts the task when it is wanted and not under way, and ends it. What it does not do: it knows nothing
of the work, which returns by itself once nothing is left.

Rule: what was closed has ended, so that nothing of it is left in the loop; a fault that had ended the work is told
then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any


class Background:
    """A task named `name` that runs `work`; there is at most one at a time."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._work = work
        self._name = name
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """See to it that the work is under way."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work(), name=self._name)

    async def close(self) -> None:
        """End the work."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
