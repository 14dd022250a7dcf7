"""What a server refuses is the error that the same call raises on a store."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.base.errors import Category, Conflict, InterlockError, NotFound
from interlock.client.problems import TEXT_CHARACTERS_MAX, fault_of
from interlock.engine.errors import RUN_NOT_FOUND
from interlock.surfaces.errors import INPUT_INVALID
from interlock.surfaces.http.problems import problem, status_of

CODES = {code.code: code for code in (RUN_NOT_FOUND, INPUT_INVALID)}


def told(status: int, body: Any) -> InterlockError:
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return fault_of(status, content, CODES, lambda text: text.replace("t0ken", "[token]"))


def test_what_the_server_tells_of_an_error_is_that_error() -> None:
    raised = RUN_NOT_FOUND.error("there is no such run", run_id="x", limit=3, names=["a"], more=None)
    response = problem(raised, "r-1")
    found = told(status_of(raised), bytes(response.body))

    assert isinstance(found, NotFound)
    assert (found.kind, found.message, found.advice) == (RUN_NOT_FOUND, raised.message, raised.advice)
    assert found.details == {**raised.details, "request_id": "r-1"}


def test_advice_that_names_what_it_is_about_is_kept() -> None:
    raised = RUN_NOT_FOUND.error("there is no such run").advising("List them.")

    assert told(404, bytes(problem(raised, "r-1").body)).advice == "List them."


def test_a_code_that_is_not_known_here_keeps_its_code_its_advice_and_its_category() -> None:
    found = told(409, {"code": "newer_code", "detail": "no", "advice": "Upgrade.", "retryable": True})

    assert isinstance(found, Conflict)
    assert (found.code, found.message, found.advice, found.retryable) == ("server_error", "no", "Upgrade.", True)
    assert found.details == {"code": "newer_code", "status": 409}


@pytest.mark.parametrize(
    ("status", "category", "retryable"),
    [
        (400, Category.INVALID, False),
        (401, Category.REFUSED, False),
        (403, Category.REFUSED, False),
        (404, Category.NOT_FOUND, False),
        (418, Category.INVALID, False),
        (429, Category.OVERLOADED, True),
        (500, Category.UNAVAILABLE, False),
        (502, Category.UNAVAILABLE, True),
        (503, Category.UNAVAILABLE, True),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"code": 3}', b"\xff", b"[" * 100_000])
def test_an_answer_without_problem_details_tells_its_status(
    status: int, category: Category, retryable: bool, body: bytes
) -> None:
    found = told(status, body)

    assert (found.code, found.category, found.retryable) == ("server_error", category, retryable)
    assert str(status) in found.message


def test_a_server_that_repeats_the_token_does_not_have_it_shown() -> None:
    said = "your t0ken is wrong"
    found = told(
        401,
        {"code": "t0ken", "detail": said, "advice": said, "request_id": said, "details": {said: said, "a": [said]}},
    )

    assert "t0ken" not in f"{found} {found.advice} {found.details} {found!r}"


def test_what_a_server_says_is_bounded() -> None:
    long = "x" * 100_000
    found = told(400, {"code": long, "detail": long, "advice": long, "details": {f"{i}": long for i in range(1000)}})

    assert len(found.message) == len(found.advice) == TEXT_CHARACTERS_MAX
    assert len(found.details) < 100
    assert all(not isinstance(value, str) or len(value) <= TEXT_CHARACTERS_MAX for value in found.details.values())


def test_details_of_other_kinds_are_left_out() -> None:
    found = told(400, {"code": "input_invalid", "details": {"a": {"b": 1}, "c": 1.5, "d": [1], "e": [{}], "f": True}})

    assert found.details == {"d": [1], "f": True}
