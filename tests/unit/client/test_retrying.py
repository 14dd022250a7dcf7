"""When a request is sent again: only after what was certainly not done, and within bounds."""

from __future__ import annotations

import pytest

from interlock.base.errors import InterlockError
from interlock.client.errors import CLIENT_CONNECT_FAILED, CLIENT_CONNECTION_LOST, CLIENT_TIMEOUT, SERVER_ERROR
from interlock.client.retrying import Failure, Retrying, retry_after_ms

ENTROPY = bytes(8)
REFUSED = SERVER_ERROR.error("busy")


def wait(fault: Failure, attempt: int = 1, spent_ms: int = 0, **more: int) -> int | None:
    return Retrying(**more).wait_ms(attempt, spent_ms, fault, ENTROPY)


def failed(error: InterlockError) -> Failure:
    return Failure(error, may_repeat=True)


def test_no_connection_is_tried_again_after_a_growing_pause() -> None:
    fault = failed(CLIENT_CONNECT_FAILED.error("no"))

    assert [wait(fault, attempt) for attempt in (1, 2, 3, 4)] == [50, 100, 200, None]


@pytest.mark.parametrize("kind", [CLIENT_CONNECTION_LOST, CLIENT_TIMEOUT])
def test_what_may_have_been_done_is_not_sent_again(kind: object) -> None:
    assert wait(failed(kind.error("lost"))) is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("status", "after_ms", "waited"),
    [(503, 1000, 1050), (429, 0, 50), (503, None, None), (500, 1000, None), (409, 1000, None), (502, 1000, None)],
)
def test_a_refusal_is_sent_again_when_it_says_when(status: int, after_ms: int | None, waited: int | None) -> None:
    assert wait(Failure(REFUSED, may_repeat=True, status=status, retry_after_ms=after_ms)) == waited


def test_what_may_not_be_repeated_is_not() -> None:
    assert wait(Failure(REFUSED, may_repeat=False, status=503, retry_after_ms=0)) is None


def test_attempts_and_time_are_bounded() -> None:
    fault = Failure(REFUSED, may_repeat=True, status=503, retry_after_ms=1000)

    assert wait(fault, attempts_max=1) is None
    assert wait(fault, spent_ms=500, total_ms_max=1549) is None
    assert wait(fault, spent_ms=500, total_ms_max=1550) == 1050


@pytest.mark.parametrize(
    ("text", "wait_ms"),
    [("0", 0), ("7", 7000), (None, None), ("", None), ("-1", None), ("1.5", None), ("²", None), ("9" * 7, None)],
)
def test_the_header_is_a_number_of_seconds(text: str | None, wait_ms: int | None) -> None:
    assert retry_after_ms(text) == wait_ms
    assert retry_after_ms("Fri, 27 Nov 2026 13:00:00 GMT") is None
