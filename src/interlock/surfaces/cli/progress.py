"""Live progress of a verb that drives, drawn on standard error while the call runs.

What it does: asks a query about ten times a second and draws the steps that it names. What it does not do: it
changes nothing about the call; if the query fails, drawing stops and the call goes on.

Rule: only used on a terminal, for people; the last picture stays above the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from msgspec import Struct
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from interlock.base.errors import InterlockError, NotFound
from interlock.base.part import Command, unheard
from interlock.surfaces.caller import Caller
from interlock.surfaces.cli.presentation import Progress, Step
from interlock.surfaces.cli.text import safe

_POLL_SECONDS = 0.1
_STEPS_SHOWN_MAX = 20
_STEPS_BEFORE = 12
_MARKS = {
    "done": Text("✓", style="green"),
    "skipped": Text("⊘", style="dim"),
    "failed": Text("✗", style="bold red"),
    "waiting": Text("…", style="yellow"),
    "pending": Text("·", style="dim"),
}
_OVER = {"done", "skipped"}
_RUNNING = Spinner("dots", style="cyan")


async def watched(
    client: Caller,
    command: Command,
    given: Mapping[str, object],
    progress: Progress,
    begun: Callable[[str], None] = unheard,
    accepted: Callable[[], bool] = lambda: True,
) -> Struct:
    """Run `command` and draw its progress once it is `accepted`; the output is that of the call.

    `given` names what is driven.
    """
    call = asyncio.ensure_future(client.call(command.name, given, begun=begun))
    try:
        await _draw_until_done(client, call, progress, given[progress.key], accepted)
    except BaseException:
        call.cancel()
        await asyncio.wait({call})  # what it holds is released before the application closes
        raise
    return call.result()


async def _draw_until_done(
    client: Caller, call: asyncio.Future[Struct], progress: Progress, key: object, accepted: Callable[[], bool]
) -> None:
    with ExitStack() as stack:
        live: Live | None = None  # begun with its first picture: an empty one would leave an empty line
        while True:
            last = call.done()
            try:
                if accepted():
                    drawn = _drawn(progress.steps(await client.call(progress.query, {progress.asks: key})))
                    live = live or stack.enter_context(Live(console=Console(stderr=True), refresh_per_second=10))
                    live.update(drawn)
            except NotFound:
                pass  # it has not begun
            except InterlockError:
                break
            if last:
                break
            await asyncio.wait({call}, timeout=_POLL_SECONDS)
    await asyncio.wait({call})


def _drawn(steps: Sequence[Step]) -> Table:
    """A grid of the steps around the first that is not done; what is cut off is counted."""
    at = next((place for place, step in enumerate(steps) if step.mark not in _OVER), len(steps))
    first = max(0, min(at - _STEPS_BEFORE, len(steps) - _STEPS_SHOWN_MAX))
    shown = steps[first : first + _STEPS_SHOWN_MAX]
    grid = Table.grid(padding=(0, 1))
    _count(grid, first, "before")
    for step in shown:
        grid.add_row(_MARKS.get(step.mark, _RUNNING), Text(safe(step.name)), Text(safe(step.note), style="dim"))
    _count(grid, len(steps) - first - len(shown), "after")
    return grid


def _count(grid: Table, hidden: int, where: str) -> None:
    if hidden:
        grid.add_row("", Text(f"{hidden} {where}", style="dim"), "")
