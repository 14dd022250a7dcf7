"""A deliverer that is killed at any point: every event arrives at least once and in order, on both durable stores.

What it kills: a process that delivers into a real file, before, while and after it writes a line, before and after each
write of its progress, and at each point of the appends by which it records dead letters and what came of a redrive.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from interlock.base.clock import SystemClock
from interlock.engine.io.sinks.file import FileSink
from interlock.journal.ports import Store
from interlock.journal.store_name import StoreName, store_name
from interlock.journal.subscriptions import Delivery
from interlock.journal.subscriptions import events as e
from tests.faults.durable import Durable, open_named
from tests.unit.journal.subscriptions.outside import ADA, REFUSED, Outside, Process, in_order

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
SETTINGS: dict[str, Any] = {
    "attempts_max": 2,
    "backoff_base_ms": 1,
    "backoff_max_ms": 2,
    "claim_lease_ms": 150,
    "concurrency": 2,
}
THINGS = "abcabcabc"
DEAD = "default/thing/b#2"
KILLS = 3 * 2 + 2 * 3 + 2 * 3 + 3
OFTEN = (0, 6, 12, 19)
"""Which of all kills every run of the tests tries alone; all of them do so by the marker `slow`."""

HELD = pytest.mark.unproved(
    "of a killed process on another computer nobody knows before its claim has lapsed", but=["nothing_held"]
)
SINK = ("sink:before", "sink:torn", "sink:after")
TABLE = ("table:before", "table:after")
EVENT = ("event:before", "event:after")
"""Around the appends by which a dead letter, its redrive and its arrival are recorded."""


class Killer:
    """Ends this process when it reaches a point for the `at`th time."""

    def __init__(self, point: str, at: int) -> None:
        self._point = point
        self._at = at
        self._reached: Counter[str] = Counter()

    def __call__(self, point: str) -> None:
        self._reached[point] += 1
        if point == self._point and self._reached[point] == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal(Outside):
    """An outside that is a file; it refuses one event as long as it is not redriven."""

    def __init__(self, folder: Path, killer: Killer) -> None:
        super().__init__()
        self._file = FileSink(str(folder), "out.jsonl")
        self._killer = killer
        self.behaviour = self._write

    async def _write(self, delivery: Delivery) -> None:
        if delivery.key == DEAD and not delivery.redriven:
            raise REFUSED.error("not this one")
        self._killer("sink:before")
        await self._file.deliver(delivery)
        self._killer("sink:after")


def torn(killer: Killer) -> Callable[[int, bytes], int]:
    """A write of which half has happened when the process dies."""
    write = os.write

    def half(file: int, content: bytes) -> int:
        done = write(file, content[: max(len(content) // 2, 1)])
        killer("sink:torn")
        return done

    return half


def noting(write: Callable[..., Awaitable[Any]], what: str, killer: Killer) -> Callable[..., Awaitable[Any]]:
    """A write before and after which the process can die."""

    async def noted(*arguments: Any) -> Any:
        killer(f"{what}:before")
        written = await write(*arguments)
        killer(f"{what}:after")
        return written

    return noted


async def deliver(name: StoreName, folder: Path, killer: Killer) -> None:
    """Deliver, redrive what died, and deliver again, until nothing is left."""
    store = await open_named(name, faults=killer)
    os.write = torn(killer)  # type: ignore[assignment]
    store.views.apply = noting(store.views.apply, "table", killer)  # type: ignore[method-assign,assignment]
    store.events.append = noting(store.events.append, "event", killer)  # type: ignore[method-assign,assignment]
    one = Process(store, Mortal(folder, killer), SystemClock(), **SETTINGS)
    while not await done(one):
        await one.subscriptions.deliver_once()
        if len(await one.records(e.DeliveryDead)) == 1:
            await one.subscriptions.redrive("audit", principal=ADA)
        await asyncio.sleep(0.02)
    await store.close()


async def done(one: Process) -> bool:
    """Whether all was delivered: nothing is behind or held back, and the dead letter has come back."""
    standing = await one.subscriptions.standing("audit", principal=ADA)
    redone = len(await one.records(e.DeliveryRedone))
    return not standing.behind and not standing.lanes and redone == 1 and not await one.letters()


async def arrange(name: StoreName) -> None:
    store = await open_named(name)
    one = Process(store, Outside(), SystemClock())
    await one.add()
    await one.notes(THINGS)
    await store.close()


async def examine(name: StoreName) -> list[str]:
    """What is wrong with the store when all is over."""
    store: Store = await open_named(name)
    one = Process(store, Outside(), SystemClock())
    wrong = await one.findings()
    dead = [(each.seq, each.stream) for each in await one.records(e.DeliveryDead)]
    await store.close()
    return [*wrong, *(f"{dead}" for _ in [0] if dead != [(2, "default/thing/b")])]


def started(name: StoreName, folder: Path, point: str, at: int) -> int:
    command = [sys.executable, __file__, str(name), str(folder), point, str(at)]
    return subprocess.run(command, env=ENVIRONMENT, check=False, timeout=60).returncode


def arrived(folder: Path) -> list[str]:
    """The keys of what has arrived, in order; every line is whole."""
    return [json.loads(line)["key"] for line in (folder / "out.jsonl").read_text("utf-8").splitlines()]


def kills(durable: Durable) -> list[tuple[str, int]]:
    """Where a process can be killed; the first of each kind come first."""
    points = [
        *((at, point) for point in SINK for at in (1, 3)),
        *((at, point) for point in TABLE for at in (1, 2, 3)),
        *((at, point) for point in EVENT for at in (1, 2, 3)),
        *((1, point) for point in durable.points),
    ]
    return [(point, at) for at, point in sorted(points, key=lambda each: each[0])]


@HELD
def test_a_deliverer_killed_at_each_point_in_turn_leaves_nothing_out(tmp_path: Path, durable: Durable) -> None:
    name = durable.fresh(tmp_path)
    asyncio.run(arrange(name))

    codes = [started(name, tmp_path, *kill) for kill in kills(durable)[:12]]
    codes.append(started(name, tmp_path, "never", 1))

    assert codes[:6] == [-signal.SIGKILL] * 6
    assert codes[-1] == 0
    assert set(codes) == {0, -signal.SIGKILL}
    check(arrived(tmp_path))
    assert asyncio.run(examine(name)) == []


@HELD
@pytest.mark.parametrize(
    "index", [each if each in OFTEN else pytest.param(each, marks=pytest.mark.slow) for each in range(KILLS)]
)
def test_a_deliverer_killed_once_leaves_nothing_out(tmp_path: Path, durable: Durable, index: int) -> None:
    name, (point, at) = durable.fresh(tmp_path), kills(durable)[index]
    asyncio.run(arrange(name))

    assert started(name, tmp_path, point, at) == -signal.SIGKILL
    before = arrived(tmp_path) if (tmp_path / "out.jsonl").exists() and point != "sink:torn" else []
    assert started(name, tmp_path, "never", 1) == 0

    keys = arrived(tmp_path)
    assert keys[: len(before)] == before
    check(keys)
    assert asyncio.run(examine(name)) == []


def check(keys: list[str]) -> None:
    """Everything has arrived, in order but for the dead letter, which came last of its stream."""
    expected = {f"default/thing/{thing}#{seq}" for thing in "abc" for seq in (1, 2, 3)}
    assert set(keys) == expected
    assert in_order([key for key in keys if key != DEAD])
    assert keys.index(DEAD) > keys.index("default/thing/b#1")


if __name__ == "__main__":
    _, given_name, given_folder, given_point, given_at = sys.argv
    asyncio.run(deliver(store_name(given_name), Path(given_folder), Killer(given_point, int(given_at))))
