"""Signed envelopes by DSSE version 1, with Ed25519 alone.

What it does: the pre-authentication encoding, and envelopes of one signature as canonical bytes. What it does not do:
it reads no file, and decides nobody's trust.

Rules (secure-systems-lab/dsse, protocol and envelope, v1.0.2): what is signed is
`DSSEv1 SP LEN(type) SP type SP LEN(payload) SP payload`, lengths in decimal bytes; payload and signature are standard
base64. Ours are stricter: one signature, members in alphabetical order and nothing between them, so that an envelope
has one spelling. A key id is `ed25519:` and the public key itself: so a signature can be checked by anybody, and whose
it is stays another question.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from interlock.base.ed25519 import verifies
from interlock.packs.errors import PACK_SIGNATURE_INVALID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ENVELOPE_BYTES_MAX: Final = 64 * 1024
KEY_ID = re.compile(r"\Aed25519:[0-9a-f]{64}\Z")
_SIGNATURE_BYTES = 64


class EnvelopeSignature(Struct, frozen=True, forbid_unknown_fields=True):
    """Who signed, and the signature."""

    keyid: Annotated[str, Meta(pattern=KEY_ID.pattern)]
    sig: str


class SignedEnvelope(Struct, frozen=True, forbid_unknown_fields=True, rename={"payload_type": "payloadType"}):
    """A payload and its signature, as DSSE writes them."""

    payload: str
    payload_type: str
    signatures: tuple[EnvelopeSignature]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SignedEnvelope).decode


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def key_id(public: bytes) -> str:
    """The id of a public key of 32 bytes."""
    return f"ed25519:{public.hex()}"


def signed(key: Ed25519PrivateKey, payload_type: str, payload: bytes) -> bytes:
    """The envelope of a payload, signed."""
    signature = key.sign(pae(payload_type, payload))
    public = key.public_key().public_bytes_raw()
    entry = EnvelopeSignature(key_id(public), base64.b64encode(signature).decode())
    return _encode(SignedEnvelope(base64.b64encode(payload).decode(), payload_type, (entry,)))


def opened(content: bytes, payload_type: str) -> tuple[str, bytes]:
    """Key id and payload of an envelope whose signature is one by that key. Raises: `pack_signature_invalid`."""
    if len(content) > ENVELOPE_BYTES_MAX:
        raise PACK_SIGNATURE_INVALID.error(f"the signature has more than {ENVELOPE_BYTES_MAX} bytes")
    try:
        envelope = _decode(content)
        payload, signature = (_bytes(text) for text in (envelope.payload, envelope.signatures[0].sig))
        sound = _encode(envelope) == content and envelope.payload_type == payload_type
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError):
        raise PACK_SIGNATURE_INVALID.error("the signature cannot be read") from None
    if not sound or len(signature) != _SIGNATURE_BYTES:
        raise PACK_SIGNATURE_INVALID.error("the signature is not in its one canonical form")
    name = envelope.signatures[0].keyid
    if not verifies(bytes.fromhex(name.removeprefix("ed25519:")), signature, pae(payload_type, payload)):
        raise PACK_SIGNATURE_INVALID.error("the signature does not fit what it signs")
    return name, payload


def _bytes(text: str) -> bytes:
    """Base64 with one spelling: `binascii` alone takes unused bits that are set."""
    try:
        content = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("no base64") from None
    if base64.b64encode(content).decode() != text:
        raise ValueError("another spelling")
    return content
