"""What a subscription is, as its events tell it.

What it does: folds the stream of a subscription; `orders_of` says what that means for who delivers. What it does not
do: it knows no time, and not how far the subscription is.

Rules: the state holds the dead letters that were not redone, which are bounded; `evolve` consumes the state that it is
given.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from interlock.base.events import Place
from interlock.journal.journal import Fold
from interlock.journal.subscriptions import events as e


class Letter(Struct, frozen=True):
    """An event that was given up; `redriven` while it is to be delivered again."""

    at_ms: int
    attempts: int
    code: str
    message: str
    seq: int
    stream: str
    redriven: bool = False

    @property
    def key(self) -> str:
        """What its delivery is known by."""
        return e.key_of(self.stream, self.seq)


class SubscriptionState(Struct):
    """One subscription; `generation` is 0 where there is none, and `removed` that of the last one there was.

    `version` counts what was ordered of it: it moves when it is added, paused or resumed, and with nothing else.
    """

    generation: int = 0
    version: int = 0
    removed: int = 0
    after_position: int | None = None
    filter: e.Filter = e.Filter()
    local: bool = False
    sink: str = ""
    target: Raw = Raw(b"{}")
    paused: e.SubscriptionPaused | None = None
    letters: dict[str, Letter] = msgspec.field(default_factory=dict)


class Orders(Struct, frozen=True):
    """What the events order who delivers: nothing of it changes with later ones."""

    generation: int
    after_position: int | None
    filter: e.Filter
    local: bool
    sink: str
    target: Raw
    paused: bool
    redriven: tuple[Letter, ...]


def evolve(state: SubscriptionState, record: Struct, place: Place) -> SubscriptionState:
    """The state after one event."""
    match record:
        case e.SubscriptionAdded():
            return SubscriptionState(
                generation=place.seq,
                version=place.seq,
                after_position=record.after_position,
                filter=record.filter,
                local=record.local,
                sink=record.sink,
                target=record.target,
            )
        case e.SubscriptionRemoved():
            return SubscriptionState(removed=state.generation)
        case e.SubscriptionPaused():
            state.paused, state.version = record, place.seq
        case e.SubscriptionResumed():
            state.paused, state.version = None, place.seq
        case e.DeliveryDead():
            letter = Letter(place.at_ms, record.attempts, record.code, record.message, record.seq, record.stream)
            state.letters[letter.key] = letter
        case e.DeliveryRedriven():
            key = e.key_of(record.stream, record.seq)
            state.letters[key] = msgspec.structs.replace(state.letters[key], redriven=True)
        case e.DeliveryRedone():
            state.letters.pop(e.key_of(record.stream, record.seq), None)
    return state


def orders_of(state: SubscriptionState) -> Orders | None:
    """What who delivers has to know; None where there is no subscription."""
    if state.generation == 0:
        return None
    redriven = sorted((each for each in state.letters.values() if each.redriven), key=lambda each: each.seq)
    return Orders(
        generation=state.generation,
        after_position=state.after_position,
        filter=state.filter,
        local=state.local,
        sink=state.sink,
        target=state.target,
        paused=state.paused is not None,
        redriven=tuple(redriven),
    )


save = msgspec.json.Encoder().encode
"""A state as bytes, for fold snapshots."""

restore = msgspec.json.Decoder(SubscriptionState).decode
"""A state from its bytes."""

SUBSCRIPTION_FOLD: Fold[SubscriptionState] = Fold(
    "journal.subscription", 2, lambda _stream: SubscriptionState(), evolve, save=save, restore=restore
)
