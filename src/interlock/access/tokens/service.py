"""Tokens for the rest of the product: make, revoke, and prove.

What it does: draws secrets, names streams, executes the decider, and makes the principal of a text that a caller shows.
What it does not do: it keeps no secret: what it gives out once nobody can find again.

Rules:
- a token gives nothing that its maker does not have, and is good in the maker's tenant alone;
- one that was made by who was there by a token is good only as long as that one is, and all that it goes back to:
  whoever revokes one ends them all in the same moment;
- under one command id there is one token: its repetition tells that the secret was given, and gives no other;
- texts that are malformed, unknown, expired or revoked are refused with one and the same error, and what is compared is
  compared in constant time;
- proving a text costs one look at a stream for the token and each that it goes back to, which are `GENERATIONS_MAX` at
  most; their states are kept in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from hmac import compare_digest

from msgspec import Struct
from msgspec.structs import replace

from interlock.access.check import Access
from interlock.access.errors import TOKEN_EXCEEDS, TOKEN_INVALID
from interlock.access.tokens.decide import DAY_MS, DECIDER, New, Revoke
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

LIFETIME_MS = 90 * DAY_MS
"""How long a token lives for which no time is asked."""

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
        lifetime_ms: int | None,
        principal: Principal,
        command_id: str | None = None,
    ) -> NewToken:
        """Make a token in the principal's tenant, good for `lifetime_ms`.

        None: for `LIFETIME_MS`, or until the principal's own token ends, if that comes sooner.

        Raises: `role_unknown`, `group_unknown`, `token_exceeds`, `token_outlives`, `token_generations`,
        `token_unsound`, `command_id_conflict`; `token_invalid` where the principal's token has ended meanwhile.
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
        maker = None if principal.token is None else token_stream(tenant, principal.token)
        command = New(
            stream,
            name,
            tuple(roles),
            tuple(groups),
            LIFETIME_MS if lifetime_ms is None else lifetime_ms,
            known or token_digest(text),
            maker,
            fits=lifetime_ms is None and maker is not None,
        )
        try:
            created = await self._runner.execute(DECIDER, command, principal, command_id)
        except InterlockError as fault:
            # The same command may have made it meanwhile, with another secret.
            meanwhile = await self._digest(stream) if fault.kind is COMMAND_ID_CONFLICT and not known else ""
            if not meanwhile:
                raise
            command = replace(command, digest=meanwhile)
            created = await self._runner.execute(DECIDER, command, principal, command_id)
        fresh = compare_digest(created.digest, token_digest(text))
        return NewToken(token_id, created, text if fresh else None)

    async def revoke(self, token_id: str, reason: str, *, principal: Principal, command_id: str | None = None) -> bool:
        """End a token of the principal's tenant, and with it whatever goes back to it.

        False where it had been revoked. Raises: `token_not_found`.
        """
        command = Revoke(token_stream(principal.tenant, token_id), reason)
        return bool(await self._runner.execute(DECIDER, command, principal, command_id))

    async def verify(self, text: str) -> Principal:
        """The principal of a token's text. Raises: `token_invalid`, whatever is wrong with it; storage errors."""
        place = place_of(text)
        if place is None:
            raise TOKEN_INVALID.error("the token is not valid")
        state = await self._state(place.tenant, place.id)
        same = compare_digest(state.digest or _NOTHING, token_digest(text))
        if not (same and await self._is_good(place.tenant, state)):
            raise TOKEN_INVALID.error("the token is not valid")
        return Principal(
            id=f"{PrincipalKind.TOKEN}:{state.name}",
            tenant=place.tenant,
            kind=PrincipalKind.TOKEN,
            roles=state.roles,
            groups=state.groups,
            token=place.id,
        )

    async def _is_good(self, tenant: str, state: TokenState) -> bool:
        """Whether a token is good, and every one that it goes back to."""
        makers = [await self._state(tenant, each) for each in state.makers] if state.digest else []
        now_ms = self._journal.now_ms()
        return all(each.is_good(now_ms) for each in (state, *makers))

    async def _state(self, tenant: str, token_id: str) -> TokenState:
        return await self._runner.look(DECIDER, token_stream(tenant, token_id), _itself)

    async def _digest(self, stream: str) -> str:
        """The digest of the token of a stream; empty where there is none."""
        state = await self._runner.look(DECIDER, stream, _itself)
        return state.digest


def _itself(state: TokenState) -> TokenState:
    """The state, which is immutable: nobody consumes it."""
    return state
