"""The text of a token, `ilk_<tenant>.<id>.<secret>`, and its digest.

What it does: writes and reads the text, and makes the digest that is stored. What it does not do: it draws nothing at
random, and judges no token.

Rules: a text has one spelling; tenant and id are no secrets and say only where to look; the digest covers the whole
text, so that a secret is good for one token alone.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode

from msgspec import Struct

from interlock.base.canonical import digest

SECRET_BYTES = 32
ID_BYTES = 8
_DOMAIN = b"interlock/token/1\n"
_TEXT = re.compile(r"\Ailk_(?P<tenant>[a-z0-9][a-z0-9_-]{0,62})\.(?P<id>[0-9a-f]{16})\.[A-Za-z0-9_-]{43}\Z")
TEXT_CHARACTERS_MAX = 160


class TokenPlace(Struct, frozen=True):
    """Where a token stands: its tenant and its id."""

    tenant: str
    id: str


def token_text(place: TokenPlace, secret: bytes) -> str:
    """The text of a token with this secret of `SECRET_BYTES`."""
    encoded = urlsafe_b64encode(secret).decode().rstrip("=")
    return f"ilk_{place.tenant}.{place.id}.{encoded}"


def place_of(text: str) -> TokenPlace | None:
    """Where the token of a text would stand; None for what is no text of a token."""
    found = _TEXT.match(text) if len(text) <= TEXT_CHARACTERS_MAX else None
    return None if found is None else TokenPlace(found["tenant"], found["id"])


def token_digest(text: str) -> str:
    """What is stored of a token: the SHA-256 of its text, in lower-case hexadecimal."""
    return digest(_DOMAIN + text.encode())


def id_of(entropy: bytes) -> str:
    """The id that `ID_BYTES` make."""
    return entropy[:ID_BYTES].hex()


def id_under(tenant: str, command_id: str) -> str:
    """The id of the token of a command id: the same for its repetition."""
    return digest(_DOMAIN + f"{tenant}\n{command_id}".encode())[: 2 * ID_BYTES]
