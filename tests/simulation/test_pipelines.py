"""A pipeline whose process dies at every point that it reaches: one result, and each boundary on record once."""

from __future__ import annotations

import json
from typing import Any

from interlock.engine import events as e
from interlock.engine.config import RunConfig
from interlock.testing.loop import run
from tests.simulation.crashes import World, records
from tests.simulation.operations import sums

LIVES_MAX = 6
STEPS = ("get", "first", "second", "end")
ORDERED = [(f"sums.{step}", phase) for step in STEPS for phase in ("started", "completed")]


def world(config: RunConfig | None = None) -> World:
    return World(sums, {"count": 2}, config=config, settings={"engine": {"crash_budget": 100}})


async def lived_through(*crashes: int, config: RunConfig | None = None) -> tuple[World, int]:
    """A world whose first processes died at these points, brought to its end; and the points of its last life."""
    made = world(config)
    reached = 0
    for crash_at in (*crashes, *[None] * LIVES_MAX):
        reached = len((await made.live(crash_at)).reached)
        if made.result is not None and made.result.phase != "running":
            return made, reached
    raise AssertionError("the run does not come to its end")


def boundaries(made: World) -> list[tuple[str, str]]:
    """Every boundary of the whole log, those of failed attempts too."""
    payloads = [
        json.loads(bytes(each.payload))
        for each in records(made.log)
        if isinstance(each, e.DomainEmitted) and each.name == "op_boundary"
    ]
    return [(each["op_path"], each["phase"]) for each in payloads]


async def told(made: World) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    return await made.context(), boundaries(made)


def test_a_crash_anywhere_changes_neither_the_result_nor_the_boundaries() -> None:
    async def scenario() -> None:
        whole, points = await lived_through()
        expected = await told(whole)
        assert expected[1] == ORDERED
        for crash_at in range(1, points + 1):
            made, _ = await lived_through(crash_at)
            assert await told(made) == expected, crash_at

    run(scenario())


def test_two_crashes_change_nothing_either() -> None:
    async def scenario() -> None:
        _, points = await lived_through()
        for first in range(1, points + 1, 3):
            for second in range(1, 8):
                made, _ = await lived_through(first, second)
                assert boundaries(made) == ORDERED, (first, second)

    run(scenario())


def test_a_minimal_run_has_no_boundaries_and_the_same_result() -> None:
    async def scenario() -> None:
        minimal, _ = await lived_through(5, config=RunConfig(event_profile="Minimal"))
        whole, _ = await lived_through()

        assert boundaries(minimal) == []
        assert await minimal.context() == await whole.context()

    run(scenario())
