"""How transports read their requests.

What it does: decodes a request into its strict record and says where it breaks its form; replaces
references to secrets by their values at the moment of sending, and refuses an answer that repeats one. What
it does not do: it knows no transport.

Rules: a fault names the place and never the value; a secret is named in a request as
`{"secret": "env:NAME", "prefix": "Bearer "}`, so that what is recorded of the request holds no secret; only
plans that the local user started name secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from interlock.base.canonical import Json
from interlock.base.errors import Category, ErrorCode
from interlock.base.secrets import SECRET_CHARACTERS_MAX, Secret, SecretRef, resolve
from interlock.engine.io.transports.port import TransportContext

SECRET_NOT_ALLOWED = ErrorCode(
    "secret_not_allowed",
    Category.REFUSED,
    "Start the plan as a user of this machine; a plan from elsewhere names no secrets.",
)
SECRET_ECHOED = ErrorCode(
    "secret_echoed",
    Category.UNAVAILABLE,
    "The answer repeats the secret that was sent and is not recorded: ask for less.",
)

ERRORS = (SECRET_NOT_ALLOWED, SECRET_ECHOED)

SecretSource = Callable[[SecretRef], Secret]
Record = TypeVar("Record", bound=Struct)

_PLACE: Final = re.compile(r" - at `(\$[^`]*)`$")
# Shorter values occur in ordinary answers by chance.
_ECHO_CHARACTERS_MIN = 8


class SecretText(Struct, frozen=True, forbid_unknown_fields=True):
    """A text that holds a secret: `prefix` and then the value that the reference `secret` names."""

    secret: str
    prefix: str = ""


def read_request(request: Json, record: type[Record], invalid: ErrorCode) -> Record:
    """The request as its record. Raises `invalid`, naming the place or the members that the record knows."""
    try:
        return msgspec.convert(request, record)
    except msgspec.ValidationError as fault:
        text = str(fault)
        place = _PLACE.search(text)
        if "unknown field" in text:
            known = ", ".join(record.__struct_encode_fields__)
            raise invalid.error(f"the request has a member that is not known; known are {known}") from None
        where = place[1] if place else "$"
        raise invalid.error(f"the request breaks its form at {where}", place=where) from None


def local_secret(ref: SecretRef) -> Secret:
    """The secret in this process's environment or in a file.

    Raises: `secret_not_found`, `secret_unreadable`.
    """
    return resolve(ref, os.environ, _head_of_file)


class SecretsOfCall:
    """The secrets that one call sends."""

    def __init__(self, source: SecretSource, context: TransportContext) -> None:
        self._source = source
        self._allowed = context.local_plan
        self._revealed: list[str] = []

    def text(self, value: str | SecretText) -> str:
        """`value` with its secret in place.

        Raises: `secret_not_allowed`, `secret_ref_invalid`, and what the source raises.
        """
        if isinstance(value, str):
            return value
        if not self._allowed:
            raise SECRET_NOT_ALLOWED.error("this plan may not name secrets")
        revealed = self._source(SecretRef(value.secret)).reveal()
        self._revealed.append(revealed)
        return value.prefix + revealed

    def refuse_echo(self, *answers: bytes) -> None:
        """Raise `secret_echoed` if an answer holds a secret of this call."""
        if self.are_echoed(*answers):
            raise SECRET_ECHOED.error("the answer repeats a secret of the request")

    def are_echoed(self, *answers: bytes) -> bool:
        """Whether an answer holds a secret of this call."""
        sought = [each.encode("utf-8", "surrogateescape") for each in self._revealed if _is_long(each)]
        return any(secret in answer for secret in sought for answer in answers)


def _is_long(secret: str) -> bool:
    return len(secret) >= _ECHO_CHARACTERS_MIN


def _head_of_file(path: str) -> bytes:
    with Path(path).open("rb") as file:
        # UTF-8 takes up to four bytes a character; one more shows that the file goes on.
        return file.read(4 * SECRET_CHARACTERS_MAX + 1)
