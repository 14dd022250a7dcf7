"""Signatures by Ed25519: whether one is by the holder of a key.

What it does: checks a signature strictly. What it does not do: it signs nothing, reads no key, and decides nobody's
trust.

Rule: a point of small order is no key: under it one signature fits any message.
"""

from __future__ import annotations

from typing import Final

# Points of small order, in every spelling.
_WEAK: Final = frozenset(
    bytes.fromhex(low + top)
    for low, tops in {
        "00" * 31: ("00", "80"),
        "01" + "00" * 30: ("00", "80"),
        "ec" + "ff" * 30: ("7f", "ff"),
        "ed" + "ff" * 30: ("7f", "ff"),
        "ee" + "ff" * 30: ("7f", "ff"),
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03": ("7a", "fa"),
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc": ("05", "85"),
    }.items()
    for top in tops
)


def is_weak(public: bytes) -> bool:
    """Whether anybody could sign under this key."""
    return public in _WEAK


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the holder of a key of 32 bytes has signed a message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if is_weak(public):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
