"""The decider of subscriptions: what each command makes of one.

What it does: adds, pauses, resumes and removes; records dead letters, their redrive and what comes of it. What it does
not do: it delivers nothing, and how far a subscription is concerns it not.

Rules:
- what is already so is no error and records nothing: adding the same again, pausing what is paused, removing what is
  not there; another subscription under a name that is taken is a conflict;
- what a deliverer reports counts only for the generation that it delivers, and once;
- who expects a version of it changes that one and no other;
- with as many dead letters as are kept, the subscription pauses itself: no event is dropped unrecorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Raw, Struct

from interlock.base.canonical import canonical, parse
from interlock.base.events import Claim
from interlock.base.part import DecideContext, Decider, DeciderSnapshots, Decision, Refusal
from interlock.base.principal import PrincipalKind
from interlock.journal.errors import (
    LETTER_NOT_FOUND,
    SUBSCRIPTION_EXISTS,
    SUBSCRIPTION_INVALID,
    SUBSCRIPTION_NOT_FOUND,
    VERSION_MOVED,
)
from interlock.journal.streams import parse_stream
from interlock.journal.subscriptions import events as e
from interlock.journal.subscriptions.filters import fault_of
from interlock.journal.subscriptions.fold import SUBSCRIPTION_FOLD, Letter, SubscriptionState, restore, save

LETTERS_MAX = 1_000
"""Dead letters of one subscription that are kept; then it pauses."""

TEXT_CHARACTERS_MAX = 500
LETTERS_FULL = "dead_letters_full"
"""The code of the pause that a subscription with `LETTERS_MAX` dead letters takes."""

SNAPSHOT_EVENTS = 200
_NAME = re.compile(r"\A[a-z][a-z0-9_-]{0,62}\Z")


class Add(Struct, frozen=True, tag=True):
    """Deliver the events after a position, or those behind this command (None), to a sink; `target` is JSON."""

    stream: str
    sink: str
    target: str
    filter: e.Filter = e.Filter()
    after_position: int | None = None


class Pause(Struct, frozen=True, tag=True):
    """Deliver nothing until it is resumed."""

    stream: str
    reason: str
    code: str | None = None
    generation: int = 0
    """Which one a deliverer means; 0 means the one that is there."""
    expect_version: int | None = None


class Resume(Struct, frozen=True, tag=True):
    """Deliver again."""

    stream: str
    expect_version: int | None = None


class Remove(Struct, frozen=True, tag=True):
    """Forget it."""

    stream: str
    expect_version: int | None = None


class GiveUp(Struct, frozen=True, tag=True):
    """Record, for who delivers, that an event is a dead letter."""

    claim: Claim
    generation: int
    event_stream: str
    seq: int
    attempts: int
    code: str
    message: str


class Redrive(Struct, frozen=True, tag=True):
    """Have dead letters delivered again: those named, or all."""

    stream: str
    keys: tuple[str, ...] = ()
    expect_version: int | None = None


class Arrive(Struct, frozen=True, tag=True):
    """Record, for who delivers, that a redriven letter has arrived."""

    claim: Claim
    generation: int
    event_stream: str
    seq: int


SubscriptionCommand: TypeAlias = Add | Pause | Resume | Remove | GiveUp | Redrive | Arrive


def _decide(states: Mapping[str, Any], command: SubscriptionCommand, context: DecideContext) -> Decision:
    stream = _stream_of(command)
    state: SubscriptionState = states[stream]
    expected = getattr(command, "expect_version", None)
    if expected is not None and expected != state.version:
        return Refusal(VERSION_MOVED.error("the subscription is not as it was then", version=state.version))
    match command:
        case Add():
            return _add(state, command, local=context.principal.kind is PrincipalKind.LOCAL)
        case Remove():
            return {stream: [e.SubscriptionRemoved()] if state.generation else []}
        case GiveUp():
            return {stream: _give_up(state, command)}
        case Arrive():
            return {stream: _arrive(state, command)}
        case _ if not state.generation:
            return Refusal(SUBSCRIPTION_NOT_FOUND.error("there is no such subscription"))
        case Pause():
            meant = command.generation in {0, state.generation}
            paused = e.SubscriptionPaused(command.code, command.reason[:TEXT_CHARACTERS_MAX])
            return {stream: [paused] if meant and state.paused is None else []}
        case Resume():
            return {stream: [e.SubscriptionResumed()] if state.paused is not None else []}
        case Redrive():
            return _redrive(state, command)


def _add(state: SubscriptionState, command: Add, *, local: bool) -> Decision:
    if _NAME.match(parse_stream(command.stream).id) is None:
        message = "a name begins with a-z and goes on with up to 62 of a-z 0-9 _ -"
        return Refusal(SUBSCRIPTION_INVALID.error(message, place="name"))
    fault = fault_of(command.filter)
    if fault is not None:
        return Refusal(fault)
    target = Raw(canonical(parse(command.target)))
    if not state.generation:
        added = e.SubscriptionAdded(command.after_position, command.filter, local, command.sink, target)
        return {command.stream: [added]}
    there = (state.sink, bytes(state.target), state.filter)
    if there == (command.sink, bytes(target), command.filter):
        return {}
    return Refusal(SUBSCRIPTION_EXISTS.error("another subscription has this name"))


def _give_up(state: SubscriptionState, command: GiveUp) -> list[Struct]:
    known = state.letters.get(e.key_of(command.event_stream, command.seq))
    if state.generation != command.generation or (known is not None and not known.redriven):
        return []
    claim = command.claim
    dead = e.DeliveryDead(
        again=known is not None,
        attempts=command.attempts,
        code=command.code,
        epoch=claim.epoch,
        expires_ms=claim.expires_ms,
        message=command.message[:TEXT_CHARACTERS_MAX],
        owner=claim.owner,
        seq=command.seq,
        stream=command.event_stream,
    )
    if known is None and len(state.letters) + 1 >= LETTERS_MAX and state.paused is None:
        return [dead, e.SubscriptionPaused(LETTERS_FULL, f"{LETTERS_MAX} dead letters wait for a decision")]
    return [dead]


def _arrive(state: SubscriptionState, command: Arrive) -> list[Struct]:
    known = state.letters.get(e.key_of(command.event_stream, command.seq))
    if state.generation != command.generation or known is None or not known.redriven:
        return []
    claim = command.claim
    return [e.DeliveryRedone(claim.epoch, claim.expires_ms, claim.owner, command.seq, command.event_stream)]


def _redrive(state: SubscriptionState, command: Redrive) -> Decision:
    missing = [key for key in command.keys if key not in state.letters]
    if missing:
        return Refusal(LETTER_NOT_FOUND.error("one of these events is no dead letter", letters=len(missing)))
    chosen: list[Letter] = [state.letters[key] for key in dict.fromkeys(command.keys or state.letters)]
    return {command.stream: [e.DeliveryRedriven(each.seq, each.stream) for each in chosen if not each.redriven]}


def _result(events: Mapping[str, Sequence[Struct]], command: SubscriptionCommand) -> int:
    """How many events the command recorded: 0 where all was so already."""
    return len(events.get(_stream_of(command), ()))


def _stream_of(command: SubscriptionCommand) -> str:
    return command.claim.stream if isinstance(command, GiveUp | Arrive) else command.stream


DECIDER = Decider(
    name="journal.subscription",
    streams=lambda command: (_stream_of(command),),
    initial=SUBSCRIPTION_FOLD.initial,
    decide=_decide,
    evolve=SUBSCRIPTION_FOLD.evolve,
    result=_result,
    snapshots=DeciderSnapshots(SUBSCRIPTION_FOLD.name, SUBSCRIPTION_FOLD.version, restore, save, SNAPSHOT_EVENTS),
)
