"""A process dies at every point that it reaches, and the next one goes on (P1, P2, I1 to I16).

Points are: before and after every append, every artifact that is put, every claim that is taken or given back, every
request that is sent. After each life the whole log is checked by rules that share no code with the engine.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.engine.io.live import LiveIo
from interlock.engine.plan import ExecutionPlan
from interlock.testing.loop import run
from tests.simulation.crashes import RUN_ID, World, effective, error_of, facts, records
from tests.simulation.outside import BUSY, TIMED_OUT, Outside
from tests.simulation.plans import dry, failing, flaky, numbers, read, release, single, unkeyed

LIVES_MAX = 12


@dataclass
class Case:
    """A plan, with what a run of it needs."""

    plan: Callable[[], Plan | ExecutionPlan]
    given: Any = None
    config: RunConfig = field(default_factory=RunConfig)
    faults: Callable[[Outside], None] = lambda _: None

    def world(self) -> World:
        settings = {"engine": {"crash_budget": 100}}
        return World(self.plan, self.given, config=self.config, faults=self.faults, settings=settings)


CASES = {
    "numbers": Case(numbers, {"start": 1}),
    "release": Case(release),
    "release, minimal": Case(release, config=RunConfig(event_profile="Minimal")),
    "failing": Case(failing),
    "dry": Case(dry, config=RunConfig(skip_tags=("apply_side_effect", "slow"))),
    "flaky": Case(flaky, faults=lambda outside: outside.fail("service", BUSY, BUSY)),
    "timed out": Case(
        release,
        config=RunConfig(retry_policy=RetryPolicy.fixed(3, 500)),
        faults=lambda outside: outside.fail("sources", TIMED_OUT),
    ),
}


async def crashed(case: Case, crashes: tuple[int, ...]) -> World:
    """A world after lives that ended at these points, and as many more as the run needs to end."""
    world = case.world()
    for crash_at in crashes:
        await world.live(crash_at)
    for _ in range(LIVES_MAX):
        if world.result is not None and world.result.phase != "running":
            return world
        await world.live()
    raise AssertionError("the run does not come to its end")


def points(case: Case, crashes: tuple[int, ...] = ()) -> list[str]:
    """The points that a life reaches which comes after lives that ended at `crashes`."""

    async def scenario() -> list[str]:
        world = case.world()
        for crash_at in crashes:
            await world.live(crash_at)
        return (await world.live()).reached

    return run(scenario())


def outcome(world: World) -> tuple[object, ...]:
    """All of a run that a reader may rely on."""
    assert world.result is not None
    known = {key: payload for key, payload in facts(world.log).items() if not key.startswith(("time:", "random:"))}
    return world.result.phase, world.result.final_snapshot_id, effective(world.log), known


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_crash_at_any_point_changes_nothing_in_the_end(case: Case) -> None:
    """P1, C3 to C24, F3 to F13, M1, M4, M5, M9, M10: the same snapshot, effective events and facts."""
    expected = outcome(run(crashed(case, ())))
    reached = points(case)
    assert len(reached) >= 6

    for crash_at, name in enumerate(reached, 1):
        world = run(crashed(case, (crash_at,)))
        assert outcome(world) == expected, f"killed at point {crash_at}, {name}"
        assert set(world.outside.applied.values()) <= {1}, f"killed at point {crash_at}, {name}"


@pytest.mark.parametrize("case", [CASES["numbers"], CASES["failing"], CASES["dry"]], ids=["numbers", "failing", "dry"])
def test_two_crashes_at_any_two_points_change_nothing_in_the_end(case: Case) -> None:
    """P1, C22, C23, F14, F15, D1, M9: also where one attempt is allowed."""
    expected = outcome(run(crashed(case, ())))
    for first in range(1, len(points(case)) + 1):
        for second in range(1, len(points(case, (first,))) + 1):
            assert outcome(run(crashed(case, (first, second)))) == expected, (first, second)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_crashes_at_any_two_points_of_any_plan_change_nothing_in_the_end(case: Case) -> None:
    """P1, F15."""
    expected = outcome(run(crashed(case, ())))
    for first in range(1, len(points(case)) + 1):
        for second in range(1, len(points(case, (first,))) + 1):
            assert outcome(run(crashed(case, (first, second)))) == expected, (first, second)


@pytest.mark.parametrize("crashes", [*itertools.product((2, 4, 7), repeat=3)])
def test_a_run_converges_once_crashes_stop(crashes: tuple[int, ...]) -> None:
    """F15, C23: after any number of crashes during recovery attempts count on without a gap (I4)."""
    case = CASES["release"]
    world = run(crashed(case, crashes * 2))

    assert outcome(world) == outcome(run(crashed(case, ())))


@pytest.mark.parametrize("seed", range(20))
def test_the_order_in_which_tasks_run_changes_nothing_in_the_end(seed: int) -> None:
    """P1, P22."""
    case = CASES["release"]
    expected = outcome(run(crashed(case, ())))
    for crash_at in (3, 8, 13, 21):
        assert outcome(run(crashed(case, (crash_at,)), seed=seed)) == expected


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_resuming_again_appends_nothing_and_says_the_same(case: Case) -> None:
    """P2, C21, M18."""

    async def scenario() -> None:
        world = await crashed(case, (5,))
        result, log = world.result, world.log
        for _ in range(2):
            await world.live()
            assert (world.result, world.log) == (result, log)

    run(scenario())


def test_a_recorded_answer_is_never_asked_for_again() -> None:
    """P3, M6, C10, F8: one delivery, and one more only if the crash fell between the sending and the fact."""
    case = CASES["release"]
    reached = points(case)
    windows = [at for at, name in enumerate(reached, 1) if name == "send:before"]
    for crash_at in range(1, len(reached) + 1):
        world = run(crashed(case, (crash_at,)))
        for name, sent in zip(("sources", "publish"), windows, strict=True):
            # Points of a call: send:before, send:after, append:before, append:after_commit.
            repeated = sent < crash_at <= sent + 2
            assert world.outside.count(name) == 1 + repeated, (name, crash_at)


def test_time_and_entropy_drawn_before_a_crash_are_those_that_are_seen_after_it() -> None:
    """D9, P3: what was derived from them contradicts no later attempt, though time has passed."""
    seen: list[tuple[int, bytes]] = []

    async def only(io: LiveIo) -> int:
        drawn = (await io.now("start"), await io.random("nonce", 8))
        seen.append(drawn)
        await io.record_value("derived", [drawn[0] + 1, drawn[1].hex()])
        await asyncio.sleep(60)
        await io.call(read("service"))
        return drawn[0]

    case = Case(single(only))
    repeated = 0
    for crash_at in range(1, len(points(case)) + 1):
        seen.clear()
        world = run(crashed(case, (crash_at, crash_at)))
        assert world.result is not None
        assert (world.result.phase, len(set(seen))) == ("completed", 1), crash_at
        repeated += len(seen) > 1
    assert repeated > 5


def test_a_state_that_completed_is_never_run_again() -> None:
    """C15, F10, I10."""
    calls: list[str] = []

    def plan() -> Plan:
        plan = Plan("demo")

        @plan.state
        async def one() -> None:
            calls.append("one")

        @plan.state(after=["one"])
        async def two() -> None:
            calls.append("two")

        return plan

    async def scenario(crash_at: int) -> set[str]:
        world = case.world()
        await world.live(crash_at)
        completed = {each.state_id.split(".")[1] for each in records(world.log) if isinstance(each, e.StateCompleted)}
        calls.clear()
        await world.live()
        assert world.result is not None
        assert (world.result.phase, set(calls)) == ("completed", {"one", "two"} - completed), crash_at
        return completed

    case = Case(plan)
    reached = range(1, len(points(case)) + 1)
    found = {tuple(sorted(run(scenario(crash_at)))) for crash_at in reached}
    assert found == {(), ("one",), ("one", "two")}


def test_skipping_a_state_survives_every_crash_without_a_call() -> None:
    """C24, M15, P13."""
    case = CASES["dry"]
    for crash_at in range(1, len(points(case)) + 1):
        world = run(crashed(case, (crash_at,)))
        assert world.result is not None
        assert (world.result.phase, world.outside.deliveries) == ("completed", []), crash_at


@pytest.mark.parametrize(("busy", "phase", "failures"), [(1, "completed", {0, 1}), (6, "failed", {2})])
def test_crashes_spend_no_retry_budget_wherever_they_fall(busy: int, phase: str, failures: set[int]) -> None:
    """D2, M10, M11, C16: two attempts allowed, crashes anywhere: they take no attempt away and give none.

    A crash between a failing answer and its event loses the failure, so that none of one may be recorded.
    """

    async def only(io: LiveIo) -> str:
        await io.call(read("service"))
        return "done"

    config = RunConfig(retry_policy=RetryPolicy.fixed(2, 100))
    case = Case(single(only), config=config, faults=lambda outside: outside.fail("service", *[BUSY] * busy))
    seen: Counter[int] = Counter()
    closed = 0
    for first in range(1, len(points(case)) + 1):
        for crashes in ((first,), (first, first), (first, 3, first)):
            world = run(crashed(case, crashes))
            codes = Counter(each.error.info.code for each in records(world.log) if isinstance(each, e.StateFailed))
            assert world.result is not None
            assert (world.result.phase, codes["outside_busy"] in failures) == (phase, True), (crashes, codes)
            seen[codes["outside_busy"]] += 1
            closed += codes["orphan_attempt_recovered"]
    assert set(seen) == failures
    assert closed > 0


def test_an_effect_that_nothing_absorbs_is_sent_once_or_the_run_is_parked() -> None:
    """C7, C8, C9, F6: and where nothing had been sent, the run goes on by itself."""
    case = Case(unkeyed)
    reached = points(case)
    sent = reached.index("send:before") + 1

    async def scenario(crash_at: int) -> None:
        world = case.world()
        await world.live(crash_at)
        await world.live()
        assert world.result is not None
        if sent - 1 <= crash_at <= sent + 2:  # the intent is durable, its outcome is not
            assert error_of(world) == "side_effect_outcome_unknown", reached[crash_at - 1]
            assert world.result.waiting is not None
            assert world.result.waiting.kind == "parked"
            assert world.outside.count("pay") <= 1
        else:
            assert (world.result.phase, world.outside.count("pay")) == ("completed", 1), reached[crash_at - 1]

    for crash_at in range(1, len(reached) + 1):
        run(scenario(crash_at))


@pytest.mark.parametrize("action", [*e.Resolution])
def test_a_crash_while_a_decision_is_taken_takes_it_once(action: e.Resolution) -> None:
    """P1: the decision waits in the inbox until it and its consequence are in one append."""

    async def scenario(crash_at: int | None) -> tuple[World, list[str]]:
        world = World(unkeyed, faults=lambda outside: outside.fail("pay", TIMED_OUT, applied=True))
        await world.live()
        adopt = {"name": "pay", "state": "seen"} if action is e.Resolution.ADOPT else None
        runs = world.process().runs
        await runs.control.resolve(RUN_ID, "pay", action, "I looked", adopt=adopt, principal=local_principal("ada"))
        reached = (await world.live(crash_at)).reached
        if crash_at is not None:
            await world.live()
        return world, reached

    expected, reached = run(scenario(None))
    for crash_at in range(1, len(reached) + 1):
        world, _ = run(scenario(crash_at))
        assert world.result is not None
        if world.result.waiting is None:
            assert outcome(world) == outcome(expected)
        else:  # the crash fell into the second sending, which puts it in doubt again
            assert (action, world.result.waiting.kind) == (e.Resolution.RETRY, "parked")
        assert world.outside.count("pay") <= expected.outside.count("pay")
        assert sum(isinstance(each, e.EffectResolved) for each in records(world.log)) == 1
