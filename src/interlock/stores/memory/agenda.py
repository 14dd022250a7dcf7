"""Who owns which stream, and which streams want an owner: the table behind activations.

What it does: keeps one `Activation` a stream, in the order in which they can be claimed. What it does not do: it
reads no clock and calls nobody, and what may become of an activation is said in `stores.activation`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from interlock.base.events import Row
from interlock.stores.activation import Activation, changed
from interlock.stores.memory.rows import SortedRows


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
        return changed(partition, rows, self._activations)

    def end_claims(self, owner: str) -> None:
        """End every claim of an owner that has died: each can be claimed at once."""
        for stream, activation in list(self._activations.items()):
            if activation.owner == owner:
                self.put(stream, activation.extended(0))
