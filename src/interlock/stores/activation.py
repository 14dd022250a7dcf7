"""The state of one activation and what may become of it, pure.

What it does: says what waking, holding, ending and releasing make of an activation. What it does not do: it
reads and writes nothing; each adapter keeps the rows.

Rules: a claim lives until it expires or its owner dies; a wake is kept while a claim is held; epochs only
rise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from interlock.base.events import Claim, ClearTimer, Hold, IndexRow, Rest, Row, SetTimer, Wake
from interlock.journal.errors import CLAIM_LOST

DUE_MAX = 1_024
"""Activations that are due, up to which partitions are found by looking at each of them.

Where more are due, whoever asks goes from partition to partition, whatever is due in each.
"""

_ACTIVATION_ROWS = (Wake, Hold, Rest)


class Activation(Struct, frozen=True):
    """One stream's: `due_ms` when it wants an owner; `owner` and `expires_ms` while it is held."""

    stream: str
    partition: str
    kind: str
    due_ms: int | None = None
    epoch: int = 0
    owner: str | None = None
    expires_ms: int | None = None

    @property
    def claim(self) -> Claim | None:
        """Who holds it, living or not."""
        if self.owner is None or self.expires_ms is None:
            return None
        return Claim(self.stream, self.kind, self.owner, self.epoch, self.expires_ms)

    @property
    def open_ms(self) -> int | None:
        """When it can be claimed: at its due time, or when its claim ends; None as long as nobody wakes it."""
        return self.due_ms if self.owner is None else self.expires_ms

    def living(self, now_ms: int) -> Claim | None:
        """The claim, if it has not expired."""
        claim = self.claim
        return claim if claim is not None and claim.expires_ms > now_ms else None

    def values(self) -> tuple[str, str, str, int | None, int, str | None, int | None]:
        """The row that keeps it."""
        return (self.stream, self.partition, self.kind, self.due_ms, self.epoch, self.owner, self.expires_ms)

    def woken(self, kind: str, due_ms: int) -> Activation:
        """Due at `due_ms`, unless it is due before."""
        return replace(self, kind=kind, due_ms=due_ms if self.due_ms is None else min(self.due_ms, due_ms))

    def recorded(self, claim: Claim) -> Activation:
        """Held by a claim that its owner records. Raises: `claim_lost` if another or a later one stands.

        Where nobody ever claimed it, this is the claim, and takes the due time away as any claim does.
        """
        other = self.owner is not None and self.owner != claim.owner
        if claim.epoch < self.epoch or (claim.epoch == self.epoch and other):
            raise CLAIM_LOST.error(f"a later claim on {self.stream} stands", stream=self.stream)
        # A renewal may have come in between: it is not taken back.
        expires_ms = max(claim.expires_ms, (self.expires_ms or 0) if claim.epoch == self.epoch else 0)
        due_ms = None if self.epoch == 0 else self.due_ms
        return Activation(self.stream, self.partition, claim.kind, due_ms, claim.epoch, claim.owner, expires_ms)

    def claimed(self, owner: str, expires_ms: int) -> Activation:
        """Newly held by `owner`, under the next epoch, and no longer due."""
        return Activation(self.stream, self.partition, self.kind, None, self.epoch + 1, owner, expires_ms)

    def extended(self, expires_ms: int) -> Activation:
        """Held by the same claim until `expires_ms`."""
        return replace(self, expires_ms=expires_ms)

    def released(self, until_ms: int | None) -> Activation:
        """Held by nobody; due at `until_ms`, or before if it was woken meanwhile."""
        freed = replace(self, owner=None, expires_ms=None)
        return freed if until_ms is None else freed.woken(self.kind, until_ms)


def streams_of(rows: Sequence[Row]) -> list[str]:
    """The streams whose activations the rows of an append change."""
    return [
        row.claim.stream if isinstance(row, Hold) else row.stream for row in rows if isinstance(row, _ACTIVATION_ROWS)
    ]


def changed(
    partition: str, rows: Sequence[Row], known: Mapping[str, Activation | None]
) -> dict[str, Activation | None]:
    """What the rows of an append make of the activations that are `known`; None takes one away.

    Raises: `claim_lost`.
    """
    changes: dict[str, Activation | None] = {}

    def current(stream: str, kind: str) -> Activation:
        found = changes[stream] if stream in changes else known.get(stream)
        return found or Activation(stream, partition, kind)

    for row in rows:
        match row:
            case Wake(stream, kind, due_ms):
                changes[stream] = current(stream, kind).woken(kind, due_ms)
            case Hold(claim):
                changes[claim.stream] = current(claim.stream, claim.kind).recorded(claim)
            case Rest(stream):
                changes[stream] = None
            case IndexRow() | SetTimer() | ClearTimer():
                pass
    return changes
