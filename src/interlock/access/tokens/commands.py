"""The verbs about tokens: records of input and output, and thin handlers over `Tokens`.

What it does: makes, lists and revokes tokens, and tells what ended with one. What it does not do: no verb shows a
secret again, or its digest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from interlock.access.errors import TOKEN_UNSOUND
from interlock.access.settings import NAME, NAMES_MAX
from interlock.access.tokens.decide import DAY_MS, GENERATIONS_MAX, MINUTE_MS
from interlock.access.tokens.service import Tokens
from interlock.access.tokens.views import TOKENS, TokenRow, behind
from interlock.base.bounds import PAGE_ITEMS_MAX
from interlock.base.part import CallContext, Command, Effect
from interlock.journal.journal import Journal
from interlock.journal.views import Views

_UNITS_MS = {"m": MINUTE_MS, "h": 60 * MINUTE_MS, "d": DAY_MS}
_LIFETIME = re.compile(r"\A([1-9][0-9]{0,6})([mhd])\Z")

Name = Annotated[
    str, Meta(pattern=NAME, description="A name that begins with a-z 0-9 and goes on with up to 62 of a-z 0-9 . _ @ -.")
]
Text = Annotated[str, Meta(min_length=1, max_length=63)]
Lifetime = Annotated[str, Meta(max_length=10)]


class NewTokenInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the token is called, what it may do, and how long."""

    name: Name
    role: Annotated[tuple[Text, ...], Meta(max_length=NAMES_MAX, description="A role that it has.")] = ()
    group: Annotated[tuple[Text, ...], Meta(max_length=NAMES_MAX, description="A group whose roles it has.")] = ()
    expires: Annotated[
        Lifetime | None,
        Meta(
            description="How long it is good: minutes (30m), hours (12h) or days; at most 366d, by default 90d. With a "
            "token: no longer than that, by default until it ends."
        ),
    ] = None


class TokenMade(Struct, frozen=True):
    """A token; `token` is its secret, which is shown this once. None where the same command has shown it before."""

    id: str
    name: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    expires_ms: int
    token: str | None
    secret: str


class ListTokens(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tokens to list, newest first."""

    name: Annotated[str | None, Meta(description="Only tokens of this name.")] = None
    limit: Annotated[int, Meta(ge=1, le=PAGE_ITEMS_MAX, description="Rows in a page.")] = 50
    cursor: Annotated[str | None, Meta(description="Where the page before ended.")] = None


class TokenShown(Struct, frozen=True):
    """A token without its secret. `state` is `good`, `expired` or `revoked`.

    `made_with` is the token that its maker was there by. Where that was revoked, or one that it goes back to, so is
    this one, from then on and for that reason.
    """

    id: str
    name: str
    state: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    created_by: str
    made_with: str | None
    created_ms: int
    expires_ms: int
    revoked_ms: int | None
    reason: str


class TokenList(Struct, frozen=True):
    """A page of tokens."""

    items: list[TokenShown]
    next: str | None


class RevokeToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which token is good for nothing any more, and why."""

    id: Annotated[str, Meta(min_length=1, max_length=63, description="The token's id, as `token list` gives it.")]
    reason: Annotated[str, Meta(min_length=1, max_length=500, description="Why; recorded with your name.")]


class TokenRevocation(Struct, frozen=True):
    """The token is revoked; `changed` is False where it was so already.

    `with_it` are the ids of tokens that go back to it and had not ended before: at most 1 000, and `more` says whether
    there are others. All of them are good for nothing any more.
    """

    id: str
    changed: bool
    with_it: list[str]
    more: bool


async def _new(ctx: CallContext, given: NewTokenInput) -> TokenMade:
    made = await ctx.services.get(Tokens).new(
        given.name,
        roles=given.role,
        groups=given.group,
        lifetime_ms=None if given.expires is None else lifetime_ms(given.expires),
        principal=ctx.principal,
        command_id=ctx.command_id,
    )
    said = "given before, and never again" if made.text is None else "shown once: keep it now"
    created = made.created
    return TokenMade(made.id, created.name, created.roles, created.groups, created.expires_ms, made.text, said)


def lifetime_ms(text: str) -> int:
    """The milliseconds of `30m`, `12h` or `90d`. Raises: `token_unsound`."""
    found = _LIFETIME.match(text)
    if found is None:
        raise TOKEN_UNSOUND.error("`expires`: a number and m, h or d is expected, such as 30d", place="expires")
    return int(found[1]) * _UNITS_MS[found[2]]


async def _list(ctx: CallContext, given: ListTokens) -> TokenList:
    terms = {} if given.name is None else {"name": given.name}
    views, tenant = ctx.services.get(Views), ctx.principal.tenant
    page = await views.query(tenant, TOKENS.name, terms, given.cursor, given.limit)
    ids = sorted({each for row in page.items for each in row.makers})
    makers = dict(zip(ids, await views.rows(tenant, TOKENS.name, ids), strict=True))
    now_ms = ctx.services.get(Journal).now_ms()
    return TokenList([_shown(row, [makers[each] for each in row.makers], now_ms) for row in page.items], page.next)


def _shown(row: TokenRow, makers: Sequence[TokenRow | None], now_ms: int) -> TokenShown:
    ended = min(
        (each for each in (row, *makers) if each is not None and each.revoked_ms is not None),
        key=lambda each: each.revoked_ms or 0,
        default=None,
    )
    state = "revoked" if ended is not None else "expired" if row.expires_ms <= now_ms else "good"
    return TokenShown(
        row.id,
        row.name,
        state,
        row.roles,
        row.groups,
        row.created_by,
        row.makers[0] if row.makers else None,
        row.created_ms,
        row.expires_ms,
        None if ended is None else ended.revoked_ms,
        "" if ended is None else ended.reason,
    )


async def _revoke(ctx: CallContext, given: RevokeToken) -> TokenRevocation:
    tokens = ctx.services.get(Tokens)
    changed = await tokens.revoke(given.id, given.reason, principal=ctx.principal, command_id=ctx.command_id)
    with_it = await _descendants(ctx, given.id)
    return TokenRevocation(given.id, changed, with_it[:PAGE_ITEMS_MAX], len(with_it) > PAGE_ITEMS_MAX)


async def _descendants(ctx: CallContext, token_id: str) -> list[str]:
    """Tokens that go back to this one and had not ended before it, nearest first; past the bound it stops."""
    views, now_ms = ctx.services.get(Views), ctx.services.get(Journal).now_ms()
    found: list[str] = []
    revoked: set[str] = set()
    for distance in range(1, GENERATIONS_MAX + 1):
        cursor: str | None = None
        while len(found) <= PAGE_ITEMS_MAX:
            terms = {behind(distance): token_id}
            page = await views.query(ctx.principal.tenant, TOKENS.name, terms, cursor, PAGE_ITEMS_MAX)
            revoked.update(row.id for row in page.items if row.revoked_ms is not None)
            found += [
                row.id
                for row in page.items
                if now_ms < row.expires_ms and row.id not in revoked and revoked.isdisjoint(row.makers)
            ]
            cursor = page.next
            if cursor is None:
                break
    return found


COMMANDS = (
    Command(
        "token",
        "new",
        NewTokenInput,
        TokenMade,
        _new,
        "Make a token that acts with roles in your tenant; its secret is shown once.",
        "interlock token new ci --role operator --expires 30d",
        "token.new",
        Effect.CHANGES,
        positional=("name",),
        creates=True,
        secret_output=True,
    ),
    Command(
        "token",
        "list",
        ListTokens,
        TokenList,
        _list,
        "List tokens without their secrets: who made them, what they may, how long.",
        "interlock token list",
        "token.read",
        Effect.READS,
    ),
    Command(
        "token",
        "revoke",
        RevokeToken,
        TokenRevocation,
        _revoke,
        "End a token at once, and every token that goes back to it.",
        "interlock token revoke 5f1c0a9be2d47386 --reason 'its machine is gone'",
        "token.revoke",
        Effect.CHANGES,
        positional=("id",),
    ),
)
