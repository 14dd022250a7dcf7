"""Processes killed at each point of an append, and in a crowd: what was acknowledged is there, and nothing else is.

On both durable stores.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from itertools import islice
from pathlib import Path

import pytest

from interlock.journal.ports import EMPTY, Head, StoredEvent
from interlock.journal.store_name import StoreName, is_url, store_name
from interlock.stores.postgres import check_database
from interlock.stores.sqlite.maintenance.integrity import check_integrity
from interlock.testing.contracts.harness import append, content, grow, onto, stream
from tests.faults.durable import Durable, open_named

A = stream("a")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
ACKNOWLEDGED = 4
CROWD = 300


def started(store: StoreName, role: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, role, str(store), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True)


async def damage_of(store: StoreName) -> list[object]:
    return [*(await check_database(str(store)) if is_url(store) else await check_integrity(Path(store)))]


@pytest.mark.parametrize("at", range(3), ids=["before", "on its way", "after its commit"])
def test_a_killed_process_loses_nothing_acknowledged_and_invents_nothing(
    durable: Durable, tmp_path: Path, at: int
) -> None:
    """The append at which it died is there whole, or not at all; nobody was told that it is."""
    name, point = durable.fresh(tmp_path), durable.points[at]
    process = started(name, "killed", point)
    said = process.communicate(timeout=60)[0].split()

    async def main() -> int:
        store = await open_named(name, create=False)
        data = await content(store, A)
        assert data == [b"%d" % n for n in range(len(data))]
        await grow(store, stream("after"))
        await store.close()
        return len(data)

    assert (len(said), process.returncode) == (ACKNOWLEDGED, -signal.SIGKILL)
    found = asyncio.run(main())
    if point == "append:sent":  # the server carries out what reached it, or does not
        assert found in (ACKNOWLEDGED, ACKNOWLEDGED + 1)
    else:
        assert found == ACKNOWLEDGED + (point == "append:after_commit")
    assert asyncio.run(damage_of(name)) == []


def test_a_process_killed_in_a_crowd_leaves_whole_appends_and_all_acknowledged_ones(
    durable: Durable, tmp_path: Path
) -> None:
    name = durable.fresh(tmp_path)
    process = started(name, "crowd")
    assert process.stdout is not None
    acknowledged = [line.strip() for line in islice(process.stdout, CROWD)]
    process.kill()
    # The last line may be torn.
    acknowledged += [line for line in process.communicate()[0].split("\n")[:-1] if line]

    async def main() -> tuple[list[Head], list[StoredEvent]]:
        store = await open_named(name, create=False)
        found = await store.events.heads(acknowledged), await store.events.feed("default", 0, 1_000_000)
        await store.close()
        return found

    heads, feed = asyncio.run(main())
    assert {head.seq for head in heads} == {2}
    pairs = list(zip(feed[::2], feed[1::2], strict=True))
    assert all((one.stream, one.seq, two.seq) == (two.stream, 1, 2) for one, two in pairs)
    assert len(pairs) >= len(acknowledged) >= CROWD
    assert asyncio.run(damage_of(name)) == []


# What the processes do


async def killed(name: StoreName, at: str) -> None:
    """Append and say so, until the fifth append reaches a point."""
    reached = 0

    def die_there(point: str) -> None:
        nonlocal reached
        reached += point == at
        if reached > ACKNOWLEDGED:
            os.kill(os.getpid(), signal.SIGKILL)

    store = await open_named(name, faults=die_there)
    for n in range(ACKNOWLEDGED + 1):
        [head] = await store.events.heads([A])
        await append(store, onto(head, A, b"%d" % n))
        print(n, flush=True)


async def crowd(name: StoreName) -> None:
    """Append to ever more streams at once, and say which are durable, until somebody ends it."""
    store = await open_named(name)

    async def one(who: str) -> None:
        for n in range(100_000):
            each = stream(f"{who}-{n}")
            await append(store, onto(EMPTY, each, b"1", b"2"))
            print(each, flush=True)

    await asyncio.gather(*(one(f"s{n}") for n in range(200)))


if __name__ == "__main__":
    roles: dict[str, Callable[..., Coroutine[object, object, None]]] = {"killed": killed, "crowd": crowd}
    asyncio.run(roles[sys.argv[1]](store_name(sys.argv[2]), *sys.argv[3:]))
