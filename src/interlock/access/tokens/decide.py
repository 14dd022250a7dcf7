"""The decider of tokens: what each command makes of one.

What it does: creates and revokes. What it does not do: it draws no secret and sees none, and whether somebody may give
these roles was asked before (`service`).

Rules: a token is created once and lives for a bounded time, and no longer than the token that its maker is there by;
behind one stand at most `GENERATIONS_MAX` others, so that whoever proves it looks at no more; what is revoked stays so,
and revoking it again records nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from interlock.access.errors import (
    TOKEN_GENERATIONS,
    TOKEN_INVALID,
    TOKEN_NOT_FOUND,
    TOKEN_OUTLIVES,
    TOKEN_UNSOUND,
)
from interlock.access.settings import NAME, NAMES_MAX
from interlock.access.tokens import events as e
from interlock.access.tokens.fold import TokenState, evolve
from interlock.base.errors import InterlockError
from interlock.base.part import DecideContext, Decider, Decision, Refusal
from interlock.journal.errors import COMMAND_ID_CONFLICT
from interlock.journal.streams import parse_stream

MINUTE_MS = 60_000
DAY_MS = 86_400_000
LIFETIME_MS_MAX = 366 * DAY_MS
GENERATIONS_MAX = 8
"""Tokens that may stand behind one: by which its maker was there, that one's maker, and so on."""

_NAME = re.compile(NAME)


class New(Struct, frozen=True, tag=True):
    """Create the token of a stream; `digest` is that of its text.

    `maker` is the stream of the token that its maker is there by, if any. `fits` lets the time end where that one's
    ends, if it is longer; otherwise it is refused.
    """

    stream: str
    name: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    lifetime_ms: int
    digest: str
    maker: str | None = None
    fits: bool = False


class Revoke(Struct, frozen=True, tag=True):
    """End a token."""

    stream: str
    reason: str


TokenCommand: TypeAlias = New | Revoke


def _decide(states: Mapping[str, Any], command: TokenCommand, context: DecideContext) -> Decision:
    state: TokenState = states[command.stream]
    match command:
        case Revoke() if not state.digest:
            return Refusal(TOKEN_NOT_FOUND.error("there is no such token"))
        case Revoke():
            return {command.stream: [] if state.revoked else [e.TokenRevoked(command.reason)]}
        case New():
            fault = COMMAND_ID_CONFLICT.error("this token is there already") if state.digest else _unsound(command)
            if fault is not None:
                return Refusal(fault)
            return _create(command, None if command.maker is None else states[command.maker], context.now_ms)


def _create(command: New, maker: TokenState | None, now_ms: int) -> Decision:
    expires_ms = now_ms + command.lifetime_ms
    makers: tuple[str, ...] = ()
    if maker is not None and command.maker is not None:
        if not maker.is_good(now_ms):
            return Refusal(TOKEN_INVALID.error("the token is not valid"))
        if expires_ms > maker.expires_ms and not command.fits:
            message = "its maker's token ends before it"
            return Refusal(TOKEN_OUTLIVES.error(message, place="expires", expires_ms_max=maker.expires_ms))
        expires_ms = min(expires_ms, maker.expires_ms)
        makers = (parse_stream(command.maker).id, *maker.makers)
        if len(makers) > GENERATIONS_MAX:
            return Refusal(TOKEN_GENERATIONS.error(f"{GENERATIONS_MAX} tokens stand behind it already"))
    created = e.TokenCreated(command.digest, expires_ms, command.groups, makers, command.name, command.roles)
    return {command.stream: [created]}


def _unsound(command: New) -> InterlockError | None:
    """Why a token cannot be made as it is asked for."""
    if _NAME.match(command.name) is None:
        return TOKEN_UNSOUND.error("a name is a-z 0-9 first, then up to 62 of a-z 0-9 . _ @ -", place="name")
    if not (command.roles or command.groups):
        return TOKEN_UNSOUND.error(
            "a token without role and group could do nothing: give it a role (`--role`) or a group", place="role"
        )
    if max(len(command.roles), len(command.groups)) > NAMES_MAX:
        return TOKEN_UNSOUND.error(f"a token has at most {NAMES_MAX} roles and groups", place="role")
    if not MINUTE_MS <= command.lifetime_ms <= LIFETIME_MS_MAX:
        return TOKEN_UNSOUND.error("a token lives from one minute to 366 days", place="expires")
    return None


def _streams(command: TokenCommand) -> tuple[str, ...]:
    maker = command.maker if isinstance(command, New) else None
    return (command.stream,) if maker is None else (command.stream, maker)


def _result(events: Mapping[str, Sequence[Struct]], command: TokenCommand) -> e.TokenCreated | bool:
    """What was created; of a revocation, whether it ended anything."""
    records = events.get(command.stream, ())
    created = next((record for record in records if isinstance(record, e.TokenCreated)), None)
    return created if created is not None else bool(records)


DECIDER = Decider(
    name="access.token",
    streams=_streams,
    initial=lambda _stream: TokenState(),
    decide=_decide,
    evolve=evolve,
    result=_result,
)
