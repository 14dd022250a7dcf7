"""Facts that are secret: recorded as ciphertext, handed out in a wrapper.

What it does: seals the answer of a call that says `secret=True`, opens it again for a later attempt or process, and
proves that what a handler stores as a `SecretPayload` is one. What it does not do: it sends nothing, records nothing
(`live` does), and cannot keep a handler from writing down what it revealed; the scan of what is recorded is the net.

Rules: the key is looked up before the call is sent, since an answer that cannot be kept must not be asked for; it is
resolved anew for each call, so that a changed key counts at once, and held no longer. A payload is bound to its fact
key and its request, and opens as the answer of nothing else. Nothing of an answer stands in an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

from interlock.base.canonical import canonical
from interlock.base.clock import Entropy
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.keyring import SECRET_KEY_UNKNOWN, seal_under, unseal_under
from interlock.base.sealed import NONCE_BYTES, SEALED_UNREADABLE, SECRET_KEY_INVALID, secret_key
from interlock.base.secrets import SECRET_NOT_FOUND, SecretRef, SecretValue
from interlock.engine.decide import EngineSettings
from interlock.engine.io.transports.requests import local_secret
from interlock.engine.run_state import Fact

SEALED: Final = "secret"
"""The kind of a fact whose payload is ciphertext."""
SEALED_KIND: Final = "SecretPayload"
"""The kind of an artifact that is ciphertext."""

SECRET_KEY_MISSING = ErrorCode(
    "secret_key_missing",
    Category.NOT_FOUND,
    "Set INTERLOCK_SECRET_KEY to 64 hexadecimal digits, or name the key in the setting engine.secret_key.",
)
FACT_IS_SECRET = ErrorCode("fact_is_secret", Category.REFUSED, "Call with secret=True, as when the fact was recorded.")
SECRET_PAYLOAD_PLAIN = ErrorCode(
    "secret_payload_plain",
    Category.REFUSED,
    "Store as SecretPayload only what is sealed under the key of engine.secret_key, or let a secret call record it.",
)

ERRORS = (SECRET_KEY_MISSING, FACT_IS_SECRET, SECRET_PAYLOAD_PLAIN)

KEY_FAULTS: Final = frozenset({SECRET_KEY_MISSING, SECRET_KEY_INVALID, SECRET_KEY_UNKNOWN})
"""What is wrong with the keys of this process; another one, or this one after a restart, can go on."""


def sealer(settings: EngineSettings, entropy: Entropy, key: str, request_digest: str) -> Callable[[bytes], bytes]:
    """What seals the answer of a request under a fact key; made before the request is sent.

    Raises: `secret_key_missing`, `secret_key_invalid`, `secret_unreadable`.
    """
    under = _sealing_key(settings)
    return lambda content: seal_under(under, content, entropy.random_bytes(NONCE_BYTES), _bound(key, request_digest))


def answer_of(settings: EngineSettings, key: str, fact: Fact, payload: bytes, *, secret: bool) -> Any:
    """What a call that says `secret` or not gets of a recorded answer, live or replayed.

    A plain one that is asked for as a secret is handed out in the wrapper: an operator may have adopted it.
    Raises: `fact_is_secret`, `secret_key_unknown`, `sealed_unreadable`.
    """
    if fact.kind != SEALED:
        return SecretValue(payload) if secret else orjson.loads(payload)
    if not secret:
        raise FACT_IS_SECRET.error(f"the answer recorded as {key} is secret", key=key)
    return SecretValue(unseal_under(_opening_keys(settings), payload, _bound(key, fact.request_digest)))


def refuse_plaintext(settings: EngineSettings, content: bytes) -> None:
    """Raise `secret_payload_plain` unless `content` opens under a key of the settings: nothing else proves it sealed.

    Raises: `secret_key_invalid`, `secret_unreadable`.
    """
    try:
        unseal_under(_opening_keys(settings), content)
    except InterlockError as fault:
        if fault.kind not in (SEALED_UNREADABLE, SECRET_KEY_UNKNOWN):
            raise
        raise SECRET_PAYLOAD_PLAIN.error("the content of a SecretPayload is not sealed under a known key") from None


def _bound(key: str, request_digest: str | None) -> bytes:
    return canonical([key, request_digest])


def _sealing_key(settings: EngineSettings) -> bytes:
    try:
        return _resolved(settings.secret_key)
    except InterlockError as fault:
        if fault.kind is not SECRET_NOT_FOUND:
            raise
        raise SECRET_KEY_MISSING.error(f"there is no key to seal with: {fault.message}") from None


def _opening_keys(settings: EngineSettings) -> Iterator[bytes]:
    """Every key that can be had, the present one first. Raises: `secret_unreadable`, `secret_key_invalid`."""
    for reference in (settings.secret_key, *settings.former_secret_keys):
        try:
            yield _resolved(reference)
        except InterlockError as fault:
            if fault.kind is not SECRET_NOT_FOUND:
                raise


def _resolved(reference: SecretRef) -> bytes:
    try:
        return secret_key(local_secret(reference).reveal())
    except InterlockError as fault:
        if fault.kind is not SECRET_KEY_INVALID:
            raise
        raise SECRET_KEY_INVALID.error(f"{reference} is not 64 hexadecimal digits") from None
