"""The error tree: a code decides class and advice, and an error survives being passed on."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from interlock.base import errors
from interlock.base.errors import Category, ErrorCode, InterlockError

CLASSES = {
    Category.FAILED: errors.Failed,
    Category.INVALID: errors.Invalid,
    Category.NOT_FOUND: errors.NotFound,
    Category.CONFLICT: errors.Conflict,
    Category.REFUSED: errors.Refused,
    Category.OVERLOADED: errors.RateLimited,
    Category.CORRUPT: errors.Corruption,
    Category.STORAGE: errors.StorageFailure,
    Category.UNAVAILABLE: errors.Unavailable,
}
BUSY = ErrorCode("queue_full", Category.OVERLOADED, "Ask again later.", retryable=True)


@pytest.mark.parametrize("category", Category)
def test_a_caller_catches_by_category(category: Category) -> None:
    raised = ErrorCode("some_code", category, "Do this.").error("it went wrong")

    assert type(raised) is CLASSES[category]
    assert isinstance(raised, InterlockError)
    assert (raised.code, raised.category) == ("some_code", category)


def test_an_error_carries_what_a_program_needs_to_decide() -> None:
    raised = BUSY.error("the queue is full", retry_after_ms=250)

    assert raised.retryable
    assert not ErrorCode("other", Category.INVALID, "Do this.").error("no").retryable
    assert raised.details == {"retry_after_ms": 250}
    assert raised.advice == "Ask again later."


def test_people_see_message_and_code() -> None:
    assert str(BUSY.error("the queue is full", retry_after_ms=250)) == "the queue is full [queue_full]"


@pytest.mark.parametrize("passed_on", [copy.copy, copy.deepcopy])
def test_an_error_passed_on_stays_what_it_is(passed_on: Callable[[InterlockError], InterlockError]) -> None:
    raised = BUSY.error("the queue is full", retry_after_ms=250)
    received = passed_on(raised)

    assert type(received) is errors.RateLimited
    assert (received.kind, received.message, received.details) == (BUSY, raised.message, raised.details)


def test_two_errors_of_one_code_do_not_share_details() -> None:
    first, second = BUSY.error("full"), BUSY.error("full")
    first.details["queue"] = "a"

    assert second.details == {}
