"""What a part says about its events: their types, and the derived rows that an append writes with them.

What it does: declares `EventType` and the rows that its pure `index` function may return: `IndexRow` (a key that
correctness needs), `Wake`, `Hold` and `Rest` (what happens to a stream's activation), `SetTimer` and `ClearTimer`.

What it does not do: it encodes nothing and writes nothing; the journal does.

Rules: a record is a frozen Struct with members in alphabetical order and no float in its types, so that a plain
encoder gives canonical bytes; free JSON inside it is `msgspec.Raw` of canonical bytes; an `index` function returns at
most three rows an event, and one more for each wait or timer that it opens or closes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import Struct


class Claim(Struct, frozen=True):
    """An owner's right to drive a stream: `epoch` is the fence, `expires_ms` when it lapses."""

    stream: str
    kind: str
    owner: str
    epoch: int
    expires_ms: int


class IndexRow(Struct, frozen=True):
    """Put `value` at `(index, key)`, or delete it where `value` is None; `fresh` refuses an existing key."""

    index: str
    key: str
    value: bytes | None
    fresh: bool = False


class Wake(Struct, frozen=True):
    """Make the activation of `stream` due no later than `due_ms`."""

    stream: str
    kind: str
    due_ms: int


class Hold(Struct, frozen=True):
    """Record that a claim on a stream is held."""

    claim: Claim


class Rest(Struct, frozen=True):
    """The stream has ended: its activation goes."""

    stream: str


class SetTimer(Struct, frozen=True):
    """Let the timer `timer_id` fire at `due_ms` for `stream`; one that is set already moves.

    Ids are unique in a partition: begin one with the id of its stream. A firing happens once for an id, due time and
    payload: who sets a timer again that may have fired, gives another time or payload, such as the number of the event.
    """

    timer_id: str
    stream: str
    due_ms: int
    payload: bytes = b""


class ClearTimer(Struct, frozen=True):
    """Take a timer away, fired or not; nothing if there is none."""

    timer_id: str


Row = IndexRow | Wake | Hold | Rest | SetTimer | ClearTimer


class Timer(Struct, frozen=True):
    """A timer that is set: when it is due, for which stream, and what its target needs to know."""

    timer_id: str
    stream: str
    due_ms: int
    payload: bytes


class Place(Struct, frozen=True):
    """Where an event stands: what an `index` function and a view may use beside the record.

    `bytes` are those of its stored data; 0 before it is stored.
    """

    stream: str
    seq: int
    at_ms: int
    actor: str
    correlation: str | None
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class EventType:
    """One version of one type of event.

    `name` is the envelope's `type`, `<part>.<name>`; `erasable` gives its data a salt; `upcast` turns the bytes of this
    old version into today's record; `index` derives rows, pure.
    """

    name: str
    version: int
    record: type[Struct]
    erasable: bool = False
    upcast: Callable[[bytes], Struct] | None = None
    index: Callable[[Place, Struct], Sequence[Row]] | None = None
