"""Random plans, orders and crashes: whatever happens on the way, the end is the same (P1, P8, I1 to I16)."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.engine import events as e
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.testing.checker import check_left
from interlock.testing.loop import run
from tests.simulation.crashes import RUN_ID, Crash, Points, facts, records
from tests.simulation.families import PERSON, Family, at_once
from tests.simulation.random_plans import kid, plan_of

pytestmark = pytest.mark.unproved(
    "answers that are refused, or come too late, are kept as bytes that no event names", but=["no_orphan"]
)

STILL = ("nothing", "read", "shared", "emit", "slow", "fail", "nap")
LIVES_MAX = 60
ORDERS = ("signal", "duplicate", "foreign", "pause", "unpause", "retry", "edit", "answer")
ENDING = (*ORDERS, "skip", "cancel", "timeout")


def family_of(seed: int, config: RunConfig, acts: tuple[str, ...] | None = None) -> Family:
    plan = (lambda: plan_of(seed)) if acts is None else (lambda: plan_of(seed, acts))
    return Family(plan, lambda: [kid()], config=config, settings={"engine": {"crash_budget": 500}})


def config_of(draw: random.Random) -> RunConfig:
    limit = draw.choice((1, 2, 3, 8))
    return RunConfig() if limit == 1 else at_once(limit)


async def quiet(seed: int, config: RunConfig, acts: tuple[str, ...] | None = None) -> Family:
    family = family_of(seed, config, acts)
    await family.finish()
    await check_left(family.observer().store, now_ms=0)
    return family


@pytest.mark.parametrize("seed", range(30))
def test_a_plan_that_reads_its_ancestors_ends_alike_in_sequence_and_at_once(seed: int) -> None:
    """P8: for any limit and any interleaving, the same final snapshot, and the same answers of the outside."""
    expected = run(quiet(seed, RunConfig(), STILL))
    assert expected.result is not None
    for limit in (2, 3, 8):
        for interleaving in (None, seed, seed + 1000):
            family = run(quiet(seed, at_once(limit), STILL), seed=interleaving)
            assert family.result == expected.result, (limit, interleaving)
            assert family.outside.count("service") <= 1
            assert facts(family.log) == facts(expected.log)


async def disturbed(seed: int, orders: tuple[str, ...]) -> Family:
    """A run whose processes die and that is told things at random instants, by several owners at once."""
    draw = random.Random(seed)  # noqa: S311 - it draws a schedule
    family = family_of(seed, config_of(draw))
    for _ in range(draw.randint(1, 5)):
        lives = [_life(family, draw) for _ in range(draw.randint(1, 2))]
        told = [_order(family, draw, orders) for _ in range(draw.randint(0, 3))]
        await asyncio.gather(*lives, *told)
        family.result = None
        await family.check()
    return family


async def _life(family: Family, draw: random.Random) -> None:
    points = Points(draw.choice((None, draw.randint(1, 40), draw.randint(1, 120))))
    app = family.process(points)
    with suppress(Crash, InterlockError):
        if draw.random() < 0.5 and await family.runs():
            await app.runs.worker.work(until_idle=True)
        else:
            await family.drive(app)


async def _order(family: Family, draw: random.Random, orders: tuple[str, ...]) -> None:
    await asyncio.sleep(draw.random() * 4)
    if not await family.runs():
        return
    control, order = family.process().runs.control, draw.choice(orders)
    step = f"s{draw.randint(0, 6)}"
    with suppress(InterlockError):
        await _told(family, control, order, step, draw)


async def _told(family: Family, control: Any, order: str, step: str, draw: random.Random) -> None:
    match order:
        case "answer":
            await family.answer_all()
        case "signal" | "duplicate":
            name = f"{step}-{draw.randint(0, 2)}"
            for _ in range(1 if order == "signal" else 2):
                await control.signal(RUN_ID, step, name, name, principal=PERSON)
        case "foreign":
            await control.signal(RUN_ID, step, "nobody asks for this", 1, principal=PERSON)
        case "pause" | "unpause" | "cancel":
            await getattr(control, order)(RUN_ID, "so", principal=PERSON)
        case "retry":
            await control.retry(RUN_ID, step, "so", reset=True, principal=PERSON)
        case "edit":
            await control.edit(RUN_ID, step, "so", retry=RetryPolicy.fixed(5, 100), principal=PERSON)
        case "skip":
            await control.skip(RUN_ID, step, "so", principal=PERSON)
        case _:
            await family.process().runs.cancel_now(RUN_ID, "so", principal=PERSON)


async def calmed(family: Family) -> Family:
    """Let the run come to its end once nothing disturbs it any more."""
    if await family.runs() and (await family.state()).status is None:
        await family.process().runs.control.unpause(RUN_ID, "calm", principal=PERSON)
    await family.finish()
    await family.work()
    await family.answer_all()
    await family.work()
    await check_left(family.observer().store, now_ms=0)
    return family


async def _disturbed_and_calmed(seed: int, orders: tuple[str, ...]) -> Family:
    return await calmed(await disturbed(seed, orders))


def _same(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - it draws a schedule
    expected = run(quiet(seed, config_of(draw)))
    family = run(_disturbed_and_calmed(seed, ORDERS), seed=seed)
    assert family.result == expected.result
    # How a deadline ended may differ; what the state makes of it does not.
    wanted = {key: payload for key, payload in facts(expected.log).items() if not key.startswith("wait:")}
    found = facts(family.log)
    assert {key: found.get(key) for key in wanted} == wanted
    assert family.outside.count("service") <= 1 + sum(points.dead for points in family._processes)


@pytest.mark.parametrize("seed", range(60))
def test_crashes_orders_and_answers_at_any_time_change_nothing_in_the_end(seed: int) -> None:
    """P1, P3, C5 to C24, K1 to K4, W1 to W4, O1, B1 to B3: on every append."""
    _same(seed)


@pytest.mark.parametrize("seed", range(60))
def test_a_run_that_is_skipped_or_ended_at_any_time_keeps_every_rule(seed: int) -> None:
    """K7, O2, I3, I10, W3: and leaves nothing behind."""
    family = run(_disturbed_and_calmed(seed, ENDING), seed=seed)
    ended = [each for each in records(family.log) if isinstance(each, e.RunCompleted)]
    assert len(ended) == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 1_000))
def test_many_seeds(seed: int) -> None:
    """P1, K7."""
    _same(seed)
    run(_disturbed_and_calmed(seed, ENDING), seed=seed)
