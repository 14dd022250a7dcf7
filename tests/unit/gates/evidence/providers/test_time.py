"""The time of the trigger, which no clock tells."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from interlock.base.errors import InterlockError
from interlock.gates.evidence.providers.time import TimeConfig, TimeProvider, unix_millis
from interlock.gates.evidence.records import EvidenceAnchor
from interlock.gates.values import Logical, Timestamp, UnixMillis
from tests.unit.gates.evidence.asking import NOW_MS, ask, code_of, context, query, value_of

TIME = TimeProvider(TimeConfig())


@pytest.mark.parametrize(
    ("time", "anchor"),
    [
        (UnixMillis(NOW_MS), EvidenceAnchor("trigger_time_unix_millis", str(NOW_MS))),
        (UnixMillis(-5), EvidenceAnchor("trigger_time_unix_millis", "-5")),
        (Logical(7), EvidenceAnchor("trigger_time_logical", "7")),
    ],
)
def test_now_is_the_triggers_time_with_its_anchor(time: Timestamp, anchor: EvidenceAnchor) -> None:
    answered = ask(TIME, query("time", "now"), context(time))

    assert value_of(answered) == time.value
    assert answered.result.evidence_anchor == anchor
    assert answered.result.content_type == "application/json"
    assert (answered.observed_ms, answered.calls) == (None, ())


@pytest.mark.parametrize(
    ("check", "time", "threshold", "holds"),
    [
        ("after", UnixMillis(10), 9, True),
        ("after", UnixMillis(10), 10, False),
        ("after", UnixMillis(10), 11, False),
        ("before", UnixMillis(10), 11, True),
        ("before", UnixMillis(10), 10, False),
        ("before", UnixMillis(10), 9, False),
        ("after", UnixMillis(-10), -11, True),
        ("after", Logical(10), 9, True),
        ("before", Logical(10), 10, False),
        ("after", UnixMillis(NOW_MS), "2023-11-14T22:13:19.999Z", True),
        ("after", UnixMillis(NOW_MS), "2023-11-14T22:13:20Z", False),
        ("before", UnixMillis(NOW_MS), "2023-11-15T00:13:20.0019+02:00", True),
    ],
)
def test_a_threshold_does_not_count_itself(check: str, time: Timestamp, threshold: Any, holds: bool) -> None:
    answered = ask(TIME, query("time", check, {"timestamp": threshold}), context(time))

    assert value_of(answered) is holds


@pytest.mark.parametrize(
    ("time", "threshold"),
    [
        (Logical(1), -1),
        (Logical(1), "2023-11-14T22:13:20Z"),
        *(
            (UnixMillis(1), text)
            for text in ("", "yesterday", "2023-11-14", "2023-11-14T22:13:20", "2023-02-30T00:00:00Z")
        ),
        *((UnixMillis(1), text) for text in ("2023-11-14T24:00:01Z", "2023-11-14T22:13:60Z", "٢٠٢٣-11-14T22:13:20Z")),
    ],
)
def test_a_threshold_of_another_kind_is_an_error_that_keeps_its_anchor(time: Timestamp, threshold: Any) -> None:
    answered = ask(TIME, query("time", "after", {"timestamp": threshold}), context(time))

    assert code_of(answered) == "provider_error"
    assert answered.result.evidence_anchor is not None


def test_logical_times_are_answered_only_where_they_may_be() -> None:
    answered = ask(TimeProvider(TimeConfig(allow_logical=False)), query("time", "now"), context(Logical(3)))

    assert code_of(answered) == "provider_error"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        (UNSET, "params_missing"),
        ({}, "params_invalid"),
        ({"timestamp": True}, "params_invalid"),
        ({"timestamp": 1.5}, "params_invalid"),
        ({"timestamp": 1, "more": 2}, "params_invalid"),
    ],
)
def test_params_that_are_none_are_refused(params: Any, code: str) -> None:
    with pytest.raises(InterlockError) as caught:
        ask(TIME, query("time", "after", params))

    assert caught.value.code == code


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001 - the zone is drawn beside it
def test_a_date_time_is_its_instant_whatever_its_zone(time: datetime, minutes: int) -> None:
    instant = time.replace(tzinfo=UTC)
    sign, away = ("+" if minutes >= 0 else "-"), abs(minutes)
    text = f"{time.isoformat(timespec='microseconds')}{sign}{away // 60:02}:{away % 60:02}"

    whole = (instant.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    assert unix_millis(text) == int(whole) * 1000 - minutes * 60_000 + time.microsecond // 1000
