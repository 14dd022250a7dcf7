"""Calls to the outside: answers become facts, effects are intended before they are sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock.base.canonical import Json
from interlock.base.errors import InterlockError
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.engine.io.live import RANDOM_BYTES_MAX, IoCall, LiveIo
from interlock.testing.app import dump
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import World, error_of, facts, records
from tests.simulation.outside import BUSY, REFUSED, TIMED_OUT, Outside
from tests.simulation.plans import Handler, read, single, write

TOKEN = "ghp" + "_" + "a1B2c3D4e5F6" * 3
EFFECT: dict[str, Any] = {"side_effects": "apply_side_effect"}


async def lived(handler: Handler, world: dict[str, Any] | None = None, **options: Any) -> World:
    """One life of a run of one state; `options` are the state's."""
    lived = World(single(handler, **options), **(world or {}))
    await lived.live()
    return lived


def refused(handler: Handler, **options: Any) -> tuple[str | None, World]:
    """The code with which the state fails."""
    world = run(lived(handler, **options))
    assert world.result is not None
    assert world.result.phase == "failed"
    return error_of(world), world


@over_seeds(2)
async def test_a_recorded_answer_is_given_again_without_a_call() -> None:
    """M6, P3, C10."""
    seen: list[Json] = []

    async def only(io: LiveIo) -> None:
        for _ in range(3):
            result = await io.call(read("a"))
            seen.append([result.response, result.recorded_payload_id])

    world = await lived(only)

    assert world.outside.count("a") == 1
    assert seen == [[{"name": "a", "state": "after a"}, facts(world.log)["a"]]] * 3
    assert sum(isinstance(each, e.FactRecorded) for each in records(world.log)) == 1


@over_seeds(2)
async def test_a_recorded_answer_outlives_a_failed_attempt() -> None:
    """M6, P3."""
    attempts: list[int] = []

    async def only(io: LiveIo) -> None:
        await io.call(read("a"))
        attempts.append(1)
        if len(attempts) < 3:
            await io.call(read("b"))

    world = await lived(only, {"faults": lambda outside: outside.fail("b", BUSY, BUSY)}, retry=RetryPolicy.fixed(3))

    assert (len(attempts), world.outside.count("a"), world.outside.count("b")) == (3, 1, 2)


@over_seeds(2)
async def test_a_recorded_answer_is_shared_with_later_states() -> None:
    def plan() -> Plan:
        plan = Plan("demo")

        @plan.state
        async def one(io: LiveIo) -> object:
            return (await io.call(read("a"))).response

        @plan.state
        async def two(one: object, io: LiveIo) -> bool:
            return bool(one == (await io.call(read("a"))).response)

        return plan

    world = World(plan)
    await world.live()

    assert (await world.context())["two"] is True
    assert world.outside.count("a") == 1


def test_a_fact_answers_no_other_request() -> None:
    """D7."""

    async def only(io: LiveIo) -> None:
        await io.call(read("a", "key"))
        await io.call(read("b", "key"))

    code, world = refused(only)
    assert code == "fact_request_mismatch"
    assert world.outside.count("b") == 0


def test_a_recorded_value_answers_no_request() -> None:
    """D7."""

    async def only(io: LiveIo) -> None:
        await io.record_value("key", {"name": "a", "state": "after a"})
        await io.call(read("a", "key"))

    assert refused(only)[0] == "fact_request_mismatch"


@over_seeds(10)
async def test_concurrent_calls_of_one_key_make_one_delivery() -> None:
    """P16, P3, I12."""

    async def only(io: LiveIo) -> int:
        answers = await asyncio.gather(*(io.call(read("a")) for _ in range(5)))
        return len({answer.recorded_payload_id for answer in answers})

    world = await lived(only)

    assert (world.outside.count("a"), await world.context()) == (1, {"only": 1})


@over_seeds(10)
async def test_of_concurrent_values_for_one_key_one_is_bound_and_the_others_are_refused() -> None:
    """P16, I12."""

    async def only(io: LiveIo) -> int:
        outcomes = await asyncio.gather(*(io.record_value("key", n) for n in range(4)), return_exceptions=True)
        codes = [each.code for each in outcomes if isinstance(each, InterlockError)]
        assert codes == ["fact_payload_conflict"] * 3
        return len(codes)

    world = await lived(only)

    assert world.result is not None
    assert world.result.phase == "completed"


@over_seeds(2)
async def test_a_value_is_recorded_once_and_found_by_its_key() -> None:
    async def only(io: LiveIo) -> bool:
        assert await io.get_recorded_fact("key") is None
        first = await io.record_value("key", {"b": 1, "a": 2})
        again = await io.record_value("key", {"a": 2, "b": 1})
        return first == again == await io.get_recorded_fact("key")

    world = await lived(only)

    assert await world.context() == {"only": True}


@over_seeds(2)
async def test_time_and_entropy_are_drawn_once_for_a_state_and_a_name() -> None:
    """D9, P3: a later attempt sees the draws of the first, though time has passed."""
    seen: list[tuple[object, ...]] = []

    async def only(io: LiveIo) -> None:
        named = (await io.now("start"), await io.now("end"), await io.random("nonce", 4))
        seen.append((*named, await io.now_millis(), await io.random_bytes(4), await io.now_millis()))
        await asyncio.sleep(5)
        await io.call(read("a"))

    await lived(only, {"faults": lambda outside: outside.fail("a", BUSY)}, retry=RetryPolicy.fixed(2, 1_000))

    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert len(seen[0][2]) == 4  # type: ignore[arg-type]


@over_seeds(0)
async def test_each_state_has_its_own_time_of_a_name() -> None:
    def plan() -> Plan:
        plan = Plan("demo")

        @plan.state
        async def one(io: LiveIo) -> int:
            at_ms = await io.now("t")
            await asyncio.sleep(1)
            return at_ms

        @plan.state
        async def two(one: int, io: LiveIo) -> int:
            return await io.now("t") - one

        return plan

    world = World(plan)
    await world.live()

    assert (await world.context())["two"] == 1_000


@pytest.mark.parametrize("count", [0, -1, RANDOM_BYTES_MAX + 1])
def test_a_count_of_random_bytes_is_bounded(count: int) -> None:
    async def only(io: LiveIo) -> None:
        await io.random("nonce", count)

    assert refused(only)[0] == "fact_payload_invalid"


def test_another_count_of_random_bytes_of_one_name_is_refused() -> None:
    async def only(io: LiveIo) -> None:
        await io.random("nonce", 4)
        await io.random("nonce", 5)

    assert refused(only)[0] == "fact_payload_invalid"


def test_a_fact_of_another_kind_is_refused() -> None:
    async def only(io: LiveIo) -> None:
        await io.record_value("time:demo.only.main:start", 1)
        await io.now("start")

    assert refused(only)[0] == "fact_payload_invalid"


@over_seeds(0)
async def test_a_call_without_a_key_is_passed_through_and_not_recorded() -> None:
    async def only(io: LiveIo) -> bool:
        results = [await io.call(IoCall("outside", {"name": "a"})) for _ in range(2)]
        return all(result.recorded_payload_id is None for result in results)

    world = await lived(only)

    assert (world.outside.count("a"), await world.context(), facts(world.log)) == (2, {"only": True}, {})


def test_an_unknown_namespace_is_refused_without_repeating_the_request() -> None:
    """P18."""

    async def only(io: LiveIo) -> None:
        await io.call(IoCall("nowhere", {"name": "a value of the request"}, "key"))

    code, world = refused(only)
    assert code == "io_unknown_namespace"
    assert "a value of the request" not in str(records(world.log))


@pytest.mark.parametrize(
    "call",
    [
        IoCall("outside", {"name": "a", "note": TOKEN}, "key"),
        IoCall("outside", {"name": "a", "password": "hunter2 hunter2"}),
        IoCall("outside", {"name": "a"}, TOKEN),
        IoCall("outside", {"name": "a", "write": True}, "key", TOKEN),
    ],
    ids=["request", "unrecorded request", "fact key", "idempotency key"],
)
def test_a_secret_in_a_call_is_refused_before_anything_is_sent(call: IoCall) -> None:
    """P17, I13."""

    async def scenario() -> None:
        async def only(io: LiveIo) -> None:
            await io.call(call)

        world = await lived(only, **EFFECT)
        assert error_of(world) == "secrets_detected"
        assert world.outside.deliveries == []
        places = await dump(world.process().store)
        assert not [place for place, content in places if TOKEN.encode() in content or b"hunter2" in content]

    run(scenario())


@pytest.mark.parametrize("key", ["user-password:1", "tokens of the day", "seed:42"])
def test_a_key_that_only_speaks_of_secrets_is_an_ordinary_key(key: str) -> None:
    """P17, D15."""

    async def only(io: LiveIo) -> None:
        await io.call(read("a", key))
        await io.record_value(f"value {key}", 1)

    world = run(lived(only))
    assert set(facts(world.log)) == {key, f"value {key}"}


@pytest.mark.parametrize("draw", ["record_value", "now", "random"])
def test_a_secret_in_the_name_of_a_fact_is_refused(draw: str) -> None:
    """P17, I13."""

    async def only(io: LiveIo) -> None:
        match draw:
            case "record_value":
                await io.record_value(TOKEN, 1)
            case "now":
                await io.now(TOKEN)
            case _:
                await io.random(TOKEN, 1)

    assert refused(only)[0] == "secrets_detected"


def test_a_secret_in_a_recorded_value_is_refused() -> None:
    """P17."""

    async def only(io: LiveIo) -> None:
        await io.record_value("key", {"password": "hunter2 hunter2"})

    assert refused(only)[0] == "secrets_detected"


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

    code, world = refused(only, **EFFECT)
    assert (code, world.outside.count("a")) == ("missing_fact_key", 0)


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
