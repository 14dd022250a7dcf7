"""Short ways to live a run in memory, shared by the tests of runs, attempts, IO and effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from interlock.engine.authoring import Plan
from interlock.testing.loop import run
from tests.simulation.crashes import World, error_of
from tests.simulation.plans import Handler, single


async def lived(plan: Callable[[], Plan], given: Any = None, **options: Any) -> World:
    """One life of a run of a plan."""
    world = World(plan, given, **options)
    await world.live()
    return world


async def lived_state(handler: Handler, world: dict[str, Any] | None = None, **options: Any) -> World:
    """One life of a run of one state; `options` are the state's."""
    return await lived(single(handler, **options), **(world or {}))


def phase(world: World) -> str:
    """How the run ended, or that it has not."""
    assert world.result is not None
    return world.result.phase


def refused(handler: Handler, **options: Any) -> tuple[str | None, World]:
    """The code with which the one state fails."""
    world = run(lived_state(handler, **options))
    assert phase(world) == "failed"
    return error_of(world), world
