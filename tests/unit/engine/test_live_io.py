"""Calls to the outside: answers become facts, effects are intended before they are sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock.base.canonical import Json, digest
from interlock.base.errors import InterlockError
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy
from interlock.engine.io.live import LiveIo
from interlock.engine.io.surface import RANDOM_BYTES_MAX, IoCall
from interlock.testing.app import dump
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import World, error_of, facts, records
from tests.simulation.outside import BUSY
from tests.simulation.plans import read
from tests.unit.engine.lives import lived_state as lived
from tests.unit.engine.lives import refused

TOKEN = "ghp" + "_" + "a1B2c3D4e5F6" * 3
EFFECT: dict[str, Any] = {"side_effects": "apply_side_effect"}


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
async def test_a_request_is_the_same_whatever_the_order_of_its_members() -> None:
    async def only(io: LiveIo) -> bool:
        first = await io.call(IoCall("outside", {"name": "a", "more": [1, 2.0]}, "key"))
        again = await io.call(IoCall("outside", {"more": [1.0, 2], "name": "a"}, "key"))
        return first == again

    world = await lived(only)

    assert (world.outside.count("a"), await world.context()) == (1, {"only": True})
    [fact] = [each for each in records(world.log) if isinstance(each, e.FactRecorded)]
    assert fact.request_digest == digest(b'outside\n{"more":[1,2],"name":"a"}')


@pytest.mark.parametrize("key", [None, "key"])
@pytest.mark.parametrize("value", [float("nan"), 2**53, "\ud800", b"bytes", {1: 2}])
def test_a_request_that_is_not_json_is_refused_unsent(value: Any, key: str | None) -> None:
    async def only(io: LiveIo) -> None:
        await io.call(IoCall("outside", {"name": "a", "more": value}, key))

    code, world = refused(only)
    assert code is not None
    assert code.startswith("json_")
    assert world.outside.deliveries == []


@over_seeds(0)
async def test_draws_are_kept_under_names_of_their_own() -> None:
    async def only(io: LiveIo) -> None:
        await io.now("start")
        await io.random("nonce", 4)
        await io.record_value("price:eur", 1)

    world = await lived(only)

    assert list(facts(world.log)) == ["time:demo.only.main:start", "random:demo.only.main:nonce", "price:eur"]


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
