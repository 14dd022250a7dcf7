"""Effects: intended before they are sent, absorbed by their keys, parked when in doubt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.engine import events as e
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.engine.io.live import LiveIo
from interlock.engine.io.surface import IoCall
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import World, error_of, records
from tests.simulation.outside import BUSY, REFUSED, TIMED_OUT, Outside
from tests.simulation.plans import read, single, write
from tests.unit.engine.lives import lived_state as lived
from tests.unit.engine.lives import refused

TOKEN = "ghp" + "_" + "a1B2c3D4e5F6" * 3
EFFECT: dict[str, Any] = {"side_effects": "apply_side_effect"}


@pytest.mark.parametrize("options", [{}, {"side_effects": "pure"}])
def test_an_effect_of_a_state_that_declares_none_is_refused_unsent(options: dict[str, str]) -> None:
    async def only(io: LiveIo) -> None:
        await io.call(write("a", idempotency_key="key"))

    code, world = refused(only, **options)
    assert (code, world.outside.count("a")) == ("side_effects_undeclared", 0)


@over_seeds(0)
async def test_a_state_that_declares_to_read_may_send_what_looks_like_an_effect() -> None:
    async def only(io: LiveIo) -> None:
        await io.call(write("a"))

    world = await lived(only, side_effects="read_only_io")

    assert world.outside.count("a") == 1
    assert not [each for each in records(world.log) if isinstance(each, e.EffectIntended)]


def test_an_effect_without_a_fact_key_is_refused_unsent() -> None:
    async def only(io: LiveIo) -> None:
        await io.call(IoCall("outside", {"name": "a", "write": True}, None, "key"))

    code, world = refused(only, retry=RetryPolicy.fixed(3), **EFFECT)
    assert (code, world.outside.count("a")) == ("missing_fact_key", 0)
    [failed] = [each for each in records(world.log) if isinstance(each, e.StateFailed)]
    assert not failed.error.info.retryable


@over_seeds(2)
async def test_the_intent_of_an_effect_is_durable_before_it_is_sent() -> None:
    """F6: the request is named by its digest and the key that the outside absorbs it by."""

    async def only(io: LiveIo) -> None:
        await io.call(write("a"))

    world = World(single(only, idempotency="key", **EFFECT))
    points = (await world.live()).reached
    kinds = [type(each).__name__ for each in records(world.log)]

    assert points[: points.index("send:before")].count("append:after_commit") == 2
    assert kinds.index("EffectIntended") < kinds.index("FactRecorded")
    assert [(delivery.name, delivery.key) for delivery in world.outside.deliveries] == [("a", "key")]


@over_seeds(2)
async def test_an_effect_with_a_key_is_sent_again_under_the_same_key() -> None:
    """C7: in a process as after a crash; the outside absorbs it."""

    async def only(io: LiveIo) -> None:
        await io.call(write("a"))

    def faults(outside: Outside) -> None:
        outside.fail("a", TIMED_OUT, TIMED_OUT, applied=True)

    world = await lived(only, {"faults": faults}, idempotency="key", retry=RetryPolicy.fixed(3), **EFFECT)

    assert [delivery.key for delivery in world.outside.deliveries] == ["key"] * 3
    assert world.outside.applied["a"] == 1
    assert world.result is not None
    assert world.result.phase == "completed"


@over_seeds(2)
async def test_an_effect_without_a_key_whose_outcome_is_unknown_parks_the_run() -> None:
    """Also within a process, with retries left, and whatever the handler makes of the error."""

    async def only(io: LiveIo) -> None:
        await io.call(write("a"))

    world = await lived(
        only, {"faults": lambda outside: outside.fail("a", TIMED_OUT)}, retry=RetryPolicy.fixed(5), **EFFECT
    )

    assert world.outside.count("a") == 1
    assert [type(each) for each in records(world.log)[-2:]] == [e.StateFailed, e.RunParked]
    assert error_of(world) == "side_effect_outcome_unknown"


def parked_effect(world: World) -> str | None:
    """The fact key of the effect for which the run is parked."""
    last = records(world.log)[-1]
    assert isinstance(last, e.RunParked), last
    return last.fact_key


@over_seeds(3)
async def test_a_handler_that_goes_on_past_an_effect_in_doubt_parks_all_the_same() -> None:
    """Another call that succeeds takes nothing of the doubt away."""

    async def only(io: LiveIo) -> None:
        try:
            await io.call(write("a"))
        except InterlockError:
            await io.call(read("b"))

    world = await lived(only, {"faults": lambda outside: outside.fail("a", TIMED_OUT)}, **EFFECT)

    assert parked_effect(world) == "a"


@over_seeds(10)
async def test_of_concurrent_effects_the_one_in_doubt_parks_the_run() -> None:
    async def only(io: LiveIo) -> None:
        await asyncio.gather(*(io.call(write(name)) for name in ("a", "b", "c")), return_exceptions=True)

    world = await lived(
        only, {"faults": lambda outside: outside.fail("b", TIMED_OUT)}, retry=RetryPolicy.fixed(5), **EFFECT
    )

    assert parked_effect(world) == "b"
    assert [world.outside.count(name) for name in ("a", "b", "c")] == [1, 1, 1]


@over_seeds(0)
async def test_an_effect_that_a_time_limit_cuts_off_is_in_doubt() -> None:
    async def only(io: LiveIo) -> None:
        await io.call(write("a"))
        await asyncio.sleep(60)

    async def slow(io: LiveIo) -> None:
        await io.call(write("slow"))

    done = await lived(only, timeout_ms=1_000, **EFFECT)
    cut = await lived(slow, {"faults": lambda outside: outside.slow("slow", 60)}, timeout_ms=1_000, **EFFECT)

    assert error_of(done) == "state_timeout"
    assert parked_effect(cut) == "slow"


@pytest.mark.parametrize("fault", [BUSY, REFUSED])
def test_an_effect_that_the_outside_refused_is_settled_and_leaves_no_doubt(fault: Any) -> None:
    async def only(io: LiveIo) -> None:
        await io.call(write("a"))

    async def scenario() -> None:
        world = await lived(
            only, {"faults": lambda outside: outside.fail("a", fault)}, retry=RetryPolicy.fixed(2), **EFFECT
        )
        settled = [each for each in records(world.log) if isinstance(each, e.EffectSettled)]
        assert settled == [e.EffectSettled(fault.code, "a")]
        assert world.result is not None
        assert (world.result.phase, world.outside.count("a")) == (
            ("completed", 2) if fault.retryable else ("failed", 1)
        )

    run(scenario())


@over_seeds(0)
async def test_two_effects_of_a_run_never_share_an_idempotency_key() -> None:
    """The outside would absorb the second one, and nobody would notice."""

    async def only(io: LiveIo) -> None:
        await io.call(write("a"))
        await io.call(write("b"))

    world = await lived(only, idempotency="key", **EFFECT)

    assert error_of(world) == "idempotency_key_reused"
    assert world.outside.count("b") == 0


@over_seeds(0)
async def test_two_effects_with_keys_of_their_own_are_both_sent() -> None:
    async def only(io: LiveIo) -> None:
        await io.call(write("a", idempotency_key="key a"))
        await io.call(write("b", idempotency_key="key b"))

    world = await lived(only, **EFFECT)

    assert [delivery.key for delivery in world.outside.deliveries] == ["key a", "key b"]


def test_an_intended_effect_is_never_sent_with_another_request() -> None:
    """D7: a later attempt has to ask for the same."""
    attempts: list[int] = []

    async def only(io: LiveIo) -> None:
        attempts.append(1)
        await io.call(write(f"a{len(attempts)}", "key", idempotency_key="id"))

    async def scenario() -> None:
        world = await lived(
            only, {"faults": lambda outside: outside.fail("a1", TIMED_OUT)}, retry=RetryPolicy.fixed(3), **EFFECT
        )
        assert error_of(world) == "fact_request_mismatch"
        assert world.outside.count("a2") == 0

    run(scenario())


@over_seeds(0)
async def test_io_refuses_once_its_attempt_has_ended() -> None:
    kept: list[LiveIo] = []

    async def only(io: LiveIo) -> None:
        kept.append(io)

    world = await lived(only, **EFFECT)
    io = kept[0]
    calls = (io.call(read("a")), io.call(IoCall("outside", {"name": "a"})), io.call(write("b")), io.now("t"))
    outcomes = await asyncio.gather(*calls, io.record_value("key", 1), return_exceptions=True)

    assert [getattr(each, "code", each) for each in outcomes] == ["attempt_closed"] * 5
    assert world.outside.deliveries == []


@pytest.mark.parametrize("profile", ["Minimal", "Normal", "Verbose"])
def test_facts_and_intents_are_kept_in_every_profile(profile: Any) -> None:
    """M7, P5."""

    async def only(io: LiveIo) -> None:
        await io.call(read("a"))
        await io.call(write("b"))

    world = run(lived(only, {"config": RunConfig(event_profile=profile)}, idempotency="key", **EFFECT))

    kinds = [type(each) for each in records(world.log)]
    assert kinds.count(e.FactRecorded) == 2
    assert kinds.count(e.EffectIntended) == 1
