"""The id of a request: what ties an answer to what its caller and the log say of it.

It takes the caller's, if that has the form of one, and draws one otherwise. Rule: nothing else makes one; whoever tells
an error asks here for its request's.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import HTTPConnection

from interlock.base.clock import SystemEntropy

REQUEST_ID: Final = "x-request-id"
_FORM: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def new_request_id() -> str:
    """An id that nobody has given."""
    return SystemEntropy().random_bytes(12).hex()


def request_id_of(request: HTTPConnection) -> str:
    """The id of a request, the same each time it is asked for."""
    if "request_id" not in request.scope:
        given = request.headers.get(REQUEST_ID, "")
        request.scope["request_id"] = given if _FORM.fullmatch(given) else new_request_id()
    found: str = request.scope["request_id"]
    return found
