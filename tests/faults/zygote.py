"""A process that forks a fresh copy of itself for each order, so that killing one costs milliseconds, not an import.

An order on standard input is one JSON line: `{"store", "outside", "plan", "run_id", "action", "kill_at"}`, and where
wanted `settings` (section → name → value), `steal`, `in_files` (the steps of writing a file are operations, too),
`opened` (a word to note once the store is open), `barrier` (a file to wait for then), `file_bytes_max` (no file may
grow beyond), and of a fork `fork_id`, `step` and `records_max` (of an append). The child opens the store, starts,
resumes or forks the run (or does another `action`: `answer`, `cancel`, `cancel_now`, `work`), and kills itself with
SIGKILL when it reaches the `kill_at`-th durable operation. The answer is one JSON line: `{"code", "points", "answer"}`.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interlock import App
from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.engine.lineage import inheriting
from interlock.journal.ports import Store
from interlock.journal.store_name import is_url
from interlock.parts import installed_parts, sections_of
from interlock.settings import load
from interlock.stores.postgres import PostgresSettings, open_postgres
from interlock.stores.sqlite import SqliteSettings, open_sqlite
from tests.faults import plans
from tests.faults.filesteps import watch_files

PERSON = local_principal("ada")


async def act(order: dict[str, Any], points: list[str]) -> dict[str, Any]:
    def reached(point: str, dying: Callable[[], None] = lambda: None) -> None:
        points.append(point)
        if len(points) == order.get("kill_at"):
            dying()
            os.kill(os.getpid(), signal.SIGKILL)

    if "file_bytes_max" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_bytes_max"], resource.RLIM_INFINITY))
    if order.get("in_files"):
        watch_files(reached)
    sections = sections_of(installed_parts())
    settings = load(sections, arguments=order.get("settings", {}), environ={}, folder=Path(os.devnull))
    try:
        store: Store
        if is_url(order["store"]):
            store = await open_postgres(order["store"], settings=settings.get(PostgresSettings), faults=reached)
        else:
            store = await open_sqlite(Path(order["store"]), settings=settings.get(SqliteSettings), faults=reached)
    except InterlockError as fault:
        return {"error": fault.code}
    try:
        if "opened" in order:
            plans.note(order["opened"])
        await plans.opened(order.get("barrier"))
        async with App.open(store, settings=settings, functions=plans.FUNCTIONS) as app:
            return await driven(app, order)
    except InterlockError as fault:
        return {"error": fault.code}
    finally:
        await store.close()


async def driven(app: App, order: dict[str, Any]) -> dict[str, Any]:
    runs, run_id, plan = app.runs, order["run_id"], plans.PLANS[order["plan"]]
    for each in plans.PLANS.values():
        runs.plans.add(each)
    match order["action"]:
        case "fork":
            inheriting.INHERITED_RECORDS_MAX = order["records_max"]
            forked = await runs.fork(run_id, order["step"], run_id=order["fork_id"], absorb_all=True)
            return {"phase": forked.phase, "waiting": None, "snapshot": forked.final_snapshot_id}
        case "start":
            result = await runs.start(plan, run_id=run_id, config=plans.CONFIGS.get(order["plan"]))
        case "resume":
            result = await runs.resume(run_id, plan=plan, steal=order.get("steal", False))
        case "cancel_now":
            result = await runs.cancel_now(run_id, "no need", principal=PERSON)
        case told:
            await told_to(app, told, run_id)
            result = await runs.read.result(run_id)
    waiting = result.waiting.kind if result.waiting else None
    return {"phase": result.phase, "waiting": waiting, "snapshot": result.final_snapshot_id}


async def told_to(app: App, what: str, run_id: str) -> None:
    """Let somebody outside say something to the run, or a worker work."""
    match what:
        case "answer":
            await app.runs.control.signal(run_id, "left", "go", 7, principal=PERSON)
        case "cancel":
            await app.runs.control.cancel(run_id, "no need", principal=PERSON)
        case _:
            await app.runs.worker.work(until_idle=True)


def child(order: dict[str, Any], answer: int) -> None:
    os.environ[plans.OUTSIDE] = order["outside"]
    points: list[str] = []
    result = asyncio.run(act(order, points))
    os.write(answer, json.dumps({"points": points, "answer": result}).encode())
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        receive, send = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(receive)
            child(order, send)
        os.close(send)
        with os.fdopen(receive, "rb") as pipe:
            content = pipe.read()
        _, status = os.waitpid(process, 0)
        reply = {"code": os.waitstatus_to_exitcode(status), **json.loads(content or b"{}")}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
