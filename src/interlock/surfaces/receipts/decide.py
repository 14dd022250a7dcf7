"""The decider of receipts: a key is taken by one call, and answered once.

What it does: says whether a call may have a key, and keeps the first answer. What it does not do: it runs no command
and reads no answer.

Rules: a key stays with the call that took it, also where that came to an error; of two answers the first stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from interlock.base.canonical import digest
from interlock.base.errors import InterlockError
from interlock.base.events import Place
from interlock.base.part import Artifact, DecideContext, Decided, Decider, Decision, Refusal
from interlock.journal.errors import COMMAND_ID_CONFLICT
from interlock.surfaces.receipts.events import KeyAnswered, KeyTaken

INLINE_BYTES_MAX = 16 * 1024
"""Bytes of an answer that stands in the event; a longer one is an artifact."""

ANSWER = "answer"
"""The kind of that artifact."""


class Receipt(Struct, frozen=True):
    """What a key stands for; `taken` is None while it is free, `answered` until there is an answer."""

    taken: KeyTaken | None = None
    answered: KeyAnswered | None = None


class Take(Struct, frozen=True):
    """Have the key of `stream` for a call. The result: whether it was free."""

    stream: str
    command: str
    input_digest: str


class Answer(Struct, frozen=True):
    """Keep what the call was answered, as JSON. The result: whether it is the first."""

    stream: str
    answer: bytes


ReceiptCommand: TypeAlias = Take | Answer


def _decide(states: Mapping[str, Any], command: ReceiptCommand, _context: DecideContext) -> Decision:
    receipt: Receipt = states[command.stream]
    match command:
        case Take():
            wanted = KeyTaken(command.command, command.input_digest)
            if receipt.taken is None:
                return {command.stream: [wanted]}
            return {} if receipt.taken == wanted else Refusal(_conflict(receipt.taken, wanted))
        case Answer():
            return {} if receipt.answered is not None else _kept(command)


def _conflict(taken: KeyTaken, wanted: KeyTaken) -> InterlockError:
    what = "another input" if taken.command == wanted.command else taken.command
    return COMMAND_ID_CONFLICT.error(f"this key was used for {what}", command=wanted.command, used_for=taken.command)


def _kept(command: Answer) -> Decision:
    if len(command.answer) <= INLINE_BYTES_MAX:
        return {command.stream: [KeyAnswered(command.answer.decode(), None)]}
    event = KeyAnswered(None, digest(command.answer))
    return Decided({command.stream: [event]}, [Artifact(ANSWER, command.answer)])


def evolve(receipt: Receipt, record: Struct, _place: Place) -> Receipt:
    """The receipt after one event."""
    match record:
        case KeyTaken():
            return Receipt(record, receipt.answered)
        case KeyAnswered():
            return Receipt(receipt.taken, record)
        case _:
            return receipt


def _result(events: Mapping[str, Sequence[Struct]], command: ReceiptCommand) -> bool:
    return bool(events.get(command.stream))


DECIDER = Decider(
    name="surfaces.receipt",
    streams=lambda command: (command.stream,),
    initial=lambda _stream: Receipt(),
    decide=_decide,
    evolve=evolve,
    result=_result,
)
