"""Plans that the simulations run: small, deterministic, and with everything that a plan can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from interlock.engine.attempt import DomainEvent, Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy
from interlock.engine.context import Context
from interlock.engine.errors import StateFailure
from interlock.engine.io.live import LiveIo
from interlock.engine.io.surface import IoCall

Handler = Callable[..., Awaitable[Any]]


def read(name: str, key: str | None = None) -> IoCall:
    """A call that reads from the outside."""
    return IoCall("outside", {"name": name}, key or name)


def write(name: str, key: str | None = None, *, idempotency_key: str | None = None) -> IoCall:
    """A call that changes the outside."""
    return IoCall("outside", {"name": name, "write": True}, key or name, idempotency_key)


def single(handler: Handler, **options: Any) -> Callable[[], Plan]:
    """A plan of one state, made anew at each call."""

    def plan() -> Plan:
        plan = Plan("demo")
        plan.state(name="only", **options)(handler)
        return plan

    return plan


def numbers() -> Plan:
    """Three states that compute."""
    plan = Plan("numbers")

    @plan.state
    async def one(start: int) -> int:
        return start + 1

    @plan.state
    async def two(one: int, ctx: Context) -> int:
        ctx.write("square", one * one)
        return one + 1

    @plan.state
    async def three(two: int, ctx: Context) -> None:
        square = await ctx.require("square", int)
        ctx.delete("square")
        ctx.write("sum", two + square)

    return plan


def release() -> Plan:
    """A small release: it reads, draws, records, writes a file, and publishes with a key."""
    plan = Plan("release")

    @plan.state
    async def inventory(io: LiveIo, rec: Recorder) -> dict[str, str]:
        await rec.emit("looking", {"at": "sources"})
        answer = await io.call(read("sources"))
        await io.record_value("count", 3)
        await rec.emit_many([DomainEvent("found", {"file": name}) for name in ("a", "b", "c")])
        return cast("dict[str, str]", answer.response)

    @plan.state
    async def build(inventory: dict[str, str], io: LiveIo, rec: Recorder) -> str:
        at_ms, nonce = await io.now("built"), await io.random("nonce", 8)
        await rec.artifact("Output", f"{inventory}".encode(), {"step": "build"})
        return f"{len(str(at_ms))} {len(nonce)}"

    @plan.state(side_effects="apply_side_effect", idempotency="release:1")
    async def publish(build: str, io: LiveIo, rec: Recorder) -> dict[str, str]:
        answer = await io.call(write("publish"))
        await rec.emit("published", {"build": build})
        return cast("dict[str, str]", answer.response)

    @plan.state
    async def report(publish: dict[str, str]) -> str:
        return f"{publish}"

    return plan


def flaky() -> Plan:
    """A state that the outside lets fail, between two that compute."""
    plan = Plan("flaky")

    @plan.state
    async def before() -> int:
        return 1

    @plan.state(retry=RetryPolicy.exponential(9, 100, 1_000), snapshot="always")
    async def calling(before: int, io: LiveIo, ctx: Context, rec: Recorder) -> int:
        ctx.write("scratch", before)
        await rec.emit("calling")
        await io.call(read("service"))
        ctx.delete("scratch")
        return before + 1

    @plan.state
    async def after(calling: int) -> int:
        return calling + 1

    return plan


def failing() -> Plan:
    """A run that fails for good in its second state."""
    plan = Plan("failing")

    @plan.state
    async def before(rec: Recorder) -> int:
        await rec.emit("begun")
        return 1

    @plan.state(retry=RetryPolicy.fixed(2))
    async def broken(before: int) -> int:
        raise StateFailure("broken", f"it cannot be done {before}")

    return plan


def dry() -> Plan:
    """A plan with an effect and a slow state, to be run with both left out."""
    plan = Plan("dry")

    @plan.state
    async def plan_it() -> int:
        return 1

    @plan.state(after=["plan_it"], side_effects="apply_side_effect", idempotency="dry:1")
    async def apply_it(io: LiveIo) -> None:
        await io.call(write("apply"))

    @plan.state(after=["apply_it"], tags=["slow"])
    async def slow() -> int:
        raise StateFailure("not_skipped", "a skipped state ran")

    @plan.state(after=["slow"])
    async def last(plan_it: int) -> int:
        return plan_it + 1

    return plan


def unkeyed() -> Plan:
    """An effect that nothing outside can absorb a second time."""
    plan = Plan("unkeyed")

    @plan.state
    async def before() -> int:
        return 1

    @plan.state(side_effects="apply_side_effect")
    async def pay(before: int, io: LiveIo) -> int:
        await io.call(write("pay"))
        return before + 1

    @plan.state
    async def after(pay: int) -> int:
        return pay + 1

    return plan
