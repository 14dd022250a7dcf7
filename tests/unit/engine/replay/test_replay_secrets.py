"""Replay of secret answers: opened with the key, never without it, and shown by nothing."""

from __future__ import annotations

import pytest

from interlock.base.errors import InterlockError
from interlock.engine.io.surface import Io
from interlock.testing.loop import run
from tests.simulation.plans import single
from tests.simulation.replays import replayed, told
from tests.unit.engine.secret_lives import ANSWER, KEY, OTHER_KEY, VARIABLE, answering, ask


async def uses(io: Io) -> bool:
    return bool((await io.call(ask())).response.reveal() == ANSWER)


async def asks_openly(io: Io) -> bool:
    return bool((await io.call(ask(secret=False))).response)


def test_a_sealed_answer_is_opened_again_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY.hex())

    async def scenario() -> None:
        world = answering(single(uses))
        await world.live()
        report = await replayed(world)
        openly = await replayed(world, single(asks_openly)())

        assert told(report) == {"identical": True}
        assert (await world.context()) == {"only": True}
        assert openly.divergence is not None
        assert openly.divergence.replayed == "failed: fact_is_secret"

    run(scenario())


def test_without_the_key_a_sealed_answer_ends_the_replay_and_is_no_divergence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY.hex())

    async def scenario() -> None:
        world = answering(single(uses))
        await world.live()
        monkeypatch.setenv(VARIABLE, OTHER_KEY.hex())
        with pytest.raises(InterlockError) as refused:
            await replayed(world)
        assert refused.value.code == "secret_key_unknown"

    run(scenario())
