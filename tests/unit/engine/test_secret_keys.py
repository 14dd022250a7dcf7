"""Keys of secret answers: missing, wrong, changed; and what a state may store as sealed."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from interlock.app import App
from interlock.base.canonical import canonical
from interlock.base.errors import InterlockError
from interlock.base.keyring import key_id, unseal_under
from interlock.base.sealed import seal
from interlock.engine import events as e
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.io.live import LiveIo
from interlock.engine.io.surface import IoCall
from interlock.testing.loop import run
from tests.simulation.crashes import RUN_ID, World, error_of, facts, records
from tests.simulation.plans import single
from tests.unit.engine.lives import phase
from tests.unit.engine.secret_lives import (
    ANSWER,
    CANARY,
    EFFECT,
    KEY,
    OTHER_KEY,
    VARIABLE,
    answering,
    ask,
    leaves_no_trace,
    lived,
    sealed_in,
    stored,
)


@pytest.fixture
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY.hex())


@pytest.mark.parametrize("options", [{}, EFFECT], ids=["read", "effect"])
@pytest.mark.parametrize(
    ("value", "code"),
    [(None, "secret_key_missing"), ("", "secret_key_missing"), ("00" * 31, "secret_key_invalid")],
)
def test_without_a_key_a_secret_call_is_not_sent(
    value: str | None, code: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)

    async def only(io: LiveIo) -> bool:
        return bool((await io.call(ask(write=bool(options)))).response.reveal() == ANSWER)

    async def scenario() -> None:
        world = answering(single(only, **options))
        await stopped(world, code)
        assert world.outside.count("lease") == 0
        assert not any(isinstance(record, e.EffectIntended | e.StateFailed) for record in records(world.log))

        monkeypatch.setenv(VARIABLE, KEY.hex())
        await world.live()
        assert (await world.context(), world.outside.count("lease")) == ({"only": True}, 1)

    run(scenario())


async def stopped(world: World, code: str) -> None:
    """One life that ends with an error of this code, which no text of the answer or of a key stands in."""
    with pytest.raises(InterlockError) as caught:
        await world.live()
    told = f"{caught.value} {caught.value.details} {caught.value.advice}"
    assert caught.value.code == code
    assert not [part for part in (CANARY, KEY.hex(), OTHER_KEY.hex(), "00" * 31) if part in told]
    await world.check()


def two_states() -> Plan:
    """A call in one state, and the same in the next, where a process may die between them."""
    plan = Plan("demo")

    @plan.state
    async def one(io: LiveIo) -> None:
        await io.call(ask())

    @plan.state(after=[one])
    async def two(io: LiveIo, rec: Recorder) -> bool:
        await rec.emit("asked")
        return bool((await io.call(ask())).response.reveal() == ANSWER)

    return plan


async def half_way(patch: pytest.MonkeyPatch, then: str | None, **engine: Any) -> World:
    """A run whose first process died when the answer was recorded; what comes after it has the key `then`."""
    patch.setenv(VARIABLE, KEY.hex())
    number = 0
    while True:
        number += 1
        world = answering(two_states, settings={"engine": engine})
        await world.live(crash_at=number)
        if facts(world.log):
            break
    if then is None:
        patch.delenv(VARIABLE)
    else:
        patch.setenv(VARIABLE, then)
    return world


def went_on(key: str | None, patch: pytest.MonkeyPatch, **engine: Any) -> World:
    """A run whose second process has another key than the first."""

    async def scenario() -> World:
        world = await half_way(patch, key, **engine)
        await world.live()
        return world

    return run(scenario())


def test_the_key_of_the_recording_process_opens_the_answer_in_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    world = went_on(KEY.hex(), monkeypatch)

    assert (phase(world), world.outside.count("lease")) == ("completed", 1)


@pytest.mark.parametrize("key", [OTHER_KEY.hex(), None], ids=["another", "none"])
def test_without_the_right_key_a_recorded_answer_is_an_error_and_never_garbage(
    key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        world = await half_way(monkeypatch, key)
        await stopped(world, "secret_key_unknown")
        assert error_of(world) in (None, "orphan_attempt_recovered")  # of the crash, never of the state
        await leaves_no_trace(world)

        monkeypatch.setenv(VARIABLE, KEY.hex())
        await world.live()
        assert (phase(world), world.outside.count("lease")) == ("completed", 1)

    run(scenario())


def test_after_a_change_of_keys_earlier_answers_open_under_the_former_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETIRED_KEY", KEY.hex())
    world = went_on(OTHER_KEY.hex(), monkeypatch, former_secret_keys=["env:NEVER_SET", "env:RETIRED_KEY"])

    assert phase(world) == "completed"


def test_new_answers_are_sealed_under_the_present_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETIRED_KEY", KEY.hex())
    monkeypatch.setenv("PRESENT_KEY", OTHER_KEY.hex())

    async def only(io: LiveIo) -> None:
        await io.call(ask())

    engine = {"secret_key": "env:PRESENT_KEY", "former_secret_keys": ["env:RETIRED_KEY"]}
    world = answering(single(only), settings={"engine": engine})
    run(world.live())

    assert run(sealed_in(world))[1:9] == key_id(OTHER_KEY)


@pytest.mark.usefixtures("_key")
def test_a_payload_that_was_put_under_another_key_of_the_run_does_not_open() -> None:
    """An answer that is moved to another question by whoever can write the store is no answer there."""

    async def only(io: LiveIo) -> None:
        await io.call(ask(key="one"))
        await io.call(ask(key="two"))

    world = lived(only)
    payloads = facts(world.log)
    digest_of = {r.key: r.request_digest for r in records(world.log) if isinstance(r, e.FactRecorded)}
    sealed = run(stored(world, payloads["one"]))

    assert unseal_under([KEY], sealed, canonical(["one", digest_of["one"]])) == canonical(ANSWER)
    with pytest.raises(Exception, match="sealed_unreadable"):
        unseal_under([KEY], sealed, canonical(["two", digest_of["two"]]))


@pytest.mark.usefixtures("_key")
def test_every_artifact_is_stored_as_what_the_contract_calls_it(tmp_path: Path) -> None:
    plan = Plan("demo")

    @plan.state(side_effects="read_only_io")
    async def only(io: LiveIo, rec: Recorder) -> int:
        request = {"kind": "call_function_v1", "function": "lease"}
        await io.call(IoCall("python", request, "plain"))
        await io.call(IoCall("python", request, "sealed", secret=True))
        await rec.artifact("Output", b"an output")
        await rec.artifact("Notes of mine", b"a note")
        return 1

    async def scenario() -> None:
        async with App.open(tmp_path / "store.db", functions={"lease": lambda _: {"n": 1}}) as app:
            assert (await app.runs.start(plan, run_id=RUN_ID)).phase == "completed"

    asyncio.run(scenario())
    with closing(sqlite3.connect(tmp_path / "store.db")) as database:
        kinds = {kind for (kind,) in database.execute("SELECT kind FROM artifact")}
    contract = {"Manifest", "ContextSnapshot", "FactPayload", "SecretPayload", "Output"}
    assert kinds == contract | {"Notes of mine", "Plan"}


def storing(content: bytes) -> World:
    async def only(rec: Recorder) -> str:
        return await rec.artifact("SecretPayload", content)

    return lived(only)


@pytest.mark.usefixtures("_key")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        CANARY.encode(),
        b"\x01" + CANARY.encode() * 3,
        b"\x02" + key_id(KEY) + b"\x01" + CANARY.encode() * 3,
        seal(OTHER_KEY, CANARY.encode(), bytes(12)),
    ],
)
def test_an_artifact_that_calls_itself_sealed_and_is_not_is_refused(content: bytes) -> None:
    world = storing(content)

    assert error_of(world) == "secret_payload_plain"
    run(leaves_no_trace(world))


@pytest.mark.usefixtures("_key")
def test_an_artifact_that_is_sealed_under_the_key_is_stored() -> None:
    world = storing(seal(KEY, CANARY.encode(), bytes(12)))

    assert phase(world) == "completed"
    run(leaves_no_trace(world))


def test_without_a_key_nothing_is_taken_for_sealed() -> None:
    assert error_of(storing(seal(KEY, CANARY.encode(), bytes(12)))) == "secret_payload_plain"
