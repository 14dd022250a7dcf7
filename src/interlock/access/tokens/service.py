"""Tokens for the rest of the product: make, revoke, and prove.

What it does: draws secrets, names streams, executes the decider, and makes the principal of a text that a caller shows.
What it does not do: it keeps no secret: what it gives out once nobody can find again.

Rules:
- a token gives nothing that its maker does not have, and is good in the maker's tenant alone;
- under one command id there is one token: its repetition tells that the secret was given, and gives no other;
- texts that are malformed, unknown, expired or revoked are refused with one and the same error, and what is compared is
  compared in constant time;
- proving a text costs one look at one stream, whose state is kept in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from hmac import compare_digest

from msgspec import Struct

from interlock.access.check import Access
from interlock.access.errors import TOKEN_EXCEEDS, TOKEN_INVALID
from interlock.access.tokens.decide import DECIDER, New, Revoke
from interlock.access.tokens.events import TokenCreated, token_stream
from interlock.access.tokens.fold import TokenState
from interlock.access.tokens.text import (
    ID_BYTES,
    SECRET_BYTES,
    TokenPlace,
    id_of,
    id_under,
    place_of,
    token_digest,
    token_text,
)
from interlock.base.errors import InterlockError
from interlock.base.principal import Principal, PrincipalKind
from interlock.journal.errors import COMMAND_ID_CONFLICT
from interlock.journal.journal import Journal
from interlock.journal.runner import Runner

_NOTHING = token_digest("")


class NewToken(Struct, frozen=True):
    """A token that was made; `text` is its secret, None where it was given before. It is shown once, never logged."""

    id: str
    created: TokenCreated
    text: str | None


class Tokens:
    """All tokens of a journal."""

    def __init__(self, journal: Journal, runner: Runner, access: Access) -> None:
        self._journal = journal
        self._runner = runner
        self._access = access

    async def new(
        self,
        name: str,
        *,
        roles: Sequence[str],
        groups: Sequence[str],
        lifetime_ms: int,
        principal: Principal,
        command_id: str | None = None,
    ) -> NewToken:
        """Make a token in the principal's tenant, good for `lifetime_ms`.

        Raises: `role_unknown`, `group_unknown`, `token_exceeds`, `token_unsound`, `command_id_conflict`.
        """
        self._access.book.prove(roles, groups)
        excess = self._access.excess(principal, roles, groups)
        if excess is not None:
            raise TOKEN_EXCEEDS.error(f"its maker lacks the permission {excess}", permission=excess)
        tenant, entropy = principal.tenant, self._journal.entropy
        token_id = id_of(entropy.random_bytes(ID_BYTES)) if command_id is None else id_under(tenant, command_id)
        text = token_text(TokenPlace(tenant, token_id), entropy.random_bytes(SECRET_BYTES))
        stream = token_stream(tenant, token_id)
        known = await self._digest(stream)
        command = New(stream, name, tuple(roles), tuple(groups), lifetime_ms, known or token_digest(text))
        try:
            created = await self._runner.execute(DECIDER, command, principal, command_id)
        except InterlockError as fault:
            # The same command may have made it meanwhile, with another secret.
            meanwhile = await self._digest(stream) if fault.kind is COMMAND_ID_CONFLICT and not known else ""
            if not meanwhile:
                raise
            command = New(stream, name, tuple(roles), tuple(groups), lifetime_ms, meanwhile)
            created = await self._runner.execute(DECIDER, command, principal, command_id)
        fresh = compare_digest(created.digest, token_digest(text))
        return NewToken(token_id, created, text if fresh else None)

    async def revoke(self, token_id: str, reason: str, *, principal: Principal, command_id: str | None = None) -> bool:
        """End a token of the principal's tenant; False where it had been revoked. Raises: `token_not_found`."""
        command = Revoke(token_stream(principal.tenant, token_id), reason)
        return bool(await self._runner.execute(DECIDER, command, principal, command_id))

    async def verify(self, text: str) -> Principal:
        """The principal of a token's text. Raises: `token_invalid`, whatever is wrong with it; storage errors."""
        place = place_of(text)
        if place is None:
            raise TOKEN_INVALID.error("the token is not valid")
        state = await self._runner.look(DECIDER, token_stream(place.tenant, place.id), _itself)
        same = compare_digest(state.digest or _NOTHING, token_digest(text))
        if not (same and state.is_good(self._journal.now_ms())):
            raise TOKEN_INVALID.error("the token is not valid")
        return Principal(
            id=f"{PrincipalKind.TOKEN}:{state.name}",
            tenant=place.tenant,
            kind=PrincipalKind.TOKEN,
            roles=state.roles,
            groups=state.groups,
        )

    async def _digest(self, stream: str) -> str:
        """The digest of the token of a stream; empty where there is none."""
        state = await self._runner.look(DECIDER, stream, _itself)
        return state.digest


def _itself(state: TokenState) -> TokenState:
    """The state, which is immutable: nobody consumes it."""
    return state
