"""A secret that is planted in every slot of a run is nowhere afterwards (I13, P17)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import RunConfig
from interlock.engine.context import Context
from interlock.engine.errors import StateFailure
from interlock.engine.io.live import LiveIo
from interlock.engine.io.surface import IoCall
from interlock.testing.app import dump
from interlock.testing.checker import InvariantBroken, check_absent
from interlock.testing.loop import run
from tests.simulation.crashes import RUN_ID, World
from tests.simulation.outside import TIMED_OUT
from tests.simulation.plans import single, unkeyed

CANARY = "ghp" + "_" + "Kn4rYk4Nn9xQ" * 3

NAMED_CANARY = "Kn4rYk4Nn9xQ" * 3
"""A text that only the name above it makes a secret."""

Act = Callable[[Context, LiveIo, Recorder], Awaitable[object]]


async def written(ctx: Context, _io: LiveIo, _rec: Recorder) -> None:
    ctx.write("safe", {"nested": [CANARY]})


async def written_as_key(ctx: Context, _io: LiveIo, _rec: Recorder) -> None:
    ctx.write(f"key of {CANARY}", 1)


async def returned(_ctx: Context, _io: LiveIo, _rec: Recorder) -> object:
    return {"value": CANARY}


async def emitted(_ctx: Context, _io: LiveIo, rec: Recorder) -> None:
    await rec.emit("event", CANARY)


async def emitted_as_name(_ctx: Context, _io: LiveIo, rec: Recorder) -> None:
    await rec.emit(CANARY)


async def described(_ctx: Context, _io: LiveIo, rec: Recorder) -> None:
    await rec.artifact("Output", b"clean", {"origin": CANARY})


async def named_as_kind(_ctx: Context, _io: LiveIo, rec: Recorder) -> None:
    await rec.artifact(CANARY, b"clean")


async def asked(_ctx: Context, io: LiveIo, _rec: Recorder) -> None:
    await io.call(IoCall("outside", {"name": "a", "note": CANARY}, "key"))


async def asked_under(_ctx: Context, io: LiveIo, _rec: Recorder) -> None:
    await io.call(IoCall("outside", {"name": "a"}, CANARY))


async def asked_of(_ctx: Context, io: LiveIo, _rec: Recorder) -> None:
    await io.call(IoCall(CANARY, {"name": "a"}, "key"))


async def applied_under(_ctx: Context, io: LiveIo, _rec: Recorder) -> None:
    await io.call(IoCall("outside", {"name": "a", "write": True}, "key", CANARY))


async def recorded(_ctx: Context, io: LiveIo, _rec: Recorder) -> None:
    await io.record_value("key", [CANARY])


async def recorded_under(_ctx: Context, io: LiveIo, _rec: Recorder) -> None:
    await io.record_value(CANARY, 1)


async def drawn_under(_ctx: Context, io: LiveIo, _rec: Recorder) -> None:
    await io.now(CANARY)


async def raised(_ctx: Context, _io: LiveIo, _rec: Recorder) -> None:
    raise ValueError(CANARY)


async def failed(_ctx: Context, _io: LiveIo, _rec: Recorder) -> None:
    raise StateFailure("broke", f"with {CANARY}", details={"token": CANARY})


async def written_under_its_name(ctx: Context, _io: LiveIo, _rec: Recorder) -> None:
    ctx.write("db_password", NAMED_CANARY)


async def recorded_under_its_name(_ctx: Context, io: LiveIo, _rec: Recorder) -> None:
    await io.record_value("api token", NAMED_CANARY)


async def listed_under_its_name(_ctx: Context, io: LiveIo, _rec: Recorder) -> None:
    await io.record_value("passwords", ["env:A", NAMED_CANARY])


async def emitted_under_its_name(_ctx: Context, _io: LiveIo, rec: Recorder) -> None:
    await rec.emit("session_token", NAMED_CANARY)


async def described_under_its_name(_ctx: Context, _io: LiveIo, rec: Recorder) -> None:
    await rec.artifact("ApiKey", b"clean", NAMED_CANARY)


async def defaulted_under_its_name(_ctx: Context, io: LiveIo, _rec: Recorder) -> None:
    await io.wait("client_secret", timeout_ms=5, default=NAMED_CANARY)


ACTS = {act.__name__: act for act in (
    written, written_as_key, returned, emitted, emitted_as_name, described, named_as_kind, asked, asked_under,
    asked_of, applied_under, recorded, recorded_under, drawn_under, raised, failed,
    written_under_its_name, recorded_under_its_name, listed_under_its_name, emitted_under_its_name,
    described_under_its_name, defaulted_under_its_name,
)}  # fmt: skip


def plan_of(act: Act) -> Callable[[], Plan]:
    async def only(ctx: Context, io: LiveIo, rec: Recorder) -> Any:
        return await act(ctx, io, rec)

    return single(only, side_effects="apply_side_effect")


async def told(world: World) -> list[tuple[str, bytes]]:
    """Everything that surfaces give out about the run, beside what is stored."""
    app = world.process()
    reader = app.runs.read
    answers = (reader.report(RUN_ID), reader.why(RUN_ID), reader.result(RUN_ID), reader.context(RUN_ID))
    names = ("report", "why", "result", "context")
    pairs = [(name, msgspec.json.encode(await answer)) for name, answer in zip(names, answers, strict=True)]
    for verb, given in (("run.status", {"run": RUN_ID}), ("run.events", {"run": RUN_ID}), ("run.list", {})):
        answered = await app.client(local_principal("ada")).call(verb, given)
        pairs.append((verb, msgspec.json.encode(answered)))
    return pairs


@pytest.mark.parametrize("profile", ["Minimal", "Verbose"])
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_canary_in_a_slot_of_a_handler_stands_nowhere(
    act: Act,
    profile: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """I13, P17, M17."""
    caplog.set_level(logging.DEBUG)

    async def scenario() -> None:
        world = World(plan_of(act), config=RunConfig(event_profile=profile))
        await world.live()
        assert world.result is not None
        assert world.result.phase == "failed"
        places = await dump(world.process().store) + await told(world)
        # The name of a secret may be told; `CANARY` holds what `NAMED_CANARY` is.
        check_absent([NAMED_CANARY.encode()], [*places, ("the logs", caplog.text.encode())])

    run(scenario())


SLOTS: dict[str, dict[str, Any]] = {
    "input": {"given": {"value": [CANARY]}},
    "input name": {"given": {CANARY: 1}},
    "input under its name": {"given": {"access_key": NAMED_CANARY}},
    "configuration": {"config": RunConfig(skip_tags=(CANARY,))},
}


@pytest.mark.parametrize("slot", SLOTS.values(), ids=SLOTS)
def test_a_canary_in_a_slot_of_a_start_is_refused_and_nothing_is_stored(slot: dict[str, Any]) -> None:
    """I13, P17: no run, no artifact, and no canary in the error."""

    async def scenario() -> None:
        world = World(plan_of(emitted), **slot)
        with pytest.raises(InterlockError) as caught:
            await world.live()
        assert caught.value.code == "secrets_detected"
        fault = f"{caught.value} {caught.value.details} {caught.value.advice}"
        check_absent([NAMED_CANARY.encode()], [("the error", fault.encode())])
        assert await dump(world.process().store) == []

    run(scenario())


def test_what_a_state_returns_is_searched_under_the_name_of_the_state() -> None:
    """I13, P17: what a state named `password` returns is refused as the member of an object would be."""
    plan = Plan("demo")

    @plan.state
    async def password() -> str:
        return NAMED_CANARY

    async def scenario() -> None:
        world = World(lambda: plan)
        await world.live()
        assert world.result is not None
        assert world.result.error is not None
        assert world.result.error.code == "secrets_detected"
        check_absent([NAMED_CANARY.encode()], await dump(world.process().store) + await told(world))

    run(scenario())


STAND_INS = {
    "a reference": "env:DB_PASSWORD",
    "a placeholder": "${DB_PASSWORD}",
    "a digest": "sha256:" + "9f86d081884c7d65" * 4,
    "nothing": "",
    "a truth": True,
    "an object": {"rotated_at_ms": 5, "by": "ada"},
}


@pytest.mark.parametrize("value", STAND_INS.values(), ids=STAND_INS)
def test_what_only_stands_for_a_secret_may_be_kept_under_its_name(value: Any) -> None:
    """I13: the net has holes of the right size."""

    async def kept(ctx: Context, io: LiveIo, rec: Recorder) -> None:
        ctx.write("db_password", value)
        ctx.write("next_page_token", NAMED_CANARY)
        ctx.write("password_policy", "at least twelve letters")
        await io.record_value("api token", value)
        await rec.emit("session_token", value)
        await rec.emit("password_changed", "by ada")

    async def scenario() -> None:
        world = World(single(kept), given={"access_key": value})
        await world.live()
        assert world.result is not None
        assert world.result.phase == "completed"

    run(scenario())


@pytest.mark.parametrize("slot", ["result", "reason"])
def test_a_canary_in_a_decision_of_an_operator_is_refused(slot: str) -> None:
    """I13, P17."""

    async def scenario() -> None:
        world = World(unkeyed, faults=lambda outside: outside.fail("pay", TIMED_OUT))
        await world.live()
        adopt, reason = ({"v": CANARY}, "I looked") if slot == "result" else ({}, f"I saw {CANARY}")
        runs = world.process().runs
        with pytest.raises(InterlockError, match="secrets_detected"):
            await runs.control.resolve(
                RUN_ID, "pay", e.Resolution.ADOPT, reason, adopt=adopt, principal=local_principal("ada")
            )
        check_absent([CANARY.encode()], await dump(world.process().store))

    run(scenario())


def test_an_adopted_result_is_searched_under_the_key_of_its_effect() -> None:
    """I13, P17."""

    async def pay(io: LiveIo) -> None:
        await io.call(IoCall("outside", {"name": "pay", "write": True}, "api_token"))

    async def scenario() -> None:
        plan = single(pay, side_effects="apply_side_effect")
        world = World(plan, faults=lambda outside: outside.fail("pay", TIMED_OUT))
        await world.live()
        runs = world.process().runs
        ada = local_principal("ada")
        with pytest.raises(InterlockError, match="secrets_detected"):
            await runs.control.resolve(
                RUN_ID, "only", e.Resolution.ADOPT, "I looked", adopt=NAMED_CANARY, principal=ada
            )
        with pytest.raises(InterlockError, match="secrets_detected"):
            await runs.control.signal(RUN_ID, "only", "client_secret", NAMED_CANARY, principal=ada)
        check_absent([NAMED_CANARY.encode()], await dump(world.process().store))

    run(scenario())


def test_a_canary_in_an_answer_of_the_outside_is_not_recorded() -> None:
    """I13, P17."""

    async def only(io: LiveIo) -> None:
        await io.call(IoCall("outside", {"name": "echo"}, "key"))

    async def scenario() -> None:
        world = World(single(only))
        world.outside.answers["echo"] = {"name": CANARY}
        await world.live()
        assert world.outside.count("echo") == 1
        check_absent([CANARY.encode()], await dump(world.process().store) + await told(world))

    run(scenario())


def test_a_canary_in_the_address_of_a_source_is_refused() -> None:
    """I13: what names the plan is recorded, too."""

    async def scenario() -> None:
        world = World(plan_of(emitted))
        app = world.process()
        with pytest.raises(InterlockError, match="secrets_detected"):
            await app.runs.start(world.plan(), run_id=RUN_ID, source=f"{CANARY}.module:plan", detach=True)
        check_absent([CANARY.encode()], await dump(app.store))

    run(scenario())


def test_a_canary_that_does_stand_somewhere_is_found() -> None:
    """I13: the check itself."""
    with pytest.raises(InvariantBroken, match=r"I13 .* data x#1") as caught:
        check_absent([b"not here", CANARY.encode()], [("artifact", b"clean"), ("data x#1", CANARY.encode())])
    assert CANARY not in str(caught.value)
