"""Sealed payloads under one of several keys, so that keys can be changed.

What it does: `seal_under` seals a payload and puts the id of the key before it; `unseal_under` finds the key by that
id among those that are offered and opens it. What it does not do: it finds no key (the caller offers them), seals
nothing anew, and draws no nonce.

Rules: the layout is the version byte 2, 8 bytes of key id, and a payload as `sealed` lays it out; the id is the
beginning of a labelled SHA-256 of the key and tells nothing about 32 random bytes. A payload opens only with the
`bound` bytes that it was sealed with, so one that was moved elsewhere does not open there. Payloads of version 1,
which name no key, are tried under each. No error holds key or payload.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.sealed import SEALED_UNREADABLE, seal, unseal

SECRET_KEY_UNKNOWN = ErrorCode(
    "secret_key_unknown",
    Category.NOT_FOUND,
    "Name the key that sealed this payload in engine.secret_key or engine.former_secret_keys.",
)

ERRORS = (SECRET_KEY_UNKNOWN,)

KEY_ID_BYTES: Final = 8

_VERSION: Final = b"\x02"
_LABEL: Final = b"interlock/key-id/1"


def key_id(key: bytes) -> bytes:
    """The id of a key: 8 bytes that name it and do not give it away."""
    return hashlib.sha256(_LABEL + key).digest()[:KEY_ID_BYTES]


def seal_under(key: bytes, plaintext: bytes, nonce: bytes, bound: bytes = b"") -> bytes:
    """`plaintext` sealed under `key`, which it names. Raises as `sealed.seal` does."""
    return _VERSION + key_id(key) + seal(key, plaintext, nonce, bound)


def unseal_under(keys: Iterable[bytes], sealed: bytes, bound: bytes = b"") -> bytes:
    """The plaintext of a payload that one of `keys` sealed.

    Raises: `secret_key_unknown` when it is none of them; `sealed_unreadable` when a byte was changed, `bound` is
    another, or the layout is unknown; `secret_key_invalid`.
    """
    if sealed[:1] != _VERSION:
        return _by_trial(keys, sealed, bound)
    named, payload = sealed[1 : 1 + KEY_ID_BYTES], sealed[1 + KEY_ID_BYTES :]
    for key in keys:
        if key_id(key) == named:
            return unseal(key, payload, bound)
    raise SECRET_KEY_UNKNOWN.error(f"the payload was sealed under the key {named.hex()}", key_id=named.hex())


def _by_trial(keys: Iterable[bytes], sealed: bytes, bound: bytes) -> bytes:
    fault: InterlockError = SECRET_KEY_UNKNOWN.error("there is no key to open the payload with")
    for key in keys:
        try:
            return unseal(key, sealed, bound)
        except InterlockError as refusal:
            if refusal.kind is not SEALED_UNREADABLE:
                raise
            fault = refusal
    raise fault
