"""A run in the wire shapes of the contract, and back without loss."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw, Struct

from interlock import Plan, Recorder
from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.attempt import DomainEvent
from interlock.engine.commands import RunEvents
from interlock.engine.contract import contract_of, records_of
from interlock.engine.run_state import wait_key
from interlock.testing.app import memory_app, read_run
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import RUN_ID, World, records
from tests.simulation.histories import (
    INITIAL,
    PAYLOAD,
    A,
    B,
    claimed,
    ended,
    entered,
    full_history,
    recorded,
    snap,
    started,
)
from tests.simulation.plans import dry, failing, flaky, numbers, release, unkeyed
from tests.unit.journal.bank import CountedEvents

WAITING: list[Struct] = [
    started(),
    e.PlanRecorded(Raw(b'{"team":"core"}'), snap(80), "1", None),
    e.RunLimits(99, 2),
    claimed(1),
    entered(A, 0, INITIAL),
    entered(B, 0, INITIAL),
    e.StateSuspended(A, (e.OpenWait(PAYLOAD, 5, "signal", "go", Raw(b'{"type":"integer"}'), "0" * 64),)),
    e.DomainEmitted("seen", Raw(b'{"n":1}'), None, B),
    e.ChildRunSpawned(True, snap(81), RUN_ID, "child:one", RUN_ID, B),
    e.SignalReceived("local:ada", None, "go", PAYLOAD, A),
    e.FactRecorded(wait_key(A, "go"), "json", PAYLOAD, None),
    entered(A, 1, INITIAL),
    e.ChildRunCompleted(RUN_ID, None, e.RunStatus.CANCELLED),
    e.BranchCompleted(B, snap(82), snap(83)),
    e.StateCompleted(snap(84), B),
]


def rendered(history: list[Struct]) -> list[dict[str, Any]]:
    """As a file or another program would hold it."""
    envelopes: list[dict[str, Any]] = json.loads(json.dumps(list(contract_of(RUN_ID, recorded(history)))))
    return envelopes


@pytest.mark.parametrize("history", [full_history(), WAITING], ids=["sequential", "waiting"])
def test_a_history_comes_back_from_the_shapes_of_the_contract_as_it_was(history: list[Struct]) -> None:
    envelopes = rendered(history)

    assert list(records_of(envelopes)) == history
    assert [envelope["seq"] for envelope in envelopes] == list(range(1, len(envelopes) + 1))


def test_kernel_events_facts_and_statuses_have_the_shape_of_the_contract() -> None:
    envelopes = rendered(
        [started(), entered(A, 0, INITIAL), e.FactRecorded("k", "json", PAYLOAD, None), ended(INITIAL)]
    )

    assert envelopes[1] == {
        "run_id": RUN_ID,
        "seq": 2,
        "ts_millis": envelopes[1]["ts_millis"],
        "event": {"Kernel": {"StateEntered": {"state_id": A, "attempt": 0, "base_snapshot_id": INITIAL}}},
    }
    assert envelopes[2]["event"]["Domain"] == {
        "name": "fact_recorded",
        "payload": {"key": "k", "payload_id": PAYLOAD, "meta": {"kind": "json", "request_digest": None}},
        "payload_ref": None,
    }
    assert envelopes[3]["event"] == {"Kernel": {"RunCompleted": {"status": "Completed", "final_snapshot_id": INITIAL}}}


def test_an_attempt_that_waits_is_closed_in_a_way_that_the_contract_knows() -> None:
    closing = rendered(WAITING)[7]["event"]["Kernel"]["StateFailed"]

    assert closing["error"]["info"]["code"] == "state_suspended"
    assert closing["error"]["info"]["retryable"] is True
    assert closing["failure_snapshot_id"] is None


def test_a_domain_event_that_was_made_elsewhere_is_kept() -> None:
    envelope = {
        "run_id": RUN_ID,
        "seq": 9,
        "ts_millis": None,
        "event": {"Domain": {"name": "note", "payload": {"b": 1, "a": 2}, "payload_ref": None}},
    }

    assert list(records_of([envelope])) == [e.DomainEmitted("note", Raw(b'{"a":2,"b":1}'), None, None)]


@pytest.mark.parametrize(
    "envelope",
    [
        {},
        {"event": None},
        {"event": {"Kernel": {"StateEntered": {}}}},
        {"event": {"Kernel": {"Nothing": {}}}},
        {"event": {"Kernel": {"RunCompleted": {"status": "completed", "final_snapshot_id": None}}}},
        {"event": {"Domain": {"name": "interlock.owner_claimed", "payload": {"claim": -1}, "payload_ref": None}}},
    ],
)
def test_what_is_no_event_of_a_run_is_refused_with_its_place(envelope: dict[str, Any]) -> None:
    with pytest.raises(InterlockError, match="contract_events_invalid") as caught:
        list(records_of([envelope]))
    assert caught.value.details["seq"] == 1


@pytest.mark.parametrize("plan", [numbers, release, flaky, failing, dry, unkeyed])
def test_whatever_a_run_records_goes_both_ways(plan: Callable[[], Plan]) -> None:
    async def main() -> None:
        world = World(plan, {"start": 1})
        await world.live()
        assert world.log
        assert list(records_of(contract_of(RUN_ID, world.log))) == records(world.log)

    run(main())


def talkative() -> Plan:
    """Puts much on record."""
    plan = Plan("talk")

    @plan.state
    async def talk(rec: Recorder) -> None:
        await rec.emit_many([DomainEvent("said", number) for number in range(2_500)])

    return plan


@over_seeds(0)
async def test_a_page_of_a_long_run_does_not_read_all_of_it() -> None:
    app = memory_app()
    await app.runs.start(talkative(), run_id=RUN_ID)
    written = list(contract_of(RUN_ID, await read_run(app, RUN_ID)))
    counted = app.store.events = CountedEvents(app.store.events)
    client, read, found = app.client(local_principal("ada")), list[int](), list[Any]()
    after: int | None = 0

    while after is not None:
        counted.events_read = 0
        page = await client.call("run.events", {"run": RUN_ID, "contract": True, "after": after, "limit": 500})
        assert isinstance(page, RunEvents)
        read.append(counted.events_read)
        found += page.items
        after = page.next

    assert found == written
    assert read[0] < len(written) / 2
    assert read == sorted(read)
