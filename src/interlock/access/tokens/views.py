"""The list of tokens: one row each, written from the feed. No decision rests on it, and it holds no digest.

A row tells what became of its own token. Whether one that it goes back to was revoked stands in that one's row.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from interlock.access.tokens import events as e
from interlock.base.events import Place
from interlock.base.part import View
from interlock.journal.streams import parse_stream


class TokenRow(Struct, frozen=True):
    """A token in the list; `revoked_ms` is None while it was not revoked."""

    id: str
    name: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    created_by: str
    created_ms: int
    expires_ms: int
    revoked_ms: int | None = None
    reason: str = ""
    makers: tuple[str, ...] = ()


def _evolve(row: TokenRow | None, place: Place, record: Struct) -> TokenRow | None:
    match record:
        case e.TokenCreated():
            token_id = parse_stream(place.stream).id
            given = (record.name, record.roles, record.groups)
            return TokenRow(token_id, *given, place.actor, place.at_ms, record.expires_ms, makers=record.makers)
        case e.TokenRevoked() if row is not None:
            return msgspec.structs.replace(row, revoked_ms=place.at_ms, reason=record.reason)
        case _:
            return row


def _terms(row: TokenRow) -> Mapping[str, str]:
    return {"name": row.name, **{behind(distance): each for distance, each in enumerate(row.makers, 1)}}


def behind(distance: int) -> str:
    """The term for the id of the token that stands so many makings behind one."""
    return f"behind_{distance}"


TOKENS = View(
    name="tokens",
    version=2,
    row=TokenRow,
    key=lambda place, _record: parse_stream(place.stream).id,
    evolve=_evolve,
    order=lambda row: row.created_ms,
    terms=_terms,
    types=frozenset(kind.name for kind in e.EVENTS),
)
