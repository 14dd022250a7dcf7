"""What a token is, as its events tell it. It knows no time: whether one has expired says who looks."""

from __future__ import annotations

from msgspec import Struct

from interlock.access.tokens import events as e
from interlock.base.events import Place


class TokenState(Struct, frozen=True):
    """One token; `digest` is empty where there is none."""

    digest: str = ""
    expires_ms: int = 0
    groups: tuple[str, ...] = ()
    name: str = ""
    roles: tuple[str, ...] = ()
    revoked: bool = False

    def is_good(self, now_ms: int) -> bool:
        """Whether it is there, has not expired and was not revoked."""
        return bool(self.digest) and not self.revoked and now_ms < self.expires_ms


def evolve(state: TokenState, record: Struct, _place: Place) -> TokenState:
    """The state after one event."""
    match record:
        case e.TokenCreated():
            return TokenState(record.digest, record.expires_ms, record.groups, record.name, record.roles)
        case e.TokenRevoked():
            return TokenState(state.digest, state.expires_ms, state.groups, state.name, state.roles, revoked=True)
        case _:
            return state
