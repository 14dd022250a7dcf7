"""Signatures by Ed25519: the holder of a key, and nobody else."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.ed25519 import is_weak, verifies

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


@given(st.binary(max_size=200))
def test_what_was_signed_verifies_and_nothing_else_does(message: bytes) -> None:
    signature = KEY.sign(message)

    assert verifies(PUBLIC, signature, message)
    assert not verifies(PUBLIC, signature, message + b".")
    assert not verifies(PUBLIC, signature[:-1], message)
    assert not verifies(PUBLIC[:-1], signature, message)


def test_a_key_of_small_order_is_weak_and_others_are_not() -> None:
    assert is_weak(bytes(32))
    assert is_weak(bytes([1]) + bytes(31))
    assert not is_weak(PUBLIC)


def test_nothing_verifies_under_a_weak_key() -> None:
    assert not verifies(bytes([1]) + bytes(31), bytes([1]) + bytes(63), b"anything")
