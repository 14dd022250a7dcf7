"""The verbs about subscriptions, called as any surface calls them."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import pytest
from msgspec import Raw

from interlock.base.errors import InterlockError
from interlock.journal.runner import RunnerSettings
from interlock.journal.subscriptions import Subscriptions
from interlock.journal.subscriptions.commands import (
    COMMANDS,
    ROWS_SHOWN_MAX,
    DeadLetter,
    HeldStream,
    SubscriptionChanged,
    SubscriptionList,
    SubscriptionRedriven,
)
from interlock.journal.views import Views
from interlock.stores.memory import MemoryStore
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.client import Client
from interlock.surfaces.receipts.service import Receipts
from interlock.testing.loop import run
from tests.unit.journal.subscriptions.outside import ADA, Outside, Process

Service = TypeVar("Service")
ADD: dict[str, Any] = {"name": "audit", "sink": "toy", "target": {"place": "there"}}


class Given:
    """The services that the verbs ask for."""

    def __init__(self, one: Process) -> None:
        receipts = Receipts(one.journal, one.runner, RunnerSettings())
        self._services: dict[type, Any] = {
            Subscriptions: one.subscriptions,
            Views: one.views,
            Receipts: receipts,
        }

    def get(self, kind: type[Service]) -> Service:
        service: Service = self._services[kind]
        return service


def client(one: Process) -> Client:
    return Client(Catalogue(COMMANDS), ADA, Given(one))


def test_a_subscription_goes_through_its_life_by_its_verbs() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside(), attempts_max=1)
        call = client(one).call
        assert await call("subscription.add", {**ADD, "type": ["toy.*"], "kind": ["thing"]}) == (
            SubscriptionChanged("audit", changed=True)
        )
        outside.refusing("a#1")
        await one.notes("ab")
        await one.deliver()
        shown: Any = await call("subscription.show", {"name": "audit"})
        assert (shown.state, shown.reason, shown.sink, shown.target) == (
            "active",
            None,
            "toy",
            Raw(b'{"place":"there"}'),
        )
        assert (shown.kinds, shown.types, shown.held, shown.dead) == (("thing",), ("toy.*",), 0, 1)
        [letter] = shown.letters
        assert letter == DeadLetter("default/thing/a#1", 1, letter.at_ms, False, "toy_refused", "not this one")

        assert await call("subscription.redrive", {"name": "audit", "key": ["default/thing/a#1"]}) == (
            SubscriptionRedriven("audit", 1)
        )
        assert await call("subscription.pause", {"name": "audit", "reason": "why"}) == (
            SubscriptionChanged("audit", changed=True)
        )
        shown = await call("subscription.show", {"name": "audit"})
        assert (shown.state, shown.reason, shown.letters[0].redriven) == ("paused", "why", True)
        listed: Any = await call("subscription.list", {"state": "paused"})
        assert isinstance(listed, SubscriptionList)
        assert [row.name for row in listed.items] == ["audit"]
        assert (await call("subscription.list", {"state": "active"})).items == []  # type: ignore[attr-defined]
        for verb in ("resume", "remove"):
            assert await call(f"subscription.{verb}", {"name": "audit"}) == SubscriptionChanged("audit", changed=True)
        assert (await call("subscription.list", {})).items == []  # type: ignore[attr-defined]

    run(main())


def test_what_is_held_back_is_shown_up_to_a_bound_and_counted_whole() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), outside := Outside())
        await client(one).call("subscription.add", ADD)
        things = [f"t{number:03d}" for number in range(ROWS_SHOWN_MAX + 3)]
        outside.refusing(*(f"{thing}#1" for thing in things))
        for thing in things:
            await one.note(thing)
        await one.deliver()
        shown: Any = await client(one).call("subscription.show", {"name": "audit"})
        assert (shown.held, len(shown.streams)) == (ROWS_SHOWN_MAX + 3, ROWS_SHOWN_MAX)
        held = shown.streams[0]
        assert held == HeldStream(held.stream, 0, 1, 1, held.due_ms, "toy_refused", "not this one")

    run(main())


def test_a_command_id_makes_a_verb_happen_once() -> None:
    async def main() -> None:
        one = Process(MemoryStore(), Outside())
        call = client(one).call
        first = await call("subscription.add", ADD, command_id="add-1")
        await asyncio.sleep(1)
        await one.notes("a")
        assert await call("subscription.add", ADD, command_id="add-1") == first
        with pytest.raises(InterlockError, match=r"\[command_id_conflict\]"):
            await call("subscription.add", {**ADD, "target": {}}, command_id="add-1")

    run(main())


@pytest.mark.parametrize("target", [[], "text", 1, None])
def test_a_target_that_is_no_object_is_refused(target: Any) -> None:
    async def main() -> None:
        one = Process(MemoryStore(), Outside())
        with pytest.raises(InterlockError) as caught:
            await client(one).call("subscription.add", {**ADD, "target": target})
        assert caught.value.code == "sink_target_invalid"

    run(main())
