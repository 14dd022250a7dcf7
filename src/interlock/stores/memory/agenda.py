"""Who owns which stream, and which streams want an owner: the table behind activations.

What it does: keeps one `Activation` a stream, in the order in which they can be claimed. What it does not do: it
reads no clock and calls nobody, and what may become of an activation is said in `stores.activation`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile

from interlock.base.events import Row
from interlock.stores.activation import Activation, changed
from interlock.stores.memory.rows import SortedRows


class Agenda:
    """All activations of a store."""

    def __init__(self) -> None:
        self._activations: dict[str, Activation] = {}
        self._open: dict[tuple[str, str], SortedRows[tuple[int, str], None]] = defaultdict(SortedRows)
        self._anywhere: dict[str, SortedRows[tuple[int, str], None]] = defaultdict(SortedRows)

    def get(self, stream: str) -> Activation | None:
        """The activation of a stream."""
        return self._activations.get(stream)

    def put(self, stream: str, activation: Activation | None) -> None:
        """Set the activation of a stream, or take it away."""
        old = self._activations.pop(stream, None)
        if old is not None and old.open_ms is not None:
            self._open[old.partition, old.kind].drop((old.open_ms, stream))
            self._anywhere[old.kind].drop((old.open_ms, stream))
        if activation is None:
            return
        self._activations[stream] = activation
        if activation.open_ms is not None:
            place, kind = (activation.open_ms, stream), activation.kind
            self._open[activation.partition, kind].put(place, None)
            self._anywhere[kind].put(place, None)

    def next_open(self, partition: str | None, kinds: Sequence[str]) -> tuple[int, str] | None:
        """When the first stream of these kinds can be claimed, in any partition where none is given, and which."""
        tables = (self._anywhere[kind] if partition is None else self._open[partition, kind] for kind in kinds)
        return min((place for table in tables if (place := table.first()) is not None), default=None)

    def ready(self, kinds: Sequence[str], now_ms: int, after: str) -> list[str]:
        """Partitions greater than `after` with a stream that can be claimed, in order; costs what can be."""
        found: set[str] = set()
        for kind in kinds:
            for (_, stream), _ in takewhile(lambda row: row[0][0] <= now_ms, self._anywhere[kind].since((0, ""))):
                found.add(self._activations[stream].partition)
        return sorted(partition for partition in found if partition > after)

    def changes(self, partition: str, rows: Sequence[Row]) -> dict[str, Activation | None]:
        """What the rows of an append make of the activations. Raises: `claim_lost`."""
        return changed(partition, rows, self._activations)

    def end_claims(self, owner: str) -> None:
        """End every claim of an owner that has died: each can be claimed at once."""
        for stream, activation in list(self._activations.items()):
            if activation.owner == owner:
                self.put(stream, activation.extended(0))
