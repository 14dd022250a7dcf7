"""What the writer remembers of streams and partitions between batches, and how it reads what it does not.

What it does: gives what is known of the streams of some appends, from memory where that is enough or else from the
server. What it does not do: it decides nothing; that what it remembers still holds is checked by the server.

Rules: numbers for new streams are drawn in blocks; what is remembered is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice

from interlock.base.events import ClearTimer, Hold, IndexRow, Rest, SetTimer, Wake
from interlock.journal.ports import Append
from interlock.stores.activation import Activation, streams_of
from interlock.stores.postgres.connections import Pool
from interlock.stores.postgres.staging import PARTITION_LOST, Changes, IndexPlace, Known, KnownActivation, KnownStream
from interlock.stores.postgres.statements import statements

_EVENTS, _INDEX = statements("events"), statements("index")
_ARTIFACTS, _ACTIVATIONS = statements("artifacts"), statements("activations")
NUMBERS = 1000
"""Numbers in one block: the increment of the sequence."""


class Heads:
    """Heads of streams and numbers of partitions as far as they are known."""

    def __init__(self, pool: Pool, streams_max: int) -> None:
        self._pool = pool
        self._streams_max = streams_max
        self._streams: dict[str, KnownStream] = {}
        self._partitions: dict[str, int] = {}
        self._numbers: list[int] = []

    def remembered(self, appends: Sequence[Append]) -> Known | None:
        """What is known without asking: enough only where every append goes on from a remembered head, or begins."""
        known = Known({}, self._partitions)
        for append in appends:
            for each in append.streams:
                if each.stream not in known.streams and not self._remember(each.stream, each.expected.seq, known):
                    return None
                if each.partition not in self._partitions:
                    return None
            if append.rows and not _rows_need_nothing(append, known):
                return None
        return known

    def _remember(self, stream: str, seq: int, known: Known) -> bool:
        stands = self._streams.get(stream)
        if stands is None:
            if seq or not self._numbers:
                return False
            stands = KnownStream(self._numbers.pop(), "", 0, "", new=True)
        known.streams[stream] = stands
        return True

    async def load(self, appends: Sequence[Append]) -> Known:
        """What the server knows of all that the appends touch."""
        streams = list({each.stream for append in appends for each in append.streams})
        await self._load_partitions({each.partition for append in appends for each in append.streams})
        known = Known({}, self._partitions)
        for stream, no, partition, seq, digest in await self._pool.rows(_EVENTS["streams_find"], (streams,)):
            known.streams[stream] = KnownStream(no, partition or PARTITION_LOST, seq, digest.hex())
        for stream in streams:
            if stream not in known.streams:
                known.streams[stream] = KnownStream(await self._number(), "", 0, "", new=True)
        await self._load_rows(appends, known)
        return known

    async def _load_rows(self, appends: Sequence[Append], known: Known) -> None:
        blobs = [bytes.fromhex(blob.id) for append in appends for blob in append.blobs]
        if blobs:
            found = await self._pool.rows(_ARTIFACTS["artifacts_known"], (blobs,))
            known.stored_bytes = {identity.hex(): size for identity, size, _ in found}
        streams = list(dict.fromkeys(chain.from_iterable(streams_of(append.rows) for append in appends)))
        if streams:
            known.activations = {stream: KnownActivation() for stream in streams}
            for *values, version in await self._pool.rows(_ACTIVATIONS["activations_find"], (streams,)):
                activation = Activation(*values)
                known.activations[activation.stream] = KnownActivation(activation, version)
        fresh = list(self._fresh(appends))
        if fresh:
            columns = ([no for no, _, _ in fresh], [name for _, name, _ in fresh], [key.encode() for *_, key in fresh])
            found = await self._pool.rows(_INDEX["index_taken"], columns)
            known.taken = {(no, name, key.decode()) for no, name, key in found}

    def _fresh(self, appends: Sequence[Append]) -> Iterable[IndexPlace]:
        for append in appends:
            for row in append.rows:
                if isinstance(row, IndexRow) and row.fresh:
                    yield self._partitions[append.streams[0].partition], row.index, row.key

    async def _load_partitions(self, partitions: set[str]) -> None:
        missing = sorted(partitions - self._partitions.keys())
        if not missing:
            return
        found: dict[str, int] = dict(await self._pool.rows(_EVENTS["partitions_find"], (missing,)))
        absent = [partition for partition in missing if partition not in found]
        if absent:
            await self._pool.run(lambda connection: connection.execute(_EVENTS["partitions_put"], (absent,)))
            found = dict(await self._pool.rows(_EVENTS["partitions_find"], (missing,)))
        self._partitions.update(found)

    async def _number(self) -> int:
        if not self._numbers:
            await self.draw()
        return self._numbers.pop()

    async def draw(self) -> None:
        """Draw a block of numbers for new streams."""
        first = int(await self._pool.one(_EVENTS["stream_numbers"]))
        self._numbers = list(range(first + NUMBERS - 1, first - 1, -1)) + self._numbers

    def wrote(self, changes: Changes) -> None:
        """Remember the heads that a batch left."""
        streams = self._streams
        for stream, after in changes.after.items():
            head = after.head
            streams[stream] = KnownStream(changes.before[stream].no, after.partition, head.seq, head.digest)
        if len(streams) > self._streams_max:
            for stream in list(islice(streams, self._streams_max // 2 + 1)):
                del streams[stream]

    def forget(self, appends: Sequence[Append]) -> None:
        """What these appends touch may stand otherwise by now."""
        for append in appends:
            for each in append.streams:
                self._streams.pop(each.stream, None)


def _rows_need_nothing(append: Append, known: Known) -> bool:
    """Whether the rows of an append can be staged without reading: no activation of a stream that is there already.

    One that is taken away needs not be read, whatever it is; a new stream has none.
    """
    for row in append.rows:
        match row:
            case Rest(stream):
                known.activations.setdefault(stream, KnownActivation(read=False))
            case Wake() | Hold():
                stream = row.claim.stream if isinstance(row, Hold) else row.stream
                if stream not in known.activations:
                    stands = known.streams.get(stream)
                    if stands is None or not stands.new:
                        return False
                    known.activations[stream] = KnownActivation()
            case IndexRow() | SetTimer() | ClearTimer():
                pass
    return True
