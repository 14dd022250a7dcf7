"""Sealed payloads name their key, so that keys can be changed, and open only where they belong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.errors import Corruption, InterlockError, NotFound
from interlock.base.keyring import key_id, seal_under, unseal_under
from interlock.base.sealed import seal

OLD, NEW, OTHER = bytes(range(32)), bytes(range(32, 64)), bytes(32)
NONCE = bytes(12)
PLAINTEXT = b"attack at dawn"


@given(st.binary(max_size=500), st.binary(max_size=50))
def test_what_was_sealed_opens_again_for_whoever_offers_its_key(plaintext: bytes, bound: bytes) -> None:
    sealed = seal_under(OLD, plaintext, NONCE, bound)

    assert unseal_under([OLD], sealed, bound) == plaintext
    assert unseal_under([OTHER, NEW, OLD], sealed, bound) == plaintext


def test_the_layout_is_version_key_id_and_a_payload_of_version_1() -> None:
    sealed = seal_under(OLD, PLAINTEXT, NONCE, b"bound")

    assert sealed == b"\x02" + key_id(OLD) + seal(OLD, PLAINTEXT, NONCE, b"bound")
    assert len(sealed) == 1 + 8 + 1 + 12 + len(PLAINTEXT) + 16


def test_the_id_of_a_key_never_changes() -> None:
    assert key_id(OLD).hex() == "de3c6dc10e228167"
    assert key_id(OLD) not in (key_id(NEW), OLD[:8])


def test_a_key_that_nobody_offers_is_named_by_its_id() -> None:
    with pytest.raises(NotFound) as caught:
        unseal_under([NEW, OTHER], seal_under(OLD, PLAINTEXT, NONCE))

    assert caught.value.code == "secret_key_unknown"
    assert caught.value.details == {"key_id": key_id(OLD).hex()}
    assert OLD.hex() not in f"{caught.value} {caught.value.details}"


@pytest.mark.parametrize("bound", [b"", b"another", b"bound "])
def test_a_payload_that_was_moved_elsewhere_does_not_open(bound: bytes) -> None:
    with pytest.raises(Corruption) as caught:
        unseal_under([OLD], seal_under(OLD, PLAINTEXT, NONCE, b"bound"), bound)

    assert caught.value.code == "sealed_unreadable"


def test_a_change_of_any_byte_is_found() -> None:
    sealed = seal_under(OLD, PLAINTEXT, NONCE)

    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(InterlockError) as caught:
            unseal_under([NEW, OLD], changed)
        assert caught.value.code in ("sealed_unreadable", "secret_key_unknown")


def test_a_payload_that_names_no_key_is_tried_under_each() -> None:
    sealed = seal(OLD, PLAINTEXT, NONCE)

    assert unseal_under([NEW, OLD], sealed) == PLAINTEXT
    with pytest.raises(Corruption):
        unseal_under([NEW, OTHER], sealed)


@pytest.mark.parametrize("content", [b"", b"\x01", b"\x02", b"\x02" + bytes(8), b"plain text", b"{}"])
def test_what_is_no_sealed_payload_does_not_open(content: bytes) -> None:
    for keys in ([], [OLD], [OLD, NEW]):
        with pytest.raises(InterlockError) as caught:
            unseal_under(keys, content)
        assert caught.value.code in ("sealed_unreadable", "secret_key_unknown")
