"""Plans whose every durable operation is a place to be killed at.

Handlers note what they do to the outside in a file, which is what the tests believe, beside the journal.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from interlock import Context, DomainEvent, Io, IoCall, Plan, Recorder, RetryPolicy, RunConfig, StateFailure
from interlock.base.canonical import Json
from interlock.engine.config import FanOutJoin

OUTSIDE = "OUTSIDE_LOG"
WAITED_SECONDS_MAX = 60


def note(line: str) -> None:
    """Append one line to the log of the outside, durably enough for a killed process."""
    with Path(os.environ[OUTSIDE]).open("a", encoding="utf-8") as log:
        log.write(line + "\n")


def noted() -> list[str]:
    path = Path(os.environ[OUTSIDE])
    return path.read_text("utf-8").split("\n")[:-1] if path.exists() else []


async def opened(gate: str | None) -> None:
    """Wait until the file `gate` exists; None is open."""
    ends = time.monotonic() + WAITED_SECONDS_MAX
    while gate is not None and not Path(gate).exists():
        if time.monotonic() > ends:
            raise TimeoutError(gate)
        await asyncio.sleep(0.005)


def own_gate() -> str:
    """The gate of this run's plans: a file beside the log of the outside."""
    return os.environ[OUTSIDE] + ".gate"


def read_outside(given: Any) -> Json:
    """A read: its answer changes with every call, so that a repeated call shows."""
    note("read")
    return {"answer": noted().count("read"), "given": given}


def absorb(given: Any) -> Json:
    """An effect that the outside absorbs by its key."""
    note(f"deliver {given['key']}")
    return {"accepted": given["key"]}


async def stall(given: Any) -> Json:
    """An effect that takes long: it says which process sends it, and is delivered when the gate opens."""
    note(f"sending {os.getpid()}")
    await opened(own_gate())
    return absorb(given)


FUNCTIONS = {"read": read_outside, "absorb": absorb, "stall": stall}


def call(function: str, given: object, fact_key: str, idempotency_key: str | None = None) -> IoCall:
    request = {"kind": "call_function_v1", "function": function, "input": given}
    return IoCall("python", request, fact_key, idempotency_key)


small = Plan("small")


@small.state
async def first(ctx: Context) -> int:
    note("handler first")
    return 1


@small.state(side_effects="apply_side_effect")
async def second(io: Io, first: int) -> object:
    note("handler second")
    return (await io.call(call("absorb", {"key": "k1"}, "effect:k1", "k1"))).response


full = Plan("full")


@full.state(tags=["fetch_data"], side_effects="read_only_io")
async def fetch(io: Io, rec: Recorder) -> object:
    note("handler fetch")
    result = await io.call(call("read", {"q": 1}, "read:1"))
    await rec.emit_many([DomainEvent("fetched", {"n": 1}), DomainEvent("fetched", {"n": 2})])
    return result.response


@full.state
async def stamp(io: Io, fetch: dict[str, object]) -> list[object]:
    note("handler stamp")
    return [await io.now("stamped"), (await io.random("salt", 8)).hex()]


@full.state(retry=RetryPolicy.fixed(3), snapshot="always")
async def flaky(io: Io, stamp: list[object]) -> str:
    note("handler flaky")
    tries = await io.get_recorded_fact("flaky:tried")
    if tries is None:
        await io.record_value("flaky:tried", 1)
        raise StateFailure("not_yet", "it works the second time", retryable=True)
    return "done"


@full.state(after=[flaky], tags=["report"])
async def report(ctx: Context, rec: Recorder) -> int:
    note("handler report")
    await rec.artifact("Output", b"a report " * 2000, {"name": "report.txt"})
    ctx.write("large", "x" * 5000)
    return 7


@full.state(after=[report], side_effects="apply_side_effect")
async def publish(io: Io) -> object:
    note("handler publish")
    return (await io.call(call("absorb", {"key": "release-1"}, "effect:release", "release-1"))).response


unkeyed = Plan("unkeyed")


@unkeyed.state(side_effects="apply_side_effect")
async def send(io: Io) -> object:
    note("handler send")
    return (await io.call(call("absorb", {"key": "once"}, "effect:once"))).response


stalling = Plan("stalling")


@stalling.state
async def wait() -> int:
    note(f"handler wait {os.getpid()}")
    await opened(own_gate())
    return 1


@stalling.state(side_effects="apply_side_effect")
async def ship(io: Io, wait: int) -> object:
    note("handler ship")
    return (await io.call(call("absorb", {"key": "shipped"}, "effect:shipped", "shipped"))).response


keyed = Plan("keyed")


@keyed.state(name="hand_over", side_effects="apply_side_effect")
async def hand_over_with_key(io: Io) -> object:
    note("handler hand_over")
    return (await io.call(call("stall", {"key": "handed"}, "effect:handed", "handed"))).response


keyless = Plan("keyless")


@keyless.state(name="hand_over", side_effects="apply_side_effect")
async def hand_over_without_key(io: Io) -> object:
    note("handler hand_over")
    return (await io.call(call("stall", {"key": "handed"}, "effect:handed"))).response


bulky = Plan("bulky")


@bulky.state
async def produce(ctx: Context, rec: Recorder) -> str:
    note("handler produce")
    ctx.write("bulk", "b" * 90_000)
    return await rec.artifact("Output", b"of many bytes " * 8000, {"name": "bulk.txt"})


@bulky.state(side_effects="apply_side_effect")
async def deliver(io: Io, ctx: Context, produce: str) -> int:
    note("handler deliver")
    await io.call(call("absorb", {"key": "bulk", "of": produce}, "effect:bulk", "bulk"))
    return len(await ctx.require("bulk", str))


heavy = Plan("heavy")


@heavy.state
async def pack(rec: Recorder) -> str:
    note(f"handler pack {os.getpid()}")
    await opened(own_gate())
    return await rec.artifact("Output", b"heavy " * 200_000)


kid = Plan("kid")


@kid.state(side_effects="apply_side_effect")
async def play(io: Io, n: int) -> object:
    note("handler play")
    return (await io.call(call("absorb", {"key": f"kid{n}"}, f"effect:kid{n}", f"kid{n}"))).response


tree = Plan("tree")


@tree.state
async def left(io: Io) -> object:
    note("handler left")
    return await io.wait("go", int)


@tree.state
async def right(io: Io) -> list[object]:
    note("handler right")
    ended = await io.child(kid, {"n": 1}, name="kid")
    return [ended.status, await io.output(ended, "play")]


@tree.state
async def both(left: int, right: list[object]) -> list[object]:
    note("handler both")
    return [left, *right]


slow_kid = Plan("slow_kid")


@slow_kid.state
async def dawdle() -> int:
    note(f"handler dawdle {os.getpid()}")
    await opened(own_gate())
    return 1


slow_tree = Plan("slow_tree")


@slow_tree.state(name="left")
async def slow_left(io: Io) -> object:
    note("handler left")
    return await io.wait("go", int)


@slow_tree.state(name="right")
async def slow_right(io: Io) -> object:
    note("handler right")
    return (await io.child(slow_kid, name="kid")).status


stuck = Plan("stuck")


@stuck.state(name="left")
async def stuck_left(io: Io) -> object:
    note("handler left")
    return await io.wait("go", int, timeout_ms=3_600_000)


@stuck.state(name="right")
async def stuck_right() -> int:
    note(f"handler right {os.getpid()}")
    await opened(own_gate())
    return 2


PLANS = {
    plan.op_id: plan
    for plan in (small, full, unkeyed, stalling, keyed, keyless, bulky, heavy, kid, tree, slow_kid, slow_tree, stuck)
}
CONFIGS = {plan.op_id: RunConfig(execution_mode=FanOutJoin.of(2)) for plan in (tree, slow_tree, stuck)}
