"""Envelopes: the encoding of the specification, and one spelling of ours."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from interlock.base.errors import InterlockError
from interlock.packs.dsse import key_id, opened, pae, signed

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
TYPE = "application/vnd.in-toto+json"
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'


@pytest.mark.parametrize(
    ("kind", "payload", "encoded"),
    [
        ("http://example.com/HelloWorld", b"hello world", b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"),
        ("", b"", b"DSSEv1 0  0 "),
        ("é", "ü".encode(), "DSSEv1 2 é 2 ü".encode()),
    ],
)
def test_what_is_signed_is_the_encoding_of_the_specification(kind: str, payload: bytes, encoded: bytes) -> None:
    assert pae(kind, payload) == encoded


def test_any_reader_of_such_envelopes_can_check_it() -> None:
    envelope = json.loads(signed(KEY, TYPE, PAYLOAD))

    assert list(envelope) == ["payload", "payloadType", "signatures"]
    payload = base64.b64decode(envelope["payload"], validate=True)
    message = b"DSSEv1 %d %b %d %b" % (len(TYPE), TYPE.encode(), len(payload), payload)
    KEY.public_key().verify(base64.b64decode(envelope["signatures"][0]["sig"]), message)


def test_what_was_signed_is_opened() -> None:
    assert opened(signed(KEY, TYPE, PAYLOAD), TYPE) == (key_id(PUBLIC), PAYLOAD)


def test_the_same_pack_and_key_give_the_same_signature() -> None:
    assert signed(KEY, TYPE, PAYLOAD) == signed(KEY, TYPE, PAYLOAD)


def test_an_envelope_of_another_type_is_refused() -> None:
    with pytest.raises(InterlockError, match="pack_signature_invalid"):
        opened(signed(KEY, "text/plain", PAYLOAD), TYPE)


@pytest.mark.parametrize("member", ["payload", "sig"])
def test_unused_bits_and_other_alphabets_of_base64_are_refused(member: str) -> None:
    envelope = json.loads(signed(KEY, TYPE, b"x" * 10))
    holder = envelope if member == "payload" else envelope["signatures"][0]
    text = holder[member]
    body = text.rstrip("=")
    other = body[:-1] + chr(ord(body[-1]) + 1) + text[len(body) :]
    assert base64.b64decode(other) == base64.b64decode(text)
    for spelled in (other, body, text + "\n", text.replace("+", "-").replace("/", "_") + "="):
        holder[member] = spelled
        with pytest.raises(InterlockError, match="pack_signature_invalid"):
            opened(json.dumps(envelope, separators=(",", ":")).encode(), TYPE)


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.update(note=1),
        lambda e: e["signatures"].append(e["signatures"][0]),
        lambda e: e["signatures"][0].update(cert="x"),
        lambda e: e["signatures"][0].update(keyid="x"),
        lambda e: e["signatures"][0].pop("keyid"),
        lambda e: e["signatures"][0].update(keyid=e["signatures"][0]["keyid"].upper()),
    ],
    ids=["a member", "two signatures", "a certificate", "another name", "no name", "another spelling"],
)
def test_an_envelope_has_our_members_and_no_other(change: object) -> None:
    envelope = json.loads(signed(KEY, TYPE, PAYLOAD))
    change(envelope)  # type: ignore[operator]

    with pytest.raises(InterlockError, match="pack_signature_invalid"):
        opened(json.dumps(envelope, separators=(",", ":")).encode(), TYPE)
