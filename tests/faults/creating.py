"""Lets several processes make the same new store at the same instant, again and again; prints what each came to.

The processes are forked, so that they begin within microseconds of each other. The answer is one JSON object: how
often each outcome came about, `opened` or a code. The place is a folder for files, or the URL of a server.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

from interlock.base.errors import InterlockError
from interlock.journal.store_name import StoreName, is_url
from tests.faults.durable import Durable, open_named

HEAD_START_SECONDS = 0.01


async def opened(name: StoreName) -> str:
    try:
        store = await open_named(name)
    except Exception as fault:  # noqa: BLE001 — whatever it is, the parent counts it
        return fault.code if isinstance(fault, InterlockError) else f"{type(fault).__name__}: {fault}"
    await store.close()
    return "opened"


def child(name: StoreName, begins: float, answer: int) -> None:
    while time.monotonic() < begins:
        pass
    os.write(answer, asyncio.run(opened(name)).encode() + b"\n")
    os._exit(0)


def together(name: StoreName, processes: int) -> list[str]:
    receive, send = os.pipe()
    begins = time.monotonic() + HEAD_START_SECONDS
    for _ in range(processes):
        if os.fork() == 0:
            child(name, begins, send)
    os.close(send)
    with os.fdopen(receive) as pipe:
        outcomes = pipe.read().splitlines()
    for _ in range(processes):
        os.wait()
    return outcomes


if __name__ == "__main__":
    place, processes, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    durable = Durable(place if is_url(place) else None)
    names = [durable.fresh(Path(place), str(turn)) for turn in range(rounds)]
    print(json.dumps(Counter(each for name in names for each in together(name, processes))))
