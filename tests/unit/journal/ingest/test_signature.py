"""Signatures of requests: what is accepted, and that everything else is refused in the same words for everybody."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from interlock.base.errors import Refused
from interlock.base.secrets import Secret
from interlock.journal.ingest.signature import SIGNATURES_MAX, Signed, check_signature, signature

SECRET = Secret("a secret of the forge")
NOW_S = 1_767_225_600
BODY = b'{"id": "1"}'
RIGHT = hmac.new(b"a secret of the forge", b"1767225600." + BODY, hashlib.sha256).hexdigest()
OTHER = "0" * 64


def check(header: str | None, *, body: bytes = BODY, whole: bool = True, now_s: int = NOW_S) -> None:
    check_signature(Signed(header, body, whole), SECRET, now_s * 1000, 300)


def test_a_signature_is_the_mac_of_time_and_body() -> None:
    assert signature(SECRET, NOW_S, BODY) == RIGHT
    check(f"t={NOW_S},v1={RIGHT}")
    check(f"t={NOW_S}, v1={OTHER}, v1={RIGHT}")


@pytest.mark.parametrize("now_s", [NOW_S - 300, NOW_S + 300])
def test_a_clock_may_be_off_by_the_tolerance(now_s: int) -> None:
    check(f"t={NOW_S},v1={RIGHT}", now_s=now_s)


@pytest.mark.parametrize(
    ("header", "changed"),
    [
        (None, {}),
        ("", {}),
        (f"v1={RIGHT}", {}),
        (f"t={NOW_S}", {}),
        (f"t={NOW_S},v1=", {}),
        (f"t={NOW_S},v1={RIGHT.upper()}", {}),
        (f"t={NOW_S},v1={OTHER}", {}),
        (f"t={NOW_S + 1},v1={RIGHT}", {}),
        (f"t={NOW_S},v0={RIGHT}", {}),
        (f"t={NOW_S},v1={RIGHT},t={NOW_S}", {}),
        (f"t={NOW_S}" + f",v1={OTHER}" * SIGNATURES_MAX + f",v1={RIGHT}", {}),
        ("t=" + "9" * 5000 + f",v1={RIGHT}", {}),
        (f"t=١,v1={RIGHT}", {}),
        (f"t={NOW_S},v1={RIGHT}", {"body": BODY + b" "}),
        (f"t={NOW_S},v1={RIGHT}", {"now_s": NOW_S + 301}),
        (f"t={NOW_S},v1={RIGHT}", {"now_s": NOW_S - 301}),
        (f"t={NOW_S},v1={RIGHT}", {"whole": False}),
    ],
)
def test_what_is_not_signed_lately_by_who_has_the_secret_is_refused(
    header: str | None, changed: dict[str, int]
) -> None:
    with pytest.raises(Refused) as caught:
        check(header, **changed)  # type: ignore[arg-type]

    assert caught.value.code == "event_signature_invalid"
    assert RIGHT not in str(caught.value)
