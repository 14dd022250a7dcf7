"""The list of tokens: one row each, written from the feed. No decision rests on it, and it holds no digest."""

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


def _evolve(row: TokenRow | None, place: Place, record: Struct) -> TokenRow | None:
    match record:
        case e.TokenCreated():
            token_id = parse_stream(place.stream).id
            given = (record.name, record.roles, record.groups)
            return TokenRow(token_id, *given, place.actor, place.at_ms, record.expires_ms)
        case e.TokenRevoked() if row is not None:
            return msgspec.structs.replace(row, revoked_ms=place.at_ms, reason=record.reason)
        case _:
            return row


def _terms(row: TokenRow) -> Mapping[str, str]:
    return {"name": row.name}


TOKENS = View(
    name="tokens",
    version=1,
    row=TokenRow,
    key=lambda place, _record: parse_stream(place.stream).id,
    evolve=_evolve,
    order=lambda row: row.created_ms,
    terms=_terms,
    types=frozenset(kind.name for kind in e.EVENTS),
)
