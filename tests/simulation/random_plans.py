"""Plans drawn from a seed: graphs of states that read what their ancestors wrote, wait, call, fail once and have kids.

A plan is deterministic in its end whatever happens on the way: states read keys of ancestors alone, and a key that
several write is written along a path.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec import Struct

from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy
from interlock.engine.context import Context
from interlock.engine.errors import StateFailure
from interlock.engine.io.live import LiveIo
from tests.simulation.plans import read

STATES_MAX = 7
ACTS = ("nothing", "read", "shared", "wait", "deadline", "nap", "fail", "child", "emit", "slow")


class Drawn(Struct, frozen=True):
    """One state: after whom, what it does, what it reads and writes, how long it takes."""

    name: str
    after: tuple[str, ...]
    acts: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    deletes: tuple[str, ...]
    seconds: float


def drawn(seed: int, acts: Sequence[str] = ACTS) -> list[Drawn]:
    """The states of the plan of a seed."""
    draw = random.Random(seed)  # noqa: S311 - it draws a plan
    states: list[Drawn] = []
    before: dict[str, set[str]] = {}
    writers: dict[str, set[str]] = {}
    for number in range(draw.randint(2, STATES_MAX)):
        name = f"s{number}"
        after = tuple(sorted(draw.sample([each.name for each in states], draw.randint(0, min(2, number)))))
        ancestors = set(after).union(*(before[each] for each in after))
        before[name] = ancestors
        readable = [key for key, by in writers.items() if by <= ancestors]
        writes = [f"k{number}", *draw.sample(readable, min(len(readable), draw.randint(0, 1)))]
        deletes = draw.sample(readable, min(len(readable), draw.randint(0, 3) // 3))
        for key in {*writes, *deletes}:
            writers.setdefault(key, set()).add(name)
        states.append(
            Drawn(
                name,
                after,
                tuple(draw.choices(acts, k=draw.randint(1, 3))),
                tuple(readable),
                tuple(each for each in writes if each not in deletes),
                tuple(deletes),
                draw.choice((0, 0, 1, 3)),
            )
        )
    return states


def plan_of(seed: int, acts: Sequence[str] = ACTS) -> Plan:
    """The plan of a seed, made anew."""
    plan = Plan("drawn")
    for state in drawn(seed, acts):
        options = {"name": state.name, "after": list(state.after), "retry": RetryPolicy.fixed(3, 500)}
        plan.state(**options)(_handler(state))  # type: ignore[call-overload]  # options by name
    return plan


def kid() -> Plan:
    """A child that waits for an answer."""
    plan = Plan("kid")

    @plan.state
    async def work(io: LiveIo, n: int) -> object:
        await io.sleep("nap", 100)
        return [n, await io.wait("go")]

    return plan


def _handler(state: Drawn) -> Callable[[Context, LiveIo, Recorder], Awaitable[None]]:
    async def handle(ctx: Context, io: LiveIo, rec: Recorder) -> None:
        found: list[Any] = [await ctx.read(key) for key in state.reads]
        for number, act in enumerate(state.acts):
            found.append(await _act(act, f"{state.name}-{number}", state, io, rec))
        for key in state.deletes:
            ctx.delete(key)
        for key in state.writes:
            ctx.write(key, {"by": state.name, "of": found})

    return handle


async def _act(act: str, name: str, state: Drawn, io: LiveIo, rec: Recorder) -> Any:
    match act:
        case "read" | "shared":
            key = "shared" if act == "shared" else name
            return (await io.call(read("service" if act == "shared" else name, key))).response
        case "wait":
            return await io.wait(name)
        case "deadline":
            return await io.wait(name, timeout_ms=200, default="late") is not None
        case "nap":
            await io.sleep(name, 300)
        case "fail":
            if await io.get_recorded_fact(f"tried:{name}") is None:
                await io.record_value(f"tried:{name}", value=True)
                raise StateFailure("once", "it works the second time", retryable=True)
        case "child":
            return (await io.child(kid(), {"n": 1}, name=name)).status
        case "emit":
            await rec.emit("done", {"by": name})
        case _:
            await asyncio.sleep(state.seconds)
    return None
