"""What the writer remembers of streams and partitions between batches, and how it reads what it does not.

What it does: gives what is known of the streams of some appends, from memory as far as that goes and else from the
server. What it does not do: it decides nothing; that what it remembers still holds is checked by the server.

Rules: numbers for new streams are drawn in blocks; what is remembered is bounded, and what was not used for longest is
forgotten first; what is missing is read without reading again what is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Missing:
    """What must be read before some appends can be staged, because it is not remembered."""

    streams: set[str] = field(default_factory=set)
    partitions: set[str] = field(default_factory=set)
    activations: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    """Streams that begin, while no number is drawn for them."""

    def __bool__(self) -> bool:
        return bool(self.streams or self.partitions or self.activations or self.numbers)


class Heads:
    """Heads of streams and numbers of partitions as far as they are known."""

    def __init__(self, pool: Pool, streams_max: int) -> None:
        self._pool = pool
        self._streams_max = streams_max
        self._streams: dict[str, KnownStream] = {}
        self._partitions: dict[str, int] = {}
        self._numbers: list[int] = []

    def remembered(self, appends: Sequence[Append]) -> tuple[Known, Missing]:
        """What is known without asking, and what is not: of most batches nothing.

        It is enough where every append goes on from a remembered head, or begins a stream.
        """
        known, missing = Known({}, self._partitions), Missing()
        for append in appends:
            for each in append.streams:
                if each.stream not in known.streams:
                    self._remember(each.stream, each.expected.seq, known, missing)
                if each.partition not in self._partitions:
                    missing.partitions.add(each.partition)
            if append.rows:
                _rows_need(append, known, missing)
        return known, missing

    def _remember(self, stream: str, seq: int, known: Known, missing: Missing) -> None:
        stands = self._streams.pop(stream, None)
        if stands is not None:
            self._streams[stream] = stands  # behind all that were used before it
        elif seq:
            missing.streams.add(stream)
            return
        elif self._numbers:
            stands = KnownStream(self._numbers.pop(), "", 0, "", new=True)
        else:
            missing.numbers.add(stream)
            return
        known.streams[stream] = stands

    async def fill(self, known: Known, missing: Missing) -> None:
        """Read what is missing, each kind with one statement."""
        await self._load_partitions(missing.partitions)
        await self._load_streams(list(missing.streams), known)
        for stream in missing.numbers:
            known.streams[stream] = KnownStream(await self._number(), "", 0, "", new=True)
        await self._load_activations(list(missing.activations), known)

    async def load(self, appends: Sequence[Append]) -> Known:
        """What the server knows of all that the appends touch."""
        streams = list({each.stream for append in appends for each in append.streams})
        await self._load_partitions({each.partition for append in appends for each in append.streams})
        known = Known({}, self._partitions)
        await self._load_streams(streams, known)
        await self._load_rows(appends, known)
        return known

    async def _load_streams(self, streams: list[str], known: Known) -> None:
        if not streams:
            return
        for stream, no, partition, seq, digest in await self._pool.rows(_EVENTS["streams_find"], (streams,)):
            known.streams[stream] = KnownStream(no, partition or PARTITION_LOST, seq, digest.hex())
        for stream in streams:
            if stream not in known.streams:
                known.streams[stream] = KnownStream(await self._number(), "", 0, "", new=True)

    async def _load_rows(self, appends: Sequence[Append], known: Known) -> None:
        blobs = [bytes.fromhex(blob.id) for append in appends for blob in append.blobs]
        if blobs:
            found = await self._pool.rows(_ARTIFACTS["artifacts_known"], (blobs,))
            known.stored_bytes = {identity.hex(): size for identity, size, _ in found}
        streams = list(dict.fromkeys(chain.from_iterable(streams_of(append.rows) for append in appends)))
        await self._load_activations(streams, known)
        fresh = list(self._fresh(appends))
        if fresh:
            columns = ([no for no, _, _ in fresh], [name for _, name, _ in fresh], [key.encode() for *_, key in fresh])
            found = await self._pool.rows(_INDEX["index_taken"], columns)
            known.taken = {(no, name, key.decode()) for no, name, key in found}

    async def _load_activations(self, streams: list[str], known: Known) -> None:
        if not streams:
            return
        known.activations.update((stream, KnownActivation()) for stream in streams)
        for *values, version in await self._pool.rows(_ACTIVATIONS["activations_find"], (streams,)):
            activation = Activation(*values)
            known.activations[activation.stream] = KnownActivation(activation, version)

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
            streams.pop(stream, None)
            streams[stream] = KnownStream(changes.before[stream].no, after.partition, head.seq, head.digest)
        surplus = len(streams) - self._streams_max
        if surplus > 0:  # some more at once, so that not every batch has to look for the oldest
            for stream in list(islice(streams, surplus + self._streams_max // 8)):
                del streams[stream]

    def forget(self, appends: Sequence[Append]) -> None:
        """What these appends touch may stand otherwise by now."""
        for append in appends:
            for each in append.streams:
                self._streams.pop(each.stream, None)


def _rows_need(append: Append, known: Known, missing: Missing) -> None:
    """Which activations must be read for the rows of an append: those of streams that are there already.

    One that is taken away needs not be read, whatever it is, unless it was woken before; a new stream has none.
    """
    for row in append.rows:
        match row:
            case Rest(stream):
                if stream not in missing.activations:
                    known.activations.setdefault(stream, KnownActivation(read=False))
            case Wake() | Hold():
                stream = row.claim.stream if isinstance(row, Hold) else row.stream
                if stream not in known.activations:
                    stands = known.streams.get(stream)
                    if stream in missing.numbers or (stands is not None and stands.new):
                        known.activations[stream] = KnownActivation()
                    else:
                        missing.activations.add(stream)
            case IndexRow() | SetTimer() | ClearTimer():
                pass
