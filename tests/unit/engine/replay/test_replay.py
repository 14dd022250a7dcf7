"""Replay: what a recorded attempt is asked again gets the same answer, and what differs now is found (R1 to R9)."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
import time
from contextlib import suppress
from typing import Any, NoReturn

import pytest

from interlock.base.errors import Corruption, InterlockError, NotFound
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.attempt import Recorder
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.engine.context import Context
from interlock.engine.errors import StateFailure
from interlock.engine.io.replay import ReplayIo
from interlock.engine.io.surface import Io, IoCall
from interlock.testing.loop import run
from tests.simulation.crashes import RUN_ID, World, facts, records
from tests.simulation.outside import BUSY, TIMED_OUT
from tests.simulation.plans import Handler, flaky, numbers, read, release, single, write
from tests.simulation.replays import changed_numbers, replayed, sealed_off, told
from tests.unit.engine.lives import lived, lived_state

ONLY = "demo.only.main"
ADA = local_principal("ada")


def then_and_now(then: Handler, now: Handler, world: dict[str, Any] | None = None, **options: Any) -> Any:
    """The report of a replay of a state that was recorded with one handler, by another."""

    async def scenario() -> Any:
        lives = await lived_state(then, world, **options)
        return await replayed(lives, single(now, **options)())

    return run(scenario())


async def calls(io: Io) -> object:
    return (await io.call(read("sources"))).response


def test_a_run_with_calls_draws_values_artifacts_and_an_effect_replays_identically() -> None:
    async def scenario() -> None:
        world = await lived(release)
        report = await replayed(world)

        assert (report.identical, report.divergence, report.warnings) == (True, None, [])
        assert (report.attempts, report.compared, report.skipped, report.not_comparable) == (4, 4, 0, [])
        assert (report.run_id, report.phase, report.events) == (RUN_ID, "completed", len(world.log))

    run(scenario())


def test_a_run_replays_without_network_clock_and_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    """P4."""

    def forbidden(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a replay reaches outside")

    async def scenario() -> None:
        world = await lived(release)
        plan = world.plan()
        with monkeypatch.context() as patched:
            for module, names in (
                (socket, ("socket", "create_connection", "getaddrinfo")),
                (time, ("time", "time_ns", "sleep", "localtime")),
                (os, ("urandom", "getrandom")),
                (random, ("random", "randbytes")),
                (secrets, ("token_bytes",)),
            ):
                for name in names:
                    patched.setattr(module, name, forbidden)
            report = await replayed(world, plan)
        assert report.identical
        assert report.compared == 4

    run(scenario())


def test_a_call_without_a_key_cannot_be_replayed_and_is_never_tried_again() -> None:
    """R1."""
    asked = []

    async def keyless(io: Io) -> str:
        asked.append(type(io))
        await io.call(IoCall("outside", {"name": "sources"}))
        return "done"

    config = RunConfig(retry_policy=RetryPolicy.fixed(5), replay_missing_fact_retryable=True)
    report = then_and_now(keyless, keyless, {"config": config})

    assert told(report) == {"state": ONLY, "attempt": 0, "kind": "facts", "key": "outside"}
    assert report.divergence.replayed == "failed: missing_fact_key"
    assert asked.count(ReplayIo) == 1


async def asks_for_more(io: Io) -> object:
    response = await calls(io)
    await io.call(read("more"))
    return response


def test_a_key_that_was_never_recorded_is_a_missing_fact() -> None:
    """R2, M14."""
    report = then_and_now(calls, asks_for_more)

    assert told(report) == {"state": ONLY, "attempt": 0, "kind": "facts", "key": "more"}
    assert (report.divergence.recorded, report.divergence.replayed) == ("completed", "failed: missing_fact")


@pytest.mark.parametrize(("retryable", "tries"), [(False, 1), (True, 3)])
def test_a_missing_fact_spends_the_retry_budget_where_it_may_and_sleeps_never(retryable: bool, tries: int) -> None:
    """R2."""
    seen = []

    async def now(io: Io) -> object:
        try:
            return await asks_for_more(io)
        except NotFound as fault:
            seen.append((fault.code, fault.retryable))
            raise

    async def scenario() -> None:
        policy = RetryPolicy.fixed(3, 60_000)
        config = RunConfig(retry_policy=policy, replay_missing_fact_retryable=retryable)
        world = await lived_state(calls, {"config": config})
        began = asyncio.get_running_loop().time()
        report = await replayed(world, single(now)())

        assert asyncio.get_running_loop().time() == began
        assert seen == [("missing_fact", retryable)] * tries
        assert not report.identical

    run(scenario())


@pytest.mark.unproved("it loses an artifact of its store, to see it missed")
def test_a_fact_whose_bytes_are_lost_is_damage_and_no_missing_fact() -> None:
    """R3."""

    async def swallows(io: Io) -> str:
        with suppress(InterlockError):
            await calls(io)
        return "done"

    async def scenario() -> None:
        for now in (calls, swallows):
            world = await lived_state(calls)
            world.lose(facts(world.log)["sources"])
            with pytest.raises(Corruption) as refused:
                await sealed_off(world).runs.replay(RUN_ID, single(now)())
            assert refused.value.code == "record_incomplete"

    run(scenario())


@pytest.mark.unproved("it forges an artifact of its store, to see it found")
def test_a_fact_whose_bytes_are_others_is_corruption() -> None:
    """R4."""

    async def scenario() -> None:
        world = await lived_state(calls)
        world.restore(facts(world.log)["sources"], b'{"name":"forged"}')
        with pytest.raises(Corruption) as refused:
            await sealed_off(world).runs.replay(RUN_ID, world.plan())
        assert refused.value.code == "artifact_corrupt"

    run(scenario())


def test_a_changed_handler_is_found_with_state_attempt_and_the_keys_that_differ() -> None:
    """R5: and nothing is written to the run (`replayed` holds the whole store against what it was)."""

    async def scenario() -> None:
        world = await lived(numbers, {"start": 1})
        report = await replayed(world, changed_numbers())
        found = report.divergence

        assert found is not None
        assert (found.state_id, found.attempt, found.kind) == ("numbers.two.main", 0, "snapshot")
        assert {(each.key, each.recorded, each.replayed) for each in found.keys} == {
            ("square", "4", "8"),
            ("added", None, "true"),
        }
        # Each attempt starts from what was recorded, so that the third is not blamed for the second.
        assert (report.divergent, report.compared) == (1, 3)

    run(scenario())


def test_a_long_value_is_cut_and_a_large_one_named_by_its_artifact() -> None:
    async def then(ctx: Context) -> None:
        ctx.write("long", "a" * 1_000)
        ctx.write("large", "b" * 10_000)

    async def now(ctx: Context) -> None:
        ctx.write("long", "c" * 1_000)
        ctx.write("large", "d" * 10_000)

    keys = {each.key: each for each in then_and_now(then, now).divergence.keys}

    assert keys["long"].replayed.endswith("c…")
    assert len(keys["long"].replayed) == 200
    assert keys["large"].recorded.startswith("artifact ")


def test_a_recorded_fact_that_nobody_asks_for_is_a_warning() -> None:
    """R6."""

    async def now() -> object:
        return {"name": "sources", "state": "after sources"}

    report = then_and_now(calls, now)

    assert report.identical
    assert [(each.code, each.fact_key) for each in report.warnings] == [("fact_unread", "sources")]


def test_each_attempt_is_driven_under_its_own_number_with_what_it_knew() -> None:
    """R7: failed attempts, and an orphan whose facts count."""

    async def scenario() -> None:
        world = World(flaky, faults=lambda outside: outside.fail("service", BUSY, BUSY))
        await world.live(crash_on="send:after")
        await world.live()
        entered = [each.attempt for each in records(world.log) if isinstance(each, e.StateEntered)]
        report = await replayed(world)

        assert entered == [0, 0, 1, 2, 0]
        assert report.identical
        assert report.attempts == len(entered)
        # A crash and a refusal left no fact: neither confirmed nor refuted.
        assert [(each.attempt, each.recorded) for each in report.not_comparable] == [
            (0, "orphan_attempt_recovered"),
            (1, "failed: outside_busy"),
        ]

    run(scenario())


def test_a_fact_that_an_orphan_recorded_answers_the_attempt_after_it() -> None:
    """R7, D9."""

    async def draws(io: Io, rec: Recorder) -> int:
        at_ms = await io.now("begun")
        await io.record_value("derived", at_ms + 1)
        await rec.emit("on the way")
        return at_ms

    async def scenario() -> None:
        calm = World(single(draws))
        points = (await calm.live()).reached
        for crash_at in range(1, len(points) + 1):
            world = World(single(draws))
            await world.live(crash_at)
            await world.live()
            report = await replayed(world)
            assert told(report) == {"identical": True}, crash_at
            assert report.warnings == [], crash_at

    run(scenario())


def test_an_added_draw_that_shifts_the_others_is_noticed_by_its_kind() -> None:
    """R8."""

    async def then(io: Io) -> list[object]:
        return [await io.now_millis(), (await io.random_bytes(4)).hex()]

    async def now(io: Io) -> list[object]:
        await io.now_millis()
        return await then(io)

    report = then_and_now(then, now)

    assert told(report)["kind"] == "facts"
    assert report.divergence.replayed == "failed: fact_payload_invalid"
    assert "was of another kind" in report.divergence.message


def test_a_draw_of_another_length_is_no_answer() -> None:
    async def then(io: Io) -> str:
        return (await io.random("nonce", 4)).hex()

    async def now(io: Io) -> str:
        return (await io.random("nonce", 8)).hex()

    assert then_and_now(then, now).divergence.replayed == "failed: fact_payload_invalid"


def test_a_fact_of_another_kind_is_no_draw() -> None:
    async def then(io: Io) -> int:
        await io.record_value(f"time:{ONLY}:begun", 5)
        return 5

    async def now(io: Io) -> int:
        return await io.now("begun")

    assert then_and_now(then, now).divergence.replayed == "failed: fact_payload_invalid"


def test_an_artifact_that_only_the_replay_makes_may_be_named_by_its_events() -> None:
    def keeps(content: bytes) -> Handler:
        async def only(rec: Recorder) -> None:
            await rec.emit("kept", payload_ref=await rec.artifact("Output", content))

        return only

    report = then_and_now(keeps(b"then"), keeps(b"now"))

    assert told(report)["kind"] == "events"
    assert report.divergence.recorded == "artifact Output, kept"


def test_a_replay_calls_no_transport_and_writes_no_fact_even_for_what_it_lacks() -> None:
    """R9, M14: `replayed` has no transport, no clock and no entropy to give, and compares the whole store."""

    async def now(io: Io) -> object:
        found: list[object] = []
        for ask in (
            lambda: io.call(write("publish")),
            lambda: io.call(read("other")),
            lambda: io.now("other"),
            lambda: io.random("other", 8),
            lambda: io.record_value("other", 1),
            lambda: io.spawn(numbers(), {"start": 1}, name="other"),
        ):
            with pytest.raises(InterlockError) as refused:
                await ask()
            found.append(refused.value.code)
        raise StateFailure("asked", ",".join(dict.fromkeys(map(str, found))))

    report = then_and_now(calls, now, side_effects="apply_side_effect")

    assert report.divergence.message == "missing_fact"


def test_a_value_that_was_recorded_otherwise_is_noticed() -> None:
    """D8."""

    def records_as(value: int) -> Handler:
        async def only(io: Io) -> str:
            return await io.record_value("count", value)

        return only

    report = then_and_now(records_as(3), records_as(4))

    assert told(report) == {"state": ONLY, "attempt": 0, "kind": "facts", "key": "count"}
    assert report.divergence.replayed == "failed: fact_payload_conflict"


def test_a_call_with_another_request_is_noticed() -> None:
    async def now(io: Io) -> object:
        return (await io.call(IoCall("outside", {"name": "other"}, "sources"))).response

    assert then_and_now(calls, now).divergence.replayed == "failed: fact_request_mismatch"


def test_an_attempt_does_not_see_a_fact_before_it_had_it() -> None:
    async def only(io: Io) -> list[bool]:
        before = await io.get_recorded_fact("sources")
        await io.call(read("sources"))
        return [before is None, await io.get_recorded_fact("sources") is None]

    report = then_and_now(only, only)

    assert told(report) == {"identical": True}


def test_a_failed_attempt_does_not_see_what_was_recorded_after_it() -> None:
    async def tries(io: Io) -> str:
        if await io.get_recorded_fact("second") is None:
            try:
                await io.call(read("service", "second"))
            except InterlockError:
                raise StateFailure("not_yet", "once more", retryable=True) from None
        return "done"

    async def scenario() -> None:
        world = World(single(tries, retry=RetryPolicy.fixed(3)), faults=lambda o: o.fail("service", BUSY))
        await world.live()
        report = await replayed(world)

        assert report.identical
        assert (report.attempts, report.compared) == (2, 2)

    run(scenario())


def test_a_failure_of_the_handler_itself_is_compared_by_its_code() -> None:
    async def then() -> None:
        raise StateFailure("broken", "it cannot be done")

    async def now() -> None:
        raise StateFailure("refused", "it may not be done")

    async def mended() -> str:
        return "done"

    assert told(then_and_now(then, then)) == {"identical": True}
    assert then_and_now(then, now).divergence.kind == "error"
    assert then_and_now(then, mended).divergence.kind == "outcome"


def test_a_failure_that_left_no_fact_is_not_comparable() -> None:
    async def scenario() -> None:
        world = World(single(calls), faults=lambda outside: outside.fail("sources", TIMED_OUT))
        await world.live()
        report = await replayed(world)

        assert report.identical
        assert (report.attempts, report.compared, report.not_comparable_count) == (1, 0, 1)
        assert report.not_comparable[0].recorded == "failed: outside_timed_out"

    run(scenario())


def test_events_of_a_completed_attempt_are_compared_by_name_and_payload() -> None:
    def tells(*names: str, value: int = 1) -> Handler:
        async def only(rec: Recorder) -> None:
            for name in names:
                await rec.emit(name, {"value": value})

        return only

    assert told(then_and_now(tells("a", "b"), tells("a", "b"))) == {"identical": True}
    assert then_and_now(tells("a", "b"), tells("a")).divergence.recorded == "b"
    assert then_and_now(tells("a"), tells("a", value=2)).divergence.kind == "events"
    assert then_and_now(tells(), tells("a")).divergence.replayed == "a"
    assert then_and_now(tells("a"), tells()).divergence.recorded == "a"
    swapped = then_and_now(tells("a", "b"), tells("b", "a"))
    assert (swapped.identical, [each.code for each in swapped.warnings]) == (True, ["event_order"])
    minimal = RunConfig(event_profile="Minimal")
    assert then_and_now(tells("a"), tells("b"), {"config": minimal}).identical


def test_a_handler_that_ends_the_process_does_not_end_a_replay() -> None:
    async def now() -> None:
        raise SystemExit(3)

    assert then_and_now(calls, now).divergence.replayed == "failed: handler_exception"
