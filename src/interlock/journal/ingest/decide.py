"""The decider of events from outside: what is new of what came.

What it does: records the events that no row of the index knows, in the streams of their sources. What it does not do:
it judges no sender (`service`), and folds nothing but how many there were.

Rules: all that came together is recorded together or not at all; of one source and id the first counts, whatever a
later one says, and a repetition is no error: CloudEvents lets a receiver take it for the same event; a sender that
repeats is answered as it was the first time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.events import Place
from interlock.base.part import Artifact, DecideContext, Decided, Decider, DeciderSnapshots, Decision
from interlock.journal.ingest.events import RECEIVED_INDEX, EventReceived, event_key

SNAPSHOT_EVENTS = 500


class Arrival(Struct, frozen=True):
    """An event for a stream, and the bytes of its artifact if it names one."""

    stream: str
    event: EventReceived
    content: bytes | None = None

    @property
    def key(self) -> str:
        """What the index knows it by."""
        return event_key(self.event.source, self.event.id)


class Receive(Struct, frozen=True):
    """Take these events."""

    arrivals: tuple[Arrival, ...]


class InboxState(Struct, frozen=True):
    """How many events of a source there are."""

    events: int = 0


def _decide(_states: Mapping[str, Any], command: Receive, context: DecideContext) -> Decision:
    events: dict[str, list[Struct]] = {}
    artifacts: list[Artifact] = []
    known = {key for (_, key), row in context.rows.items() if row is not None}
    for arrival in command.arrivals:
        if arrival.key in known:
            continue
        known.add(arrival.key)
        events.setdefault(arrival.stream, []).append(arrival.event)
        if arrival.content is not None:
            artifacts.append(Artifact("event_data", arrival.content))
    return Decided(events, artifacts)


def _evolve(state: InboxState, _record: Struct, _place: Place) -> InboxState:
    return InboxState(state.events + 1)


def _result(events: Mapping[str, Sequence[Struct]], _command: Receive) -> int:
    """How many were new."""
    return sum(map(len, events.values()))


DECIDER = Decider(
    name="journal.ingest",
    streams=lambda command: [arrival.stream for arrival in command.arrivals],
    initial=lambda _stream: InboxState(),
    decide=_decide,
    evolve=_evolve,
    result=_result,
    snapshots=DeciderSnapshots(
        "journal.ingest",
        1,
        msgspec.json.Decoder(InboxState).decode,
        msgspec.json.Encoder().encode,
        SNAPSHOT_EVENTS,
    ),
    rows=lambda command: [(RECEIVED_INDEX, arrival.key) for arrival in command.arrivals],
)
