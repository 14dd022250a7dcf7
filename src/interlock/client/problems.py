"""What a server refuses, as the error that the same call raises on a store of this machine.

What it does: makes an `InterlockError` of the problem details of an answer. What it does not do: it decides no retry.

Rules: a code that some part declares is that code; any other is `server_error`, whose category follows from the status
and which keeps code and advice in its own; what the server says is bounded, and never repeats the token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlock.base.errors import Category, Detail, ErrorCode, InterlockError
from interlock.base.ids import shown
from interlock.client.errors import SERVER_ERROR

TEXT_CHARACTERS_MAX: Final = 4_000
DETAILS_MAX: Final = 50
_STATUS: Final[Mapping[int, Category]] = {
    400: Category.INVALID,
    401: Category.REFUSED,
    403: Category.REFUSED,
    404: Category.NOT_FOUND,
    405: Category.INVALID,
    409: Category.CONFLICT,
    412: Category.CONFLICT,
    413: Category.INVALID,
    415: Category.INVALID,
    422: Category.FAILED,
    429: Category.OVERLOADED,
}
_ASK_AGAIN: Final = {408, 429, 502, 503, 504}


class _Problem(Struct, frozen=True):
    """The members of problem details that count."""

    code: str = ""
    detail: str = ""
    advice: str = ""
    request_id: str = ""
    retryable: bool | None = None
    details: dict[str, Any] = {}


def fault_of(status: int, body: bytes, codes: Mapping[str, ErrorCode], hide: Callable[[str], str]) -> InterlockError:
    """The error that an answer of this status tells; `hide` takes the token out of a text."""
    try:
        found = msgspec.json.decode(body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = _Problem()

    def said(text: str) -> str:
        return hide(text[:TEXT_CHARACTERS_MAX])

    message = said(found.detail) or f"the server answered with status {status}"
    details = _details(found, said)
    kind = codes.get(found.code)
    if kind is None:
        kind = replace(
            SERVER_ERROR, category=_category(status), retryable=bool(found.retryable) or status in _ASK_AGAIN
        )
        details |= {"status": status} | ({"code": shown(said(found.code))} if found.code else {})
    error = kind.error(message, **details)
    return error if not found.advice or found.advice == kind.advice else error.advising(said(found.advice))


def _category(status: int) -> Category:
    return _STATUS.get(status, Category.INVALID if 400 <= status < 500 else Category.UNAVAILABLE)


def _details(found: _Problem, said: Callable[[str], str]) -> dict[str, Detail]:
    """What is small and of the kinds that an error holds; and the request, by which the server's log is searched."""
    kept: dict[str, Detail] = {}
    for name, value in list(found.details.items())[:DETAILS_MAX]:
        match value:
            case bool() | int() | None:
                kept[said(name)] = value
            case str():
                kept[said(name)] = said(value)
            case list() if all(isinstance(each, str) for each in value):
                kept[said(name)] = [said(each) for each in value[:DETAILS_MAX]]
            case list() if all(isinstance(each, int) for each in value):
                kept[said(name)] = value[:DETAILS_MAX]
    if found.request_id:
        kept["request_id"] = said(found.request_id)
    return kept
