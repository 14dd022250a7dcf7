"""Who owns which stream, and which streams want an owner: the table behind activations.

What it does: keeps one `Activation` a stream, in the order in which they can be claimed, and says what the
rows of an append make of it. What it does not do: it reads no clock and calls nobody.

Rules: a claim lives until it expires or its owner dies; what nobody owns can be claimed when it is due, and
what was owned can be claimed when the claim has ended without a release; a wake is kept while a claim is
held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from interlock.base.events import Claim, Hold, Rest, Row, Wake
from interlock.journal.errors import CLAIM_LOST
from interlock.stores.memory.rows import SortedRows


class Activation(Struct, frozen=True):
    """One stream: `claim` while it is held, `due_ms` when it wants an owner, `epoch` of its last claim."""

    partition: str
    kind: str
    due_ms: int | None = None
    epoch: int = 0
    claim: Claim | None = None

    @property
    def open_ms(self) -> int | None:
        """When it can be claimed; None as long as nobody wakes it."""
        return self.due_ms if self.claim is None else self.claim.expires_ms

    def woken(self, kind: str, due_ms: int) -> Activation:
        """Due at `due_ms`, unless it is due before."""
        earlier = due_ms if self.due_ms is None else min(self.due_ms, due_ms)
        return msgspec.structs.replace(self, kind=kind, due_ms=earlier)

    def held(self, claim: Claim) -> Activation:
        """Owned by `claim`, and due only if it was."""
        return msgspec.structs.replace(self, kind=claim.kind, epoch=claim.epoch, claim=claim)

    def released(self, until_ms: int | None) -> Activation:
        """Owned by nobody; due at `until_ms`, or before if it was woken meanwhile."""
        freed = msgspec.structs.replace(self, claim=None)
        return freed if until_ms is None else freed.woken(self.kind, until_ms)


class Agenda:
    """All activations of a store."""

    def __init__(self) -> None:
        self._activations: dict[str, Activation] = {}
        self._open: dict[tuple[str, str], SortedRows[tuple[int, str], None]] = defaultdict(SortedRows)

    def get(self, stream: str) -> Activation | None:
        """The activation of a stream."""
        return self._activations.get(stream)

    def put(self, stream: str, activation: Activation | None) -> None:
        """Set the activation of a stream, or take it away."""
        old = self._activations.pop(stream, None)
        if old is not None and old.open_ms is not None:
            self._open[old.partition, old.kind].drop((old.open_ms, stream))
        if activation is None:
            return
        self._activations[stream] = activation
        if activation.open_ms is not None:
            self._open[activation.partition, activation.kind].put((activation.open_ms, stream), None)

    def next_open(self, partition: str, kinds: Sequence[str]) -> tuple[int, str] | None:
        """When the first stream of these kinds can be claimed, and which it is."""
        first = (self._open[partition, kind].first() for kind in kinds)
        return min((place for place in first if place is not None), default=None)

    def changes(self, partition: str, rows: Sequence[Row]) -> dict[str, Activation | None]:
        """What the rows of an append make of the activations. Raises: `claim_lost`."""
        changes: dict[str, Activation | None] = {}

        def current(stream: str, kind: str) -> Activation:
            found = changes[stream] if stream in changes else self._activations.get(stream)
            return found or Activation(partition, kind)

        for row in rows:
            match row:
                case Wake(stream, kind, due_ms):
                    changes[stream] = current(stream, kind).woken(kind, due_ms)
                case Hold(claim):
                    changes[claim.stream] = _recorded(current(claim.stream, claim.kind), claim)
                case Rest(stream):
                    changes[stream] = None
                case _:
                    pass
        return changes

    def end_claims(self, owner: str) -> None:
        """End every claim of an owner that has died: each can be claimed at once."""
        for stream, activation in list(self._activations.items()):
            claim = activation.claim
            if claim is not None and claim.owner == owner:
                self.put(stream, activation.held(msgspec.structs.replace(claim, expires_ms=0)))


def _recorded(activation: Activation, claim: Claim) -> Activation:
    """The activation with a claim that its owner records. Raises: `claim_lost` if a later claim stands."""
    held = activation.claim
    if claim.epoch < activation.epoch:
        raise CLAIM_LOST.error(f"a later claim on {claim.stream} stands", stream=claim.stream)
    if held is None or claim.epoch > activation.epoch:
        return activation.held(claim)
    if held.owner != claim.owner:
        raise CLAIM_LOST.error(f"another claim on {claim.stream} stands", stream=claim.stream)
    # A renewal may have come in between.
    return activation.held(max(held, claim, key=lambda each: each.expires_ms))
