"""The explorer: every interleaving once, bounds that are told, failures that can be repeated."""

from __future__ import annotations

import asyncio
import re

import pytest

from interlock.testing.explorer import Exploration, explore, replay
from interlock.testing.loop import Deadlock


async def two_walkers() -> str:
    """Two tasks of two steps each; the order of their steps, as a word."""
    steps: list[str] = []

    async def walk(name: str) -> None:
        for _ in range(2):
            steps.append(name)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for name in "ab":
            group.create_task(walk(name))
    return "".join(steps)


async def lost_update() -> int:
    """Two tasks that each add one to a number with a pause between reading and writing it."""
    number = 0

    async def add_one() -> None:
        nonlocal number
        read = number
        await asyncio.sleep(0)
        number = read + 1

    await asyncio.gather(add_one(), add_one())
    return number


def expect_two(number: int) -> None:
    assert number == 2


async def two_locks() -> None:
    """Two tasks that take two locks in opposite orders."""
    one, other = asyncio.Lock(), asyncio.Lock()

    async def both(first: asyncio.Lock, second: asyncio.Lock) -> None:
        async with first:
            await asyncio.sleep(0)
            async with second:
                pass

    await asyncio.gather(both(one, other), both(other, one))


def test_every_interleaving_is_run() -> None:
    seen: list[str] = []

    exploration = explore(two_walkers, seen.append)

    assert set(seen) == {"aabb", "abab", "abba", "baab", "baba", "bbaa"}
    assert exploration == Exploration(len(seen), complete=True)


def test_a_scenario_without_a_choice_is_one_run() -> None:
    async def alone() -> int:
        await asyncio.sleep(5)
        return 1

    assert explore(alone, expect_one) == Exploration(1, complete=True)


def expect_one(number: int) -> None:
    assert number == 1


def test_a_race_that_few_interleavings_show_is_found() -> None:
    with pytest.raises(AssertionError):
        explore(lost_update, expect_two)


def test_a_failure_is_repeated_by_its_decisions() -> None:
    with pytest.raises(AssertionError) as caught:
        explore(lost_update, expect_two)

    assert replay(lost_update, decisions_of(caught.value)) == 1


def test_a_deadlock_is_found_and_repeated_by_its_decisions() -> None:
    with pytest.raises(Deadlock) as caught:
        explore(two_locks, lambda _: None)

    with pytest.raises(Deadlock):
        replay(two_locks, decisions_of(caught.value))


def decisions_of(fault: BaseException) -> list[int]:
    (note,) = fault.__notes__
    found = re.search(r"\[(.*)\]", note)
    assert found is not None
    return [int(decision) for decision in found[1].split(",") if decision.strip()]


def test_an_exploration_that_ran_into_its_bound_says_so() -> None:
    assert explore(two_walkers, lambda _: None, schedules_max=3) == Exploration(3, complete=False)


def test_an_exploration_that_left_later_choices_alone_says_so() -> None:
    shallow = explore(two_walkers, lambda _: None, depth_max=1)

    assert shallow.count < explore(two_walkers, lambda _: None).count
    assert not shallow.complete


def test_a_scenario_that_keeps_something_from_one_run_to_the_next_is_refused() -> None:
    runs = 0

    async def changing() -> None:
        nonlocal runs
        runs += 1
        tasks = 3 if runs == 1 else 1
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(tasks)))

    with pytest.raises(RuntimeError, match="not deterministic"):
        explore(changing, lambda _: None)
