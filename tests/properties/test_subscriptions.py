"""Deliveries under any order of events, failures, waits and crashes: at least once, in order, none left out."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from interlock.base.errors import InterlockError
from interlock.journal.subscriptions import Delivery
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import run
from tests.unit.journal.subscriptions.outside import REFUSED, Outside, Process, in_order

ATTEMPTS_MAX = 3
THINGS = "abc"
Notes = st.tuples(st.just("note"), st.text(THINGS, min_size=1, max_size=5))
Steps = st.lists(
    Notes | st.tuples(st.sampled_from(["deliver", "crash", "wait"]), st.integers(0, 5_000)), min_size=1, max_size=12
)
Failures = st.dictionaries(
    st.builds("{}#{}".format, st.sampled_from(THINGS), st.integers(1, 6)), st.integers(1, 5), max_size=8
)


class Checked(Outside):
    """An outside that refuses each event as often as it is told, and checks that no event overtakes another."""

    def __init__(self, failures: dict[str, int]) -> None:
        super().__init__()
        self.left = Counter(failures)
        self.overtaken: list[str] = []
        self.behaviour = self._behave

    async def _behave(self, delivery: Delivery) -> None:
        thing, _, seq = delivery.key.removeprefix("default/thing/").partition("#")
        asked = {each.key for each in self.asked}
        if int(seq) > 1 and f"default/thing/{thing}#{int(seq) - 1}" not in asked:
            self.overtaken.append(delivery.key)
        await asyncio.sleep(0.1)
        key = f"{thing}#{seq}"
        if self.left[key] > 0:
            self.left[key] -= 1
            raise REFUSED.error("not now")


@given(Steps, Failures, st.booleans(), st.integers(0, 1_000))
def test_every_event_arrives_in_order_or_is_a_dead_letter(
    steps: list[tuple[str, str | int]], failures: dict[str, int], one_at_a_time: bool, seed: int
) -> None:
    async def main() -> None:
        store, outside = MemoryStore(), Checked(failures)
        settings: dict[str, Any] = {
            "attempts_max": ATTEMPTS_MAX,
            "concurrency": 1 if one_at_a_time else 16,
            "parked_max": 2 if one_at_a_time else 1_000,
        }
        one = Process(store.reopen(), outside, **settings)
        await one.add()
        noted, crashed = 0, False
        for kind, value in [*steps, ("note", THINGS)]:
            if kind == "note":
                await one.notes(str(value))
                noted += len(str(value))
            elif kind == "wait":
                await asyncio.sleep(int(value) / 1_000)
            elif kind == "deliver":
                await one.subscriptions.deliver_once()
            else:
                turn = asyncio.create_task(one.subscriptions.deliver_once())
                await asyncio.sleep(int(value) / 20_000)
                crashed = crashed or not turn.done()
                one.store.die()  # type: ignore[attr-defined]
                with suppress(InterlockError):
                    await turn
                one = Process(store.reopen(), outside, **settings)
        for _ in range(40):
            await one.subscriptions.deliver_once()
            await asyncio.sleep(10)

        dead = {each.key.removeprefix("default/thing/") for each in await one.letters()}
        assert len(set(outside.keys) | dead) == noted
        assert in_order(outside.keys)
        assert outside.overtaken == []
        assert (await one.progress()).lanes == {}
        if not crashed:
            expected = {key for key, failed in failures.items() if failed >= ATTEMPTS_MAX}
            assert dead == {key for key in expected if key in {each.key.rpartition("/")[2] for each in outside.asked}}
            assert len(outside.keys) == len(set(outside.keys)) == noted - len(dead)
        assert await one.findings() == []

    run(main(), seed=seed)
