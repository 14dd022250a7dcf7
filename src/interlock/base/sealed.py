"""Sealed payloads: secrets stored only as ciphertext.

What it does: `seal` and `unseal` bytes with AES-256-GCM; `secret_key` reads the key from the hexadecimal text
that `INTERLOCK_SECRET_KEY` holds.

What it does not do: it draws no nonce (entropy is an argument), keeps no key, and knows no other (`keyring` does).

Rules: the layout is 1 version byte, 12 bytes of nonce, ciphertext with its 16-byte tag; the additional data is a
constant and what the caller binds the payload to; a nonce is never used twice under one key; no error holds key or
payload. Source: seed 001, `SecretPayload`.
"""

from __future__ import annotations

from typing import Final

from interlock.base.errors import Category, ErrorCode

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
SEALED_PLAINTEXT_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of one payload: it is held in memory whole, twice."""

_VERSION: Final = b"\x01"
_TAG_BYTES: Final = 16
_ASSOCIATED: Final = b"interlock/sealed/1"

SECRET_KEY_INVALID = ErrorCode(
    "secret_key_invalid",
    Category.INVALID,
    "Set INTERLOCK_SECRET_KEY, or what engine.secret_key names, to 64 hexadecimal digits (32 random bytes).",
)
SEALED_INVALID = ErrorCode(
    "sealed_invalid", Category.INVALID, "Seal at most 16 MiB, under a nonce of 12 fresh random bytes."
)
SEALED_UNREADABLE = ErrorCode(
    "sealed_unreadable",
    Category.CORRUPT,
    "Check INTERLOCK_SECRET_KEY; if it is the key that sealed this payload, restore a backup.",
)

ERRORS = (SECRET_KEY_INVALID, SEALED_INVALID, SEALED_UNREADABLE)


def secret_key(text: str) -> bytes:
    """The 32-byte key that 64 hexadecimal digits spell; white space around them is ignored.

    Raises: `secret_key_invalid`.
    """
    digits = text.strip()
    if len(digits) != 2 * KEY_BYTES or not digits.isascii() or not digits.isalnum():
        raise SECRET_KEY_INVALID.error("the key is not 64 hexadecimal digits")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise SECRET_KEY_INVALID.error("the key is not 64 hexadecimal digits") from None


def seal(key: bytes, plaintext: bytes, nonce: bytes, bound: bytes = b"") -> bytes:
    """`plaintext` encrypted and authenticated under `key`; `nonce` is 12 bytes never used before under it.

    It opens only with the same `bound`, which is not part of what is written.

    Raises: `secret_key_invalid`, `sealed_invalid`.
    """
    if len(nonce) != NONCE_BYTES:
        raise SEALED_INVALID.error(f"a nonce is {NONCE_BYTES} bytes", nonce_bytes=len(nonce))
    if len(plaintext) > SEALED_PLAINTEXT_BYTES_MAX:
        raise SEALED_INVALID.error("the payload is too large to seal", payload_bytes=len(plaintext))
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return _VERSION + nonce + AESGCM(_checked(key)).encrypt(nonce, plaintext, _ASSOCIATED + bound)


def unseal(key: bytes, sealed: bytes, bound: bytes = b"") -> bytes:
    """The plaintext of a sealed payload.

    Raises: `secret_key_invalid`; `sealed_unreadable` when the layout is unknown, a byte was changed, or key
    or `bound` is another: nobody can tell the last three apart.
    """
    if sealed[:1] != _VERSION or len(sealed) < 1 + NONCE_BYTES + _TAG_BYTES:
        raise SEALED_UNREADABLE.error("this is not a sealed payload of a known version")
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return AESGCM(_checked(key)).decrypt(nonce, ciphertext, _ASSOCIATED + bound)
    except InvalidTag:
        raise SEALED_UNREADABLE.error("the payload does not open under this key") from None


def _checked(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise SECRET_KEY_INVALID.error(f"the key is not {KEY_BYTES} bytes")
    return key
