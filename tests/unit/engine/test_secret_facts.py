"""Calls whose answer is secret: recorded as ciphertext, opened again by whoever goes on, written down by nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from interlock.app import App
from interlock.base.canonical import canonical, digest
from interlock.base.keyring import key_id, unseal_under
from interlock.base.principal import local_principal
from interlock.base.secrets import SecretValue
from interlock.engine import events as e
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy
from interlock.engine.context import Context
from interlock.engine.errors import StateFailure
from interlock.engine.io.live import LiveIo
from interlock.engine.io.surface import IoCall
from interlock.testing.app import dump
from interlock.testing.checker import check_absent
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import RUN_ID, World, error_of, facts, records
from tests.simulation.outside import TIMED_OUT
from tests.simulation.plans import single
from tests.unit.engine.lives import phase
from tests.unit.engine.secret_lives import (
    ANSWER,
    CANARY,
    EFFECT,
    KEY,
    VARIABLE,
    answering,
    ask,
    leaves_no_trace,
    lived,
    sealed_in,
)


@pytest.fixture
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY.hex())


@pytest.mark.usefixtures("_key")
def test_a_secret_answer_is_usable_and_stands_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[Any] = []

    async def only(io: LiveIo) -> int:
        answer = await io.call(ask())
        assert isinstance(answer.response, SecretValue)
        assert CANARY not in f"{answer!r} {answer}"
        seen.append([answer.response.reveal(), answer.recorded_payload_id])
        return 1

    world = lived(only)

    assert phase(world) == "completed"
    assert seen == [[ANSWER, facts(world.log)["leased"]]]
    run(leaves_no_trace(world, ("the logs", caplog.text.encode())))


@pytest.mark.usefixtures("_key")
def test_what_is_recorded_is_ciphertext_bound_to_its_question() -> None:
    async def only(io: LiveIo) -> None:
        await io.call(ask())

    world = lived(only)
    [fact] = [record for record in records(world.log) if isinstance(record, e.FactRecorded)]
    sealed = run(sealed_in(world))

    assert fact.kind == "secret"
    assert fact.request_digest == digest(b"outside\n" + canonical({"name": "lease"}))
    assert sealed[1:9] == key_id(KEY)
    assert unseal_under([KEY], sealed, canonical(["leased", fact.request_digest])) == canonical(ANSWER)


@pytest.mark.usefixtures("_key")
def test_one_answer_is_sealed_otherwise_each_time() -> None:
    async def only(io: LiveIo) -> None:
        await io.call(ask(key="one"))
        await io.call(ask(key="two"))

    world = lived(only)

    assert facts(world.log)["one"] != facts(world.log)["two"]


@over_seeds(2)
async def test_another_call_an_attempt_and_a_process_get_the_recorded_answer_again() -> None:
    seen: list[Any] = []
    attempts: list[int] = []

    def plan() -> Plan:
        plan = Plan("demo")

        @plan.state(retry=RetryPolicy.fixed(2))
        async def one(io: LiveIo) -> None:
            seen.extend([(await io.call(ask())).response.reveal() for _ in range(2)])
            attempts.append(1)
            if len(attempts) == 1:
                raise StateFailure("again", "once more", retryable=True)

        @plan.state(after=[one])
        async def two(io: LiveIo) -> None:
            seen.append((await io.call(ask())).response.reveal())

        return plan

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, KEY.hex())
        world = answering(plan)
        await world.live(crash_on="send:after")
        assert not facts(world.log)
        await world.live()

    assert phase(world) == "completed"
    assert seen == [ANSWER] * 5
    assert world.outside.count("lease") == 2  # the first answer died with its process, unrecorded


async def dumped(world: World) -> list[tuple[str, bytes]]:
    return await dump(world.process().store)


@pytest.mark.usefixtures("_key")
def test_an_answer_that_the_scan_would_refuse_can_be_recorded_as_a_secret() -> None:
    token = "ghp" + "_" + "a1B2c3D4e5F6" * 3

    async def only(io: LiveIo) -> bool:
        return bool((await io.call(ask("token"))).response.reveal() == {"token": token})

    world = World(single(only))
    world.outside.answers["token"] = {"token": token}
    run(world.live())

    assert run(world.context()) == {"only": True}
    check_absent([token.encode()], run(dumped(world)))


@pytest.mark.usefixtures("_key")
def test_a_revealed_value_is_a_copy() -> None:
    async def only(io: LiveIo) -> bool:
        answer = await io.call(ask())
        answer.response.reveal()["value"].clear()
        return bool(answer.response.reveal() == ANSWER)

    assert run(lived(only).context()) == {"only": True}


Act = Callable[[Context, LiveIo, Recorder, Any], Awaitable[object]]


async def written(ctx: Context, _io: LiveIo, _rec: Recorder, answer: Any) -> None:
    ctx.write("kept", {"it": [answer.response]})


async def written_whole(ctx: Context, _io: LiveIo, _rec: Recorder, answer: Any) -> None:
    ctx.write("kept", answer)


async def returned(_ctx: Context, _io: LiveIo, _rec: Recorder, answer: Any) -> object:
    return answer.response


async def emitted(_ctx: Context, _io: LiveIo, rec: Recorder, answer: Any) -> None:
    await rec.emit("event", {"it": answer.response})


async def described(_ctx: Context, _io: LiveIo, rec: Recorder, answer: Any) -> None:
    await rec.artifact("Output", b"clean", {"it": answer.response})


async def recorded(_ctx: Context, io: LiveIo, _rec: Recorder, answer: Any) -> None:
    await io.record_value("other", answer.response)


async def sent_on(_ctx: Context, io: LiveIo, _rec: Recorder, answer: Any) -> None:
    await io.call(IoCall("outside", {"name": "other", "with": answer.response}, "other"))


async def formatted(_ctx: Context, _io: LiveIo, rec: Recorder, answer: Any) -> None:
    await rec.emit("event", f"got {answer.response}")


async def compared(_ctx: Context, _io: LiveIo, _rec: Recorder, answer: Any) -> object:
    return bool(answer.response == ANSWER)


async def named_in_a_failure(_ctx: Context, _io: LiveIo, _rec: Recorder, answer: Any) -> None:
    raise StateFailure("broke", "no", details={"it": answer.response})


ACTS = {act.__name__: act for act in (
    written, written_whole, returned, emitted, described, recorded, sent_on, formatted, compared, named_in_a_failure,
)}  # fmt: skip


@pytest.mark.usefixtures("_key")
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_nothing_takes_a_secret_answer_that_would_write_it_down(act: Act, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def only(ctx: Context, io: LiveIo, rec: Recorder) -> Any:
        return await act(ctx, io, rec, await io.call(ask()))

    world = lived(only)

    assert phase(world) == "failed"
    assert world.outside.count("other") == 0
    run(leaves_no_trace(world, ("the logs", caplog.text.encode())))


def test_an_answer_that_is_not_recorded_needs_no_key_and_is_wrapped_too() -> None:
    async def only(io: LiveIo) -> bool:
        answer = await io.call(ask(key=None))
        assert answer.recorded_payload_id is None
        return isinstance(answer.response, SecretValue) and answer.response.reveal() == ANSWER

    world = lived(only)

    assert run(world.context()) == {"only": True}
    run(leaves_no_trace(world))


@pytest.mark.usefixtures("_key")
def test_a_secret_answer_is_not_handed_out_to_a_call_that_says_nothing_of_it() -> None:
    async def only(io: LiveIo) -> None:
        await io.call(ask())
        await io.call(ask(secret=False))

    assert error_of(lived(only)) == "fact_is_secret"


@pytest.mark.usefixtures("_key")
def test_a_plain_answer_that_is_asked_for_as_a_secret_is_wrapped() -> None:
    async def only(io: LiveIo) -> bool:
        await io.call(ask("plain", secret=False))
        answer = await io.call(ask("plain"))
        return isinstance(answer.response, SecretValue)

    assert run(lived(only).context()) == {"only": True}


@pytest.mark.usefixtures("_key")
def test_a_secret_fact_answers_no_other_request() -> None:
    async def only(io: LiveIo) -> None:
        await io.call(ask())
        await io.call(ask("other"))

    assert error_of(lived(only)) == "fact_request_mismatch"


@pytest.mark.usefixtures("_key")
def test_an_effect_with_a_secret_answer_is_intended_and_sent_once() -> None:
    async def only(io: LiveIo) -> bool:
        return bool((await io.call(ask(write=True))).response.reveal() == ANSWER)

    world = lived(only, **EFFECT)

    assert run(world.context()) == {"only": True}
    assert [type(r) for r in records(world.log) if isinstance(r, e.EffectIntended | e.FactRecorded)] == [
        e.EffectIntended,
        e.FactRecorded,
    ]
    run(leaves_no_trace(world))


@pytest.mark.usefixtures("_key")
def test_what_an_operator_adopts_for_a_secret_call_is_handed_out_in_the_wrapper() -> None:
    async def only(io: LiveIo) -> bool:
        answer = await io.call(ask(write=True))
        return isinstance(answer.response, SecretValue) and answer.response.reveal() == {"adopted": True}

    async def scenario() -> World:
        world = answering(single(only, **EFFECT), faults=lambda outside: outside.fail("lease", TIMED_OUT))
        await world.live()
        runs, ada = world.process().runs, local_principal("ada")
        await runs.control.resolve(
            RUN_ID, "only", e.Resolution.ADOPT, "I looked", adopt={"adopted": True}, principal=ada
        )
        await world.live()
        assert await world.context() == {"only": True}
        return world

    assert phase(run(scenario())) == "completed"


@pytest.mark.usefixtures("_key")
@pytest.mark.parametrize("times", [1, 20_000], ids=["in the database", "in a file of its own"])
def test_no_file_of_a_store_holds_a_secret_answer_while_it_is_used_or_afterwards(tmp_path: Path, times: int) -> None:
    answer = {"value": CANARY * times}
    plan = Plan("demo")

    @plan.state(side_effects="read_only_io")
    async def only(io: LiveIo) -> bool:
        request = {"kind": "call_function_v1", "function": "lease"}
        got = await io.call(IoCall("python", request, "leased", secret=True))
        look()
        return bool(got.response.reveal() == answer)

    looks: list[int] = []

    def look() -> None:
        contents = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
        assert not any(b"quiet river" in content for content in contents)
        looks.append(sum(map(len, contents)))

    async def scenario() -> None:
        async with App.open(tmp_path / "store.db", functions={"lease": lambda _: answer}) as app:
            result = await app.runs.start(plan, run_id=RUN_ID)
            assert await app.runs.read.context(result.run_id) == {"only": True}
        look()

    asyncio.run(scenario())
    assert len(looks) == 2
    assert looks[-1] > len(CANARY) * times
