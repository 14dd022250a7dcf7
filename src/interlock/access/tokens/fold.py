"""What a token is, as its own events tell it.

It knows no time, and nothing of the tokens that it goes back to: whether one has expired, and whether those are good,
says who looks.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from interlock.access.tokens import events as e
from interlock.base.events import Place


class TokenState(Struct, frozen=True):
    """One token; `digest` is empty where there is none."""

    digest: str = ""
    expires_ms: int = 0
    groups: tuple[str, ...] = ()
    makers: tuple[str, ...] = ()
    name: str = ""
    roles: tuple[str, ...] = ()
    revoked: bool = False

    def is_good(self, now_ms: int) -> bool:
        """Whether it is there, has not expired and was not revoked itself."""
        return bool(self.digest) and not self.revoked and now_ms < self.expires_ms


def evolve(state: TokenState, record: Struct, _place: Place) -> TokenState:
    """The state after one event."""
    match record:
        case e.TokenCreated():
            given = (record.groups, record.makers, record.name, record.roles)
            return TokenState(record.digest, record.expires_ms, *given)
        case e.TokenRevoked():
            return replace(state, revoked=True)
        case _:
            return state
