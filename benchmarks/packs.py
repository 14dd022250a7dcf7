"""Packs: what it costs to export a run of 10 000 states and to verify its pack, and what memory both take.

The states write one new context key each, so that every one leaves a snapshot of its own: the dearest run for its
length. Export and verification run in processes of their own, whose peak memory is theirs alone; `traced_mb` is the
peak of what Python allocated during the work itself, in a third and a fourth process, since tracing costs time.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from workloads import peak_memory_mb, sequence

from interlock import App
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.packs.export import export
from interlock.packs.survey import Wanted
from interlock.packs.verify import verify
from interlock.parts import PARTS

STATES = 10_000
RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


async def _lived(store: Path) -> None:
    async with App.open(store) as app:
        await app.runs.start(sequence(STATES, keys=True), run_id=RUN_ID)


async def _exported(store: Path, pack: Path) -> dict[str, float]:
    async with App.open(store) as app:
        began = time.perf_counter()
        made = await export(app.get(Journal), Wanted("default", RUN_ID), pack, force=True)
        seconds = time.perf_counter() - began
    events = sum(entry.events for entry in made.manifest.streams)
    return {"events": events, "artifacts": made.manifest.artifacts.count, **_rates(seconds, events, made.bytes)}


async def _verified(_store: Path, pack: Path) -> dict[str, float]:
    began = time.perf_counter()
    verdict = await verify(pack, EventCatalogue(kind for part in PARTS for kind in part.events))
    seconds = time.perf_counter() - began
    if not verdict.passed or verdict.manifest is None:
        raise SystemExit(f"the pack does not verify: {verdict.errors[:3]}")
    return _rates(seconds, sum(entry.events for entry in verdict.manifest.streams), verdict.bytes)


def _rates(seconds: float, events: int, size: int) -> dict[str, float]:
    return {
        "seconds": round(seconds, 3),
        "events_per_s": round(events / seconds),
        "states_per_s": round(STATES / seconds),
        "mb": round(size / 1e6, 1),
        "mb_per_s": round(size / 1e6 / seconds, 1),
    }


WORK = {"export": _exported, "verify": _verified}


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(_measured(*sys.argv[1:])))
        return
    with tempfile.TemporaryDirectory() as folder:
        store, pack = Path(folder) / "store.db", Path(folder) / "run.pack"
        asyncio.run(_lived(store))
        figures = {name: _apart(name, store, pack, "plain") | _apart(name, store, pack, "traced") for name in WORK}
    print(json.dumps({"states": STATES, **figures}))


def _measured(name: str, store: str, pack: str, traced: str) -> dict[str, float]:
    """The work of one process, and its memory."""
    if traced == "traced":
        tracemalloc.start()
    figures = asyncio.run(WORK[name](Path(store), Path(pack)))
    if traced == "traced":
        return {"traced_mb": round(tracemalloc.get_traced_memory()[1] / 1e6, 1)}
    return figures | {"peak_memory_mb": peak_memory_mb()}


def _apart(name: str, store: Path, pack: Path, traced: str) -> dict[str, float]:
    """The figures of a process of its own."""
    line = [sys.executable, __file__, name, str(store), str(pack), traced]
    found: dict[str, float] = json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)
    return found


if __name__ == "__main__":
    main()
