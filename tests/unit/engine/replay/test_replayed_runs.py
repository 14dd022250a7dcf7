"""Replay of whole runs: waits, children, states at once, skips, what operators decided, and what was cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from interlock.base.errors import Corruption, InterlockError, NotFound
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import FanOutJoin, RunConfig
from interlock.engine.context import Context
from interlock.engine.io.surface import Io
from interlock.engine.meta import APPLY_SIDE_EFFECT
from interlock.engine.replay.report import difference
from interlock.journal.ports import Head
from interlock.testing.loop import run
from tests.simulation.crashes import RUN_ID, World
from tests.simulation.outside import TIMED_OUT
from tests.simulation.plans import Handler, dry, numbers, read, release, single, unkeyed
from tests.simulation.replays import changed_numbers, replayed, sealed_off, told
from tests.unit.engine.lives import lived, lived_state

ADA = local_principal("ada")


def test_a_skipped_state_calls_nothing() -> None:
    async def scenario() -> None:
        world = await lived(dry, config=RunConfig(skip_tags=(APPLY_SIDE_EFFECT, "slow")))
        report = await replayed(world)

        assert report.identical
        assert (report.attempts, report.skipped) == (2, 2)

    run(scenario())


async def asks(io: Io) -> dict[str, object]:
    first = await io.wait("approval", str)
    await io.sleep("a while", 50)
    return {"first": first, "late": await io.wait("opinion", int, timeout_ms=100, default=7)}


def test_waits_that_were_answered_slept_and_expired_replay_from_their_facts() -> None:
    async def scenario() -> None:
        world = World(single(asks))
        app = world.process()
        await world.drive(app)
        suspended = await replayed(world)
        await app.runs.control.signal(RUN_ID, "only", "approval", "yes", principal=ADA)
        await world.drive(app)
        report = await replayed(world)

        assert (suspended.identical, suspended.phase, suspended.compared) == (True, "running", 1)
        assert (report.identical, report.phase, report.warnings) == (True, "completed", [])
        assert report.attempts == report.compared == 4

    run(scenario())


def test_a_wait_that_is_asked_for_under_another_name_is_noticed() -> None:
    def waits_for(name: str) -> Handler:
        async def only(io: Io) -> object:
            return await io.wait(name)

        return only

    async def scenario() -> None:
        world = await lived(single(waits_for("approval")))
        report = await replayed(world, single(waits_for("consent"))())

        assert told(report)["kind"] == "waits"
        assert report.divergence is not None
        assert (report.divergence.recorded, report.divergence.replayed) == ("suspended: approval", "suspended: consent")

    run(scenario())


def test_a_wait_that_timed_out_fails_again_without_time_passing() -> None:
    async def only(io: Io) -> object:
        return await io.wait("approval", timeout_ms=50)

    async def scenario() -> None:
        world = World(single(only))
        await world.drive(world.process())
        report = await replayed(world)

        assert (report.identical, report.phase, report.compared) == (True, "failed", 2)

    run(scenario())


def family(factor: int = 10) -> Plan:
    """A parent that starts two children and reads what they came to."""
    kid = Plan("kid")

    @kid.state
    async def work(n: int) -> int:
        return n * 10

    plan = Plan("family")

    @plan.state
    async def parent(io: Io) -> list[object]:
        ended = [await io.child(kid, {"n": n * factor // 10}, name=f"kid {n}") for n in (1, 2)]
        return [[each.status, await io.output(each, "work")] for each in ended]

    return plan


def test_a_parent_replays_from_the_facts_of_its_children_and_starts_none() -> None:
    """H6."""

    async def scenario() -> None:
        world = World(family)
        result = await world.drive(world.process())
        assert result.phase == "completed"
        report = await replayed(world)
        changed = await replayed(world, family(20))

        assert (report.identical, report.warnings) == (True, [])
        assert changed.divergence is not None
        assert changed.divergence.replayed == "failed: fact_request_mismatch"

    run(scenario())


def branching(add: int = 0) -> Plan:
    """Three states that run at once between two others."""
    plan = Plan("fan")

    @plan.state
    async def source() -> int:
        return 5

    def branch(name: str) -> Callable[..., Awaitable[int]]:
        async def work(ctx: Context, source: int, io: Io, rec: Recorder) -> int:
            await io.now("begun")
            await rec.emit("working", {"name": name})
            await asyncio.sleep(0.01 * (3 - len(name)))
            ctx.write(f"key_{name}", source + (add if name == "bb" else 0))
            return source

        return work

    for name in ("a", "bb", "ccc"):
        plan.state(name=name)(branch(name))

    @plan.state
    async def joined(a: int, bb: int, ccc: int) -> int:
        return a + bb + ccc

    return plan


FAN = RunConfig(execution_mode=FanOutJoin.of(3))


def test_states_that_ran_at_once_replay_with_their_own_views_and_events() -> None:
    async def scenario() -> None:
        world = World(branching, config=FAN)
        await world.drive(world.process())
        report = await replayed(world)
        changed = await replayed(world, branching(1))

        assert (report.identical, report.compared, report.warnings) == (True, 5, [])
        assert told(changed) == {"state": "fan.bb.main", "attempt": 0, "kind": "snapshot", "key": None}
        assert changed.divergence is not None
        assert [(each.key, each.recorded, each.replayed) for each in changed.divergence.keys] == [("key_bb", "5", "6")]
        assert changed.divergent == 1

    run(scenario())


def conflicting(second: int = 2) -> Plan:
    """Two states that write one key, and no edge between them."""
    plan = Plan("fan")

    @plan.state
    async def one(ctx: Context) -> None:
        ctx.write("key", 1)

    @plan.state
    async def two(ctx: Context) -> None:
        ctx.write("key", second)

    return plan


def test_a_conflict_of_writes_is_found_again() -> None:
    async def scenario() -> None:
        world = World(conflicting, config=FAN)
        result = await world.drive(world.process())
        report = await replayed(world)
        mended = await replayed(world, conflicting(1))

        assert result.phase == "failed"
        assert (report.identical, report.compared) == (True, 2)
        assert mended.divergence is not None
        assert mended.divergence.recorded == "failed: context_write_conflict"

    run(scenario())


def test_a_parked_effect_that_an_operator_adopted_replays_from_what_was_adopted() -> None:
    async def scenario() -> None:
        world = World(unkeyed, faults=lambda outside: outside.fail("pay", TIMED_OUT))
        await world.live()
        parked = await replayed(world)
        app = world.process()
        adopted = {"paid": True}
        await app.runs.control.resolve(
            RUN_ID, "pay", e.Resolution.ADOPT, "seen", adopt=adopted, principal=ADA, command_id="c-1"
        )
        await world.live()
        report = await replayed(world)

        assert (parked.identical, parked.phase) == (True, "running")
        assert [each.recorded for each in parked.not_comparable] == ["side_effect_outcome_unknown"]
        assert (report.identical, report.phase, report.warnings) == (True, "completed", [])

    run(scenario())


def test_an_attempt_that_never_ends_by_itself_does_not_hold_up_the_replay() -> None:
    async def hangs(io: Io) -> None:
        await io.call(read("sources"))
        await asyncio.Event().wait()

    async def scenario() -> None:
        world = World(single(hangs, timeout_ms=60_000))
        app = world.process()
        task = asyncio.create_task(app.runs.start(world.plan(), run_id=RUN_ID))
        await asyncio.sleep(0.1)
        await app.runs.control.cancel(RUN_ID, "no need", principal=ADA)
        assert (await task).phase == "cancelled"
        began = asyncio.get_running_loop().time()
        report = await replayed(world)

        assert asyncio.get_running_loop().time() - began == pytest.approx(1)

        assert (report.identical, report.phase, report.warnings) == (True, "cancelled", [])
        assert [each.recorded for each in report.not_comparable] == ["run_cancelled"]

    run(scenario())


def test_a_run_that_is_still_driven_is_compared_as_far_as_it_is() -> None:
    async def scenario() -> None:
        world = World(release)
        await world.live(crash_on="send:after")
        report = await replayed(world)

        assert (report.identical, report.phase) == (True, "running")
        assert report.not_comparable_count == 1

    run(scenario())


def test_a_plan_that_lacks_a_state_of_the_run_is_refused_and_another_outline_is_a_warning() -> None:
    async def scenario() -> None:
        world = await lived(numbers, {"start": 1})
        with pytest.raises(InterlockError) as refused:
            await replayed(world, release())
        longer = numbers()
        longer.state(name="four")(asks)
        report = await replayed(world, longer)

        assert refused.value.code == "plan_drifted"
        assert (report.identical, [each.code for each in report.warnings]) == (True, ["plan_differs"])

    run(scenario())


def test_a_run_that_does_not_exist_is_not_replayed() -> None:
    async def scenario() -> None:
        with pytest.raises(NotFound) as refused:
            await sealed_off(World(numbers)).runs.replay(RUN_ID, numbers())
        assert refused.value.code == "run_not_found"

    run(scenario())


def test_the_plan_of_a_replay_is_not_registered() -> None:
    async def scenario() -> None:
        world = await lived(numbers, {"start": 1})
        app = sealed_off(world)
        await app.runs.replay(RUN_ID, changed_numbers())

        assert app.runs.plans.known("numbers", "1") is None

    run(scenario())


def test_the_tools_of_a_replayed_attempt_refuse_after_its_end() -> None:
    kept: list[Io] = []

    async def only(io: Io) -> object:
        kept.append(io)
        return (await io.call(read("sources"))).response

    async def scenario() -> None:
        world = await lived_state(only)
        await replayed(world)
        with pytest.raises(InterlockError) as refused:
            await kept[-1].call(read("sources"))
        assert refused.value.code == "attempt_closed"

    run(scenario())


async def asks_both(io: Io) -> list[object]:
    try:
        return list(await asyncio.gather(io.wait("one"), io.wait("two")))
    finally:
        await asyncio.sleep(10)  # a handler that takes its time to clean up


def test_an_answer_that_came_while_its_attempt_was_ending_to_wait_does_not_go_back_in_time() -> None:
    async def scenario() -> None:
        world = World(single(asks_both), config=FAN)
        app = world.process()
        await world.drive(app)
        await app.runs.control.signal(RUN_ID, "only", "one", 1, principal=ADA)
        driving = asyncio.create_task(world.drive(app))
        await asyncio.sleep(5)
        await app.runs.control.signal(RUN_ID, "only", "two", 2, principal=ADA)
        assert (await driving).phase == "completed"
        kinds = [type(each) for each in await world.read() if isinstance(each, (e.FactRecorded, e.StateSuspended))]
        report = await replayed(world)

        assert kinds == [e.StateSuspended, e.FactRecorded, e.FactRecorded, e.StateSuspended]
        assert told(report) == {"identical": True}
        assert report.compared == 3

    run(scenario())


def agreeing(first: int = 1) -> Plan:
    """Two states at once that write one key, alike when they were recorded."""
    plan = Plan("fan")

    @plan.state
    async def one(ctx: Context) -> None:
        ctx.write("key", first)

    @plan.state
    async def two(ctx: Context) -> None:
        await asyncio.sleep(1)
        ctx.write("key", 1)

    return plan


def test_a_branch_that_differs_now_does_not_make_another_conflict_with_it() -> None:
    async def scenario() -> None:
        world = World(agreeing, config=FAN)
        assert (await world.drive(world.process())).phase == "completed"
        report = await replayed(world, agreeing(2))

        assert told(report)["state"] == "fan.one.main"
        assert (report.divergent, report.compared) == (1, 2)

    run(scenario())


def test_an_answer_that_a_cancelled_run_did_not_come_to_read_is_no_warning() -> None:
    async def scenario() -> None:
        world = World(single(asks))
        app = world.process()
        await world.drive(app)
        await app.runs.control.pause(RUN_ID, "wait", principal=ADA)
        await app.runs.control.signal(RUN_ID, "only", "approval", "yes", principal=ADA)
        await app.runs.control.cancel(RUN_ID, "no need", principal=ADA)
        await world.drive(app)
        report = await replayed(world)

        assert (report.phase, report.identical, report.warnings) == ("cancelled", True, [])

    run(scenario())


def test_a_stream_that_ends_before_its_head_is_damage() -> None:
    async def scenario() -> None:
        app = sealed_off(await lived(numbers, {"start": 1}))
        heads = app.store.events.heads

        async def further(streams: Sequence[str]) -> list[Head]:
            return [Head(head.seq + 1, head.digest) for head in await heads(streams)]

        app.store.events.heads = further  # type: ignore[method-assign]
        with pytest.raises(Corruption) as refused:
            await app.runs.replay(RUN_ID, numbers())
        assert refused.value.code == "event_corrupt"

    run(scenario())


def test_a_value_that_looks_like_a_secret_is_not_shown_by_a_difference() -> None:
    shown = difference("settings", b'{"password":"correct-horse-7"}', b'"plain"')

    assert (shown.recorded, shown.replayed) == ("error details redacted", '"plain"')
