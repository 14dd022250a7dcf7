"""What an operation can be answered with, beside what it is for: which refusals, and with which headers.

What it does: derives the statuses of an operation from what it does and what it is sent, and writes responses, headers
and conditional parameters as OpenAPI has them. What it does not do: it answers nothing, and knows no path.

Rules: a status stands where something can give it, and nowhere else: those of bodies where there is a body, those of
credentials where there are any, conflicts and failures where something is carried out; a wrong method is no operation,
so that 405 stands with none; a header stands with every answer that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from interlock.surfaces.http.problems import MEDIA_TYPE
from interlock.surfaces.http.tags import IF_MATCH

ALWAYS: Final = (500, 503)
"""What is stored may be damaged, and the server busy, for whoever asks whatever."""

BODY: Final = (408, 413, 415)
CREDENTIALS: Final = (401, 403)
NOT_THERE: Final = (404,)
CARRIED_OUT: Final = (409, 422)
_TEXT: Final[Mapping[str, Any]] = {"type": "string"}
_COMPONENTS: Final = {401: "Unauthenticated", 429: "AskLater", 503: "AskLater"}

PROBLEM: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "advice", "retryable", "request_id", "details"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "advice": {"type": "string"},
        "retryable": {"type": "boolean"},
        "request_id": {"type": "string"},
        "details": {"type": "object"},
    },
}
"""The schema of a problem."""

HEADERS: Final[Mapping[str, Any]] = {
    "X-Request-Id": {
        "description": "The id of the request: yours, if it has the form of one.",
        "required": True,
        "schema": _TEXT,
    },
    "ETag": {
        "description": "The tag of what is read, in quotes: sent back as `If-None-Match`, it is not sent again.",
        "required": True,
        "schema": {"type": "string", "pattern": '^".+"$'},
    },
    "Location": {"description": "Where what was made or started can be looked at.", "schema": _TEXT},
    "Retry-After": {
        "description": "In how many seconds to ask again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {"description": "How to say who asks.", "required": True, "schema": _TEXT},
}
"""Headers of answers, by their names."""


def statuses(
    *, carried_out: bool = False, named: bool = False, body: bool = False, guarded: bool = True
) -> tuple[int, ...]:
    """The refusals of an operation, in order.

    `carried_out` says that something is done and not only looked at; `named` that what is asked for by a name may not
    be there; `body` that one is sent; `guarded` that it is not for everybody.
    """
    found = {400, 429, *ALWAYS}
    if carried_out:
        found |= {*CARRIED_OUT}
    if named:
        found |= {*NOT_THERE}
    if body:
        found |= {*BODY}
    if guarded:
        found |= {*CREDENTIALS}
    return tuple(sorted(found))


def problems(statuses: Iterable[int]) -> dict[str, Any]:
    """The responses of refusals."""
    return {str(each): {"$ref": f"#/components/responses/{_COMPONENTS.get(each, 'Problem')}"} for each in statuses}


def headers(*names: str) -> dict[str, Any]:
    """Headers that an answer has."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def own_headers(status: int) -> dict[str, Any]:
    """The headers that a refusal has by its status, in whatever form it is told."""
    match status:
        case 401:
            return headers("WWW-Authenticate")
        case 429 | 503:
            return headers("Retry-After")
        case _:
            return {}


def components() -> dict[str, Any]:
    """Responses and headers that operations name."""

    def told(description: str, status: int = 400) -> dict[str, Any]:
        return {
            "description": description,
            "headers": {**headers("X-Request-Id"), **own_headers(status)},
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }

    return {
        "headers": {name: dict(each) for name, each in HEADERS.items()},
        "responses": {
            "Problem": told("What went wrong."),
            "Unauthenticated": told("Nobody is known to ask.", 401),
            "AskLater": told("Too much at once, or the server is about to stop.", 503),
        },
    }


def unchanged(*names: str) -> dict[str, Any]:
    """The answer to who has already what is read."""
    text = "Nothing has changed since the `ETag` of `If-None-Match`."
    return {"304": {"description": text, "headers": headers("X-Request-Id", "ETag", *names)}}


def if_none_match() -> dict[str, Any]:
    """The parameter by which what is known is not sent again."""
    text = "Tags that `ETag` gave, or *: what has one of these is not sent again."
    return _conditional("If-None-Match", text)


def if_match() -> dict[str, Any]:
    """The parameter by which a change is for one version."""
    text = "The `ETag` of what is changed: only if it still has that version; * for any. Instead of `expect_version`."
    return _conditional(IF_MATCH, text)


def _conditional(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": dict(_TEXT)}
