"""Sealed payloads: they open under their key alone, and only as they were written."""

from __future__ import annotations

import subprocess
import sys

import pytest

from interlock.base.errors import Corruption, Invalid
from interlock.base.sealed import SEALED_PLAINTEXT_BYTES_MAX, seal, secret_key, unseal

KEY = bytes(range(32))
NONCE = bytes(range(12))
PLAINTEXT = b"the launch code is 12345"


@pytest.mark.parametrize("plaintext", [b"", b"x", PLAINTEXT, bytes(100_000)])
def test_what_was_sealed_opens_again(plaintext: bytes) -> None:
    assert unseal(KEY, seal(KEY, plaintext, NONCE)) == plaintext


def test_the_layout_is_version_nonce_ciphertext_and_tag() -> None:
    sealed = seal(KEY, PLAINTEXT, NONCE)

    assert sealed[:1] == b"\x01"
    assert sealed[1:13] == NONCE
    assert len(sealed) == 1 + 12 + len(PLAINTEXT) + 16
    assert PLAINTEXT not in sealed


def test_the_format_opens_with_any_aes_gcm_and_the_stated_additional_data() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    sealed = seal(KEY, PLAINTEXT, NONCE)

    assert AESGCM(KEY).decrypt(sealed[1:13], sealed[13:], b"interlock/sealed/1") == PLAINTEXT


def test_a_change_of_any_byte_is_found() -> None:
    sealed = seal(KEY, PLAINTEXT, NONCE)

    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(Corruption) as caught:
            unseal(KEY, changed)
        assert caught.value.code == "sealed_unreadable"


@pytest.mark.parametrize("length", [0, 1, 12, 28])
def test_a_truncated_payload_is_found(length: int) -> None:
    with pytest.raises(Corruption):
        unseal(KEY, seal(KEY, PLAINTEXT, NONCE)[:length])


def test_another_key_does_not_open_it_and_the_error_shows_neither_key_nor_payload() -> None:
    other = bytes(32)
    with pytest.raises(Corruption) as caught:
        unseal(other, seal(KEY, PLAINTEXT, NONCE))

    shown = f"{caught.value} {caught.value.details}"
    assert PLAINTEXT.decode() not in shown
    assert KEY.hex() not in shown


def test_a_key_is_read_from_hexadecimal_text() -> None:
    assert secret_key(f" {KEY.hex().upper()}\n") == KEY


@pytest.mark.parametrize("text", ["", "00" * 31, "00" * 33, "zz" * 32, "0x" + "00" * 31, "٠" * 64, "a b" * 21 + "c"])
def test_a_malformed_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        secret_key(text)

    assert caught.value.code == "secret_key_invalid"
    assert not text or text not in str(caught.value)


def test_wrong_sizes_are_refused() -> None:
    for key, nonce, plaintext in (
        (KEY[:31], NONCE, b""),
        (KEY, NONCE[:11], b""),
        (KEY, NONCE, bytes(SEALED_PLAINTEXT_BYTES_MAX + 1)),
    ):
        with pytest.raises(Invalid):
            seal(key, plaintext, nonce)


def test_the_library_is_loaded_only_when_something_is_sealed() -> None:
    program = "import interlock.base.sealed, sys; sys.exit('cryptography' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
