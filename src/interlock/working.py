"""The verb `work`: a process that drives whatever wants an owner, until it is told to stop.

What it does: opens the application on a store, lets its worker work, and turns SIGTERM and SIGINT into an end in good
order. What it does not do: it starts no run and decides nothing about one (`engine.work`).

Rules: who is told to stop lets go of every run at once, and the next owner goes on where it stood; a second signal ends
the process as if there were nothing to put in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from interlock.base.settled import settled
from interlock.engine.owners.work import Driven, Worked
from interlock.journal.store_name import StoreName
from interlock.machine import WorkReport
from interlock.supervised import watch_parent
from interlock.surfaces.narration import Narrator
from interlock.surfaces.stopping import told_to_stop

if TYPE_CHECKING:
    from interlock.app import App

LOOK_SECONDS = 0.5
"""How often it is looked whether there is another tenant."""


class Began(Struct, frozen=True):
    """The worker is at work: under which name it owns runs, and how many at once."""

    owner: str
    concurrency: int


async def work(
    store: StoreName, config: Path | None, narrator: Narrator, *, concurrency: int, until_idle: bool
) -> WorkReport:
    """Work for every tenant of a store until it is idle, or until this process is told to stop.

    Raises: as opening a store does.
    """
    from interlock.app import APPLICATION, App

    if watch_parent():
        narrator = Narrator()  # the supervisor says what people want to know
    with told_to_stop(once=True) as stopping:
        async with APPLICATION.open(store=store, config=config, create=False) as app:
            assert isinstance(app, App)  # noqa: S101 - what the product opens
            worker = app.runs.worker

            def observe(driven: Driven) -> None:
                narrator.tell(driven, _line(worker.worked, driven))

            narrator.tell(Began(app.store.owner, concurrency), "at work: nothing driven yet")
            driving = worker.work(partition=None, concurrency=concurrency, until_idle=until_idle, observer=observe)
            task = asyncio.ensure_future(_with_deliveries(driving, app, until_idle=until_idle))
            stopping.hear(task.cancel)
            with settled():
                await asyncio.wait([task])
            narrator.close()
            if not task.cancelled():
                task.result()
            worked = worker.worked
            return WorkReport(worked.driven, worked.fired, app.subscriptions.delivered, stopping.told or "idle")


async def _with_deliveries(driving: Coroutine[object, object, Worked], app: App, *, until_idle: bool) -> Worked:
    """Deliver subscriptions for as long as runs are driven; with `until_idle`, until nothing of them is due, too."""
    working = asyncio.ensure_future(driving)
    delivering = asyncio.ensure_future(_deliver(app))
    try:
        await asyncio.wait([working, delivering], return_when=asyncio.FIRST_COMPLETED)
        if delivering.done():
            delivering.result()
    finally:
        for each in (working, delivering):
            each.cancel()
        await asyncio.wait([working, delivering])
    worked = working.result()
    if until_idle:
        for partition in await app.store.events.partitions():
            await app.subscriptions.deliver_once(partition)
    return worked


async def _deliver(app: App) -> None:
    """Deliver the subscriptions of every tenant, also of those that come meanwhile. Raises: as `serve` does."""
    serving: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            for partition in await app.store.events.partitions():
                if partition not in serving:
                    serving[partition] = asyncio.ensure_future(app.subscriptions.serve(partition))
            for task in serving.values():
                if task.done():
                    task.result()
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        for task in serving.values():
            task.cancel()
        await asyncio.gather(*serving.values(), return_exceptions=True)


def _line(worked: Worked, last: Driven) -> str:
    """How the work stands, and the newest run, in one line."""
    how = last.code or (last.waiting and f"waits: {last.waiting}") or last.phase
    return f"{worked.driven} driven, {worked.fired} timers fired, {last.under_way} under way; {last.run_id} {how}"
