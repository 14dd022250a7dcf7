"""Errors as problem details (RFC 9457), with our stable code and what to do next.

What it does: makes the status, headers and body of an error. What it does not do: it decides nothing about it.

Rules: the status follows from the category, and from the code where the protocol has one of its own; a body holds what
the error may show, never more; who is asked to wait is told how long; a fault of the program says nothing of itself.
"""

from __future__ import annotations

from math import ceil
from typing import Any, Final

import msgspec
from starlette.responses import Response

from interlock.base.errors import Category, InterlockError

MEDIA_TYPE: Final = "application/problem+json"
_STATUS: Final = {
    Category.INVALID: 400,
    Category.NOT_FOUND: 404,
    Category.CONFLICT: 409,
    Category.REFUSED: 403,
    Category.OVERLOADED: 429,
    Category.FAILED: 422,
    Category.CORRUPT: 500,
    Category.STORAGE: 503,
    Category.UNAVAILABLE: 503,
}
_BY_CODE: Final = {
    "token_invalid": 401,
    "credentials_missing": 401,
    "request_too_large": 413,
    "json_too_large": 413,
    "cloud_event_too_large": 413,
    "cloud_event_unsupported": 415,
    "media_type_unsupported": 415,
    "path_unknown": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "version_moved": 412,
    "event_body_slow": 408,
    "stream_readers_full": 503,
    "server_busy": 503,
    "server_draining": 503,
    "program_fault": 500,
}
RETRY_MS: Final = 1_000
_TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def status_of(error: InterlockError) -> int:
    """The status of an error."""
    return _BY_CODE.get(error.code) or _STATUS[error.category]


def retry_after(status: int, wait_ms: object = None) -> dict[str, str]:
    """The header that says when to ask again, where a status asks for that, in whatever form the error is told."""
    if status not in {429, 503}:
        return {}
    return {"Retry-After": str(ceil((wait_ms if isinstance(wait_ms, int) else RETRY_MS) / 1000))}


def problem(error: InterlockError, request_id: str, **headers: str) -> Response:
    """The response that tells an error."""
    status = status_of(error)
    headers |= retry_after(status, error.details.get("retry_after_ms"))
    if status in {408, 413}:
        headers["Connection"] = "close"  # what is left of the body is read by nobody
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="interlock"'
    body: dict[str, Any] = {
        "type": f"urn:interlock:error:{error.code}",
        "title": _TITLES[status],
        "status": status,
        "detail": error.message,
        "code": error.code,
        "advice": error.advice,
        "retryable": error.retryable,
        "request_id": request_id,
        "details": error.details,
    }
    return Response(msgspec.json.encode(body), status, headers, MEDIA_TYPE)
