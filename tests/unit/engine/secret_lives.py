"""Runs whose outside gives a secret answer, shared by the tests of secret facts and of their keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from interlock.base.canonical import Json
from interlock.engine.authoring import Plan
from interlock.engine.io.surface import IoCall
from interlock.testing.app import dump
from interlock.testing.checker import check_absent
from interlock.testing.loop import run
from tests.simulation.crashes import RUN_ID, World, facts
from tests.simulation.plans import single

CANARY = "quiet river under seven birches"
"""It looks like no secret, so the scan lets it pass: only the seal keeps it out."""

ANSWER: Json = {"value": [CANARY, 7], "more": {"n": None}}
KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))
VARIABLE = "INTERLOCK_SECRET_KEY"
EFFECT: dict[str, Any] = {"side_effects": "apply_side_effect"}


def ask(name: str = "lease", *, secret: bool = True, write: bool = False, key: str | None = "leased") -> IoCall:
    request = {"name": name, "write": True} if write else {"name": name}
    return IoCall("outside", request, key, secret=secret)


def answering(plan: Callable[[], Plan], **options: Any) -> World:
    """A world whose outside answers `lease` with the canary."""
    world = World(plan, **options)
    world.outside.answers["lease"] = ANSWER
    return world


def lived(handler: Callable[..., Awaitable[Any]], **options: Any) -> World:
    world = answering(single(handler, **options))
    run(world.live())
    return world


async def stored(world: World, artifact: str) -> bytes:
    [content] = await world.process().store.artifacts.get([artifact])
    return content


async def sealed_in(world: World) -> bytes:
    """The payload of the fact `leased`."""
    return await stored(world, facts(world.log)["leased"])


async def leaves_no_trace(world: World, *more: tuple[str, bytes]) -> None:
    """The canary stands in no event, artifact, index row, report or log."""
    reader = world.process().runs.read
    told = [shown(await reader.report(RUN_ID)), shown(await reader.why(RUN_ID))]
    places = [*await dump(world.process().store), *((f"report {n}", text) for n, text in enumerate(told)), *more]
    check_absent([CANARY.encode(), b"quiet river"], places)


def shown(thing: object) -> bytes:
    return repr(thing).encode()
