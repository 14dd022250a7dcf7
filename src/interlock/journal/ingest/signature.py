"""Signatures of requests: HMAC-SHA-256 over a time and the body. Pure.

What it does: reads the header `X-Interlock-Signature: t=<seconds since 1970>,v1=<hex>` and compares it with what a
secret makes of `<t>.<body>`. What it does not do: it reads no clock and resolves no secret.

Rules: comparing takes one time whatever differs; a refusal does not say what would be right; a header may hold several
`v1`, so that a secret can be changed and a batch can be of two sources; what the signature does not cover is not
believed, so attributes in headers (binary mode) are refused.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from msgspec import Struct

from interlock.base.secrets import Secret
from interlock.journal.errors import EVENT_SIGNATURE_INVALID

HEADER: Final = "X-Interlock-Signature"
SIGNATURES_MAX: Final = 8
_FORM = re.compile(rf"t=([0-9]{{1,12}})((?:,v1=[0-9a-f]{{64}}){{1,{SIGNATURES_MAX}}})")


class Signed(Struct, frozen=True):
    """A request as it is signed: its header, its body, and whether the body is all there is of the events."""

    header: str | None
    body: bytes
    whole: bool


def signature(secret: Secret, at_seconds: int, body: bytes) -> str:
    """What a sender writes behind `v1=`."""
    return hmac.digest(secret.reveal().encode(), b"%d." % at_seconds + body, hashlib.sha256).hex()


def check_signature(given: Signed | None, secret: Secret, now_ms: int, tolerance_seconds: int) -> None:
    """Refuse a request that who has the secret did not sign lately. Raises: `event_signature_invalid`."""
    if given is None or given.header is None:
        raise EVENT_SIGNATURE_INVALID.error(f"a request of this source needs the header {HEADER}")
    if not given.whole:
        raise EVENT_SIGNATURE_INVALID.error("a signature does not cover headers: send the event in structured mode")
    form = _FORM.fullmatch(given.header.replace(" ", ""))
    if form is None:
        raise EVENT_SIGNATURE_INVALID.error(f"the header {HEADER} is not `t=<seconds>,v1=<64 hexadecimal digits>`")
    at_seconds = int(form[1])
    if abs(now_ms - at_seconds * 1000) > tolerance_seconds * 1000:
        raise EVENT_SIGNATURE_INVALID.error(f"the signature was made more than {tolerance_seconds} s from now")
    right = signature(secret, at_seconds, given.body)
    candidates = [each.removeprefix("v1=") for each in form[2][1:].split(",")]
    if not any(hmac.compare_digest(right, each) for each in candidates):
        raise EVENT_SIGNATURE_INVALID.error("the signature is not that of this body")
