"""Events as CloudEvents: valid by the published form, and the same for every repetition."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from msgspec import Raw

from interlock.engine.io.sinks.cloud_event import cloud_event_of
from interlock.journal.subscriptions import Delivery
from tests.cloudevents import CLOUD_EVENT as PUBLISHED
from tests.cloudevents import STRUCTURED
from tests.unit.engine.io.sinks.deliveries import CLOUD_EVENT, DELIVERY, STREAM, delivery


def sent(given: Delivery) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(cloud_event_of(given).to_json())
    return event


def test_every_member_of_a_delivery_has_its_attribute() -> None:
    assert sent(DELIVERY) == {
        "specversion": "1.0",
        "id": f"{STREAM}#3",
        "source": "urn:interlock:5f0c",
        "type": "interlock.engine.run_completed",
        "subject": STREAM,
        "time": "2026-01-01T00:00:00.123Z",
        "datacontenttype": "application/json",
        "sequence": "3",
        "partitionkey": STREAM,
        "digest": "d" * 64,
        "attempt": 2,
        "redriven": False,
        "correlation": "c-1",
        "data": {"phase": "completed"},
    }


@pytest.mark.parametrize(
    ("changed", "left_out"),
    [
        ({}, set()),
        ({"data": None}, {"data", "datacontenttype"}),
        ({"correlation": None}, {"correlation"}),
        ({"at_ms": 253_402_300_800_000}, {"time"}),
        ({"at_ms": 253_402_300_799_999}, set()),
        ({"data": Raw(b"null")}, set()),
        ({"stream": "default/run/%C3%A5", "key": "default/run/%C3%A5#1"}, set()),
    ],
)
def test_an_event_has_the_published_form_and_leaves_out_what_is_not_there(
    changed: dict[str, Any], left_out: set[str]
) -> None:
    event = sent(delivery(**changed))

    CLOUD_EVENT.validate(event)
    PUBLISHED.validate(event)
    assert from_structured_event(HTTPMessage(STRUCTURED, json.dumps(event).encode())).get_id() == event["id"]
    assert set(sent(DELIVERY)) - set(event) == left_out


def test_the_schema_of_these_tests_finds_what_is_no_cloud_event() -> None:
    event = sent(DELIVERY)

    assert CLOUD_EVENT.is_valid(event)
    for wrong in ({"id": ""}, {"specversion": "0.3"}, {"time": "yesterday"}, {"Attempt": 1}, {"attempt": None}):
        assert not CLOUD_EVENT.is_valid(event | wrong)


def test_source_and_id_are_the_same_for_every_repetition() -> None:
    first, again = sent(delivery(attempt=1)), sent(delivery(attempt=9, redriven=True))

    assert (first["source"], first["id"]) == (again["source"], again["id"])
    assert (again["attempt"], again["redriven"]) == (9, True)
