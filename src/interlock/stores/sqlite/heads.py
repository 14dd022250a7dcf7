"""What the writer remembers of streams and partitions between transactions.

What it does: loads heads and positions for a batch in few statements and keeps them as long as nobody else
has written. What it does not do: it decides nothing and writes nothing.

Rules: it is asked only inside a write transaction; whoever changes a head here writes it in that transaction,
or calls `forget` when the transaction fails; what it remembers is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import apsw

from interlock.stores.sqlite.rows import Missing, RowShape
from interlock.stores.sqlite.statements import ManyRows, statements

PARTITION_SHIFT = 40
"""A place is the partition's number shifted by this, plus the position: 2^40 events a partition, 2^23
partitions.
"""

_SQL = statements("events")
_FIND = ManyRows(_SQL["streams_find"])
_FOUND = RowShape("stream", str, int, (str, Missing), int, bytes)
PARTITION_LOST = ""
"""The partition of a stream that stands in none: its row is gone, and the stream must not seem to be new."""


@dataclass(slots=True)
class KnownStream:
    """A stream's number (0: it does not exist), partition key and head."""

    no: int
    partition: str
    seq: int
    digest: str


@dataclass(slots=True)
class KnownPartition:
    """A partition's number, whether its row is there, and the position of its last event."""

    no: int
    exists: bool
    position: int


class Heads:
    """Heads of streams and ends of partitions as the running transaction sees them."""

    def __init__(self, connection: apsw.Connection, streams_max: int) -> None:
        self._connection = connection
        self._streams_max = streams_max
        self._version = -1
        self.streams: dict[str, KnownStream] = {}
        self.partitions: dict[str, KnownPartition] = {}
        self._stream_last: int | None = None

    def begin(self) -> None:
        """Call first in a transaction: drops what other connections may have changed."""
        if self._connection.data_version() != self._version:
            self.forget()

    def committed(self) -> None:
        """Call after a commit: what was changed here is now what the file holds."""
        self._version = self._connection.data_version()
        if len(self.streams) > self._streams_max:
            for stream in list(islice(self.streams, self._streams_max // 2 + 1)):
                del self.streams[stream]

    def forget(self) -> None:
        """Drop everything: the transaction failed, or another process wrote."""
        self._version = -1
        self.streams.clear()
        self.partitions.clear()
        self._stream_last = None

    def load(self, streams: Iterable[str]) -> None:
        """Make the heads of `streams` known."""
        missing = [stream for stream in streams if stream not in self.streams]
        if not missing:
            return
        for stream, no, partition, seq, digest in _FOUND.checked(_FIND.select(self._connection.execute, missing)):
            self.streams[stream] = KnownStream(no, partition or PARTITION_LOST, seq, digest.hex())
        for stream in missing:
            if stream not in self.streams:
                self.streams[stream] = KnownStream(0, "", 0, "")

    def partition(self, partition: str) -> KnownPartition:
        """A partition, with the number that it will get where it does not exist yet."""
        known = self.partitions.get(partition)
        if known is None:
            known = self.partitions[partition] = self._load_partition(partition)
        return known

    def _load_partition(self, partition: str) -> KnownPartition:
        execute = self._connection.execute
        no = execute(_SQL["partition_find"], (partition,)).get
        if not isinstance(no, int):
            taken = [each.no for each in self.partitions.values()]
            last = int(execute(_SQL["partition_last"]).get)
            return KnownPartition(max([last, *taken]) + 1, exists=False, position=0)
        return KnownPartition(no, exists=True, position=last_position(self._connection, no))

    def new_stream_no(self) -> int:
        """The next number for a stream."""
        if self._stream_last is None:
            self._stream_last = int(self._connection.execute(_SQL["stream_last"]).get)
        self._stream_last += 1
        return self._stream_last


def last_position(connection: apsw.Connection, partition_no: int) -> int:
    """The position of a partition's last event; 0 when it has none."""
    first = partition_no << PARTITION_SHIFT
    place = connection.execute(_SQL["place_last"], (first, first + (1 << PARTITION_SHIFT))).get
    return place - first if isinstance(place, int) else 0
