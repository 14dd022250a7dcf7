"""The events of a token's stream.

What it does: declares the records and names the streams. What it does not do: it decides nothing.

Rules: members are in alphabetical order; of the secret there is a digest and nothing else. Version 1 of a creation does
not say which tokens its maker was there by: it is read as if there had been none.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from interlock.base.events import EventType
from interlock.journal.streams import stream_id

TOKEN = "token"  # noqa: S105 - the name of a kind
"""The kind of a token's stream."""


class TokenCreated(Struct, frozen=True):
    """A token is good until `expires_ms`, for roles and groups; who made it is the actor.

    `makers` are the ids of the tokens that it goes back to: first the one that its maker was there by, then the one
    that had made that, and so on; empty where its maker needed none.
    """

    digest: str
    expires_ms: int
    groups: tuple[str, ...]
    makers: tuple[str, ...]
    name: str
    roles: tuple[str, ...]


class TokenRevoked(Struct, frozen=True):
    """The token is good for nothing any more."""

    reason: str


def token_stream(tenant: str, token_id: str) -> str:
    """The stream of a token. Raises: `id_invalid`, `stream_invalid`."""
    return stream_id(tenant, TOKEN, token_id)


class _TokenCreated1(Struct, frozen=True):
    """Version 1 of a creation."""

    digest: str
    expires_ms: int
    groups: tuple[str, ...]
    name: str
    roles: tuple[str, ...]


def _upcast(data: bytes) -> TokenCreated:
    old = msgspec.json.decode(data, type=_TokenCreated1)
    return TokenCreated(old.digest, old.expires_ms, old.groups, (), old.name, old.roles)


EVENTS = (
    EventType("access.token_created", 1, _TokenCreated1, upcast=_upcast),
    EventType("access.token_created", 2, TokenCreated),
    EventType("access.token_revoked", 1, TokenRevoked),
)
