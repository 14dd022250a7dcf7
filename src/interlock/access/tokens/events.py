"""The events of a token's stream.

What it does: declares the records and names the streams. What it does not do: it decides nothing.

Rules: members are in alphabetical order; of the secret there is a digest and nothing else.
"""

from __future__ import annotations

from msgspec import Struct

from interlock.base.events import EventType
from interlock.journal.streams import stream_id

TOKEN = "token"  # noqa: S105 - the name of a kind
"""The kind of a token's stream."""


class TokenCreated(Struct, frozen=True):
    """A token is good until `expires_ms`, for roles and groups; who made it is the actor."""

    digest: str
    expires_ms: int
    groups: tuple[str, ...]
    name: str
    roles: tuple[str, ...]


class TokenRevoked(Struct, frozen=True):
    """The token is good for nothing any more."""

    reason: str


def token_stream(tenant: str, token_id: str) -> str:
    """The stream of a token. Raises: `id_invalid`, `stream_invalid`."""
    return stream_id(tenant, TOKEN, token_id)


EVENTS = (EventType("access.token_created", 1, TokenCreated), EventType("access.token_revoked", 1, TokenRevoked))
