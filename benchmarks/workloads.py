"""The plans and helpers that the workloads share. No workload here is part of the product."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

from interlock import App, Context, ExecutionPlan, StateNode
from interlock.engine.meta import SideEffectKind, StateMeta
from interlock.engine.plan import DependencyEdge

SERVER = "BENCH_POSTGRES"
"""Variable of the environment that holds the URL of the server on which stores are made; files without it."""

PURE = StateMeta(side_effects=SideEffectKind.PURE)


class NoOperation:
    """A state that does nothing: what is left is the engine."""

    def meta(self) -> StateMeta:
        return PURE

    async def handle(self, ctx: Context, io: object, rec: object) -> None:
        return None


class OneKey:
    """A state that writes one new context key."""

    def __init__(self, key: str) -> None:
        self._key = key

    def meta(self) -> StateMeta:
        return PURE

    async def handle(self, ctx: Context, io: object, rec: object) -> None:
        ctx.write(self._key, {"done": self._key})


def sequence(count: int, *, keys: bool = False) -> ExecutionPlan:
    """A plan of `count` states, each after the one before it."""
    ids = [f"bench.s{number:05d}.main" for number in range(count)]
    states = [StateNode(i, OneKey(f"key_{n:05d}") if keys else NoOperation()) for n, i in enumerate(ids)]
    edges = [DependencyEdge(before, after) for before, after in pairwise(ids)]
    return ExecutionPlan("bench", "1", tuple(states), tuple(edges))


def new_store(folder: str) -> str:
    """The name of a store that is not there yet: a file in `folder`, or a schema on the server that is measured."""
    server = os.environ.get(SERVER)
    return f"{server}?schema=bench_{os.urandom(6).hex()}" if server else f"{folder}/{os.urandom(6).hex()}.db"


@asynccontextmanager
async def fresh_app() -> AsyncIterator[App]:
    """An application on a new store."""
    with tempfile.TemporaryDirectory() as folder:
        async with App.open(new_store(folder)) as app:
            yield app


async def timed_start(app: App, plan: ExecutionPlan) -> float:
    """Seconds from start to the durable end of one run."""
    began = time.perf_counter()
    result = await app.runs.start(plan)
    if result.phase != "completed":
        raise RuntimeError(f"the workload ended {result.phase}")
    return time.perf_counter() - began


def peak_memory_mb() -> int:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def median(values: list[float]) -> float:
    """The middle value."""
    return sorted(values)[len(values) // 2]
