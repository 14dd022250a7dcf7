"""The plans whose runs are recorded, and the lives that each of these runs had.

What it does: `LIVES` makes, for each name, a world in which a run has come as far as its history tells. What it does
not do: it writes no file; `scripts/record_histories.py` does.

Rule: a plan here is never changed, because recorded runs are resumed with it; another one gets another name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from interlock.base.principal import local_principal
from interlock.engine.attempt import DomainEvent, Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.engine.context import Context
from interlock.engine.errors import StateFailure
from interlock.engine.events import Resolution
from interlock.engine.io.live import LiveIo
from tests.simulation.crashes import RUN_ID, World
from tests.simulation.outside import BUSY, TIMED_OUT
from tests.simulation.plans import read, write

OPERATOR = local_principal("ada")
SNAPSHOTS = {"engine": {"fold_snapshot_events": 10}}


def journey() -> Plan:
    """Everything that a sequential plan can do when all goes well."""
    plan = Plan("journey")

    @plan.state
    async def fetch(start: int, io: LiveIo, rec: Recorder) -> dict[str, str]:
        await rec.emit("looking", {"from": start})
        answer = await io.call(read("sources"))
        await io.record_value("count", {"files": 3, "größe": None})
        await rec.emit_many([DomainEvent("found", {"file": name}) for name in ("a", "b")])
        return cast("dict[str, str]", answer.response)

    @plan.state(tags=["compute"])
    async def build(fetch: dict[str, str], io: LiveIo, rec: Recorder, ctx: Context) -> str:
        at_ms, nonce = await io.now("built"), await io.random("nonce", 8)
        kept = await rec.artifact("Output", f"{fetch['state']}\n".encode(), {"step": "build"})
        await rec.emit("built", None, kept)
        ctx.write("large", "x" * 4_100)
        ctx.delete("start")
        return f"{at_ms} {nonce.hex()}"

    @plan.state(side_effects="apply_side_effect", idempotency="journey:1", retry=RetryPolicy.fixed(2, 100))
    async def publish(build: str, io: LiveIo) -> dict[str, str]:
        answer = await io.call(write("publish"))
        return cast("dict[str, str]", answer.response)

    return plan


def stubborn() -> Plan:
    """A state that fails twice and keeps what it had written for diagnosis."""
    plan = Plan("stubborn")

    @plan.state(retry=RetryPolicy.exponential(4, 100, 1_000), snapshot="always")
    async def calling(io: LiveIo, ctx: Context) -> int:
        ctx.write("scratch", 1)
        await io.call(read("service"))
        ctx.delete("scratch")
        return 1

    @plan.state
    async def after(calling: int) -> int:
        return calling + 1

    return plan


def hopeless() -> Plan:
    """A run that fails for good in its second state."""
    plan = Plan("hopeless")

    @plan.state
    async def before() -> int:
        return 1

    @plan.state(after=["before"])
    async def broken() -> int:
        raise StateFailure("broken", "it cannot be done", details={"why": "it is broken"})

    return plan


def payment() -> Plan:
    """An effect that nothing outside can absorb a second time."""
    plan = Plan("payment")

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


def rehearsal() -> Plan:
    """An effect and a slow state, to be run with both left out."""
    plan = Plan("rehearsal")

    @plan.state
    async def first() -> int:
        return 1

    @plan.state(after=["first"], side_effects="apply_side_effect", idempotency="rehearsal:1")
    async def apply(io: LiveIo) -> None:
        await io.call(write("apply"))

    @plan.state(after=["apply"], tags=["slow"])
    async def slow() -> int:
        raise StateFailure("not_skipped", "a skipped state ran")

    @plan.state(after=["slow"])
    async def last(first: int) -> int:
        return first + 1

    return plan


async def _completed() -> World:
    world = World(journey, {"start": 1}, settings=SNAPSHOTS)
    await world.live()
    return world


async def _minimal() -> World:
    world = World(journey, {"start": 1}, config=RunConfig(event_profile="Minimal"), settings=SNAPSHOTS)
    await world.live()
    return world


async def _retried() -> World:
    world = World(stubborn, faults=lambda outside: outside.fail("service", BUSY, BUSY), settings=SNAPSHOTS)
    await world.live()
    return world


async def _failed() -> World:
    world = World(hopeless, settings=SNAPSHOTS)
    await world.live()
    return world


async def _recovered() -> World:
    world = World(journey, {"start": 1}, settings=SNAPSHOTS)
    await world.live(crash_on="send:after")
    await world.live(crash_on="append:after_commit")
    await world.live()
    return world


async def _interrupted() -> World:
    world = World(journey, {"start": 1}, settings=SNAPSHOTS)
    await world.live(12)
    return world


async def _skipped() -> World:
    config = RunConfig(skip_tags=("apply_side_effect", "slow"))
    world = World(rehearsal, config=config, settings=SNAPSHOTS)
    await world.live()
    return world


async def _parked() -> World:
    world = World(payment, faults=lambda outside: outside.fail("pay", TIMED_OUT, applied=True), settings=SNAPSHOTS)
    await world.live()
    return world


def _resolved(action: Resolution, adopt: Any = None) -> Callable[[], Awaitable[World]]:
    async def live() -> World:
        world = await _parked()
        await world.process().runs.control.resolve(
            RUN_ID, "pay", action, "I looked", adopt=adopt, principal=OPERATOR, command_id="decide-1"
        )
        await world.live()
        return world

    return live


LIVES: dict[str, Callable[[], Awaitable[World]]] = {
    "completed": _completed,
    "minimal": _minimal,
    "retried": _retried,
    "failed": _failed,
    "recovered": _recovered,
    "interrupted": _interrupted,
    "skipped": _skipped,
    "parked": _parked,
    "adopted": _resolved(Resolution.ADOPT, {"name": "pay", "state": "seen"}),
    "sent_again": _resolved(Resolution.RETRY),
    "abandoned": _resolved(Resolution.ABANDON),
}
"""For each name how the run came to be."""
