"""The journal as the rest of the product uses it: typed, verified, over any store.

What it does: reads streams page by page through the chain, loads folds (from a fold snapshot and its tail where there
is one), and gives a single owner a `StreamWriter`. What it does not do: it decides nothing; deciders and the engine do.

Rules: nothing is given out that was not verified; the end of a stream must be the head that the store claims; a
fold snapshot of another fold version is ignored; an append pins the head that its writer read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from interlock.base.canonical import digest
from interlock.base.clock import Clock, Entropy
from interlock.base.errors import Conflict, InterlockError
from interlock.base.events import IndexRow, Place
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import Authorship, ChainReader, Recorded, Sealed, event_digest, read_envelope, seal
from interlock.journal.errors import CONTENTION, EVENT_CORRUPT, HEAD_MOVED
from interlock.journal.ports import EMPTY, Append, Appended, Blob, Head, Store
from interlock.journal.streams import tenant_of

PAGE_EVENTS = 1000
FOLD_INDEX = "fold"
State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Fold(Generic[State]):
    """How a stream becomes a state: `evolve` is pure; `version` changes whenever it means something else.

    `save` and `restore` turn a state into bytes and back, for fold snapshots; without them there are none.
    """

    name: str
    version: int
    initial: Callable[[str], State]
    evolve: Callable[[State, Struct, Place], State]
    save: Callable[[State], bytes] | None = None
    restore: Callable[[bytes], State] | None = None


@dataclass(slots=True)
class Loaded(Generic[State]):
    """A state and the exact place in the stream that it reflects."""

    state: State
    head: Head
    at_ms: int


class FoldSnapshot(Struct, frozen=True):
    """A cached fold: valid only for this stream, place and fold version."""

    at_ms: int
    digest: str
    seq: int
    state: msgspec.Raw
    state_digest: str
    version: int


class Journal:
    """One store, read and written through the chain."""

    def __init__(self, store: Store, catalogue: EventCatalogue, clock: Clock, entropy: Entropy) -> None:
        self.store = store
        self.catalogue = catalogue
        self.clock = clock
        self.entropy = entropy

    async def read(
        self, stream: str, after: Head = EMPTY, until_seq: int | None = None
    ) -> AsyncGenerator[list[Recorded], None]:
        """Verified pages of a stream after a head that is known to be good. Raises: `event_corrupt`."""
        reader = ChainReader(self.catalogue, stream, after)
        while until_seq is None or reader.head.seq < until_seq:
            limit = PAGE_EVENTS if until_seq is None else min(PAGE_EVENTS, until_seq - reader.head.seq)
            page = await self.store.events.read(stream, reader.head.seq, limit)
            if page:
                yield reader.take(page)
            if len(page) < limit:
                return

    async def records(self, stream: str, first: int, last: int, command_id: str) -> list[Struct]:
        """The records that one command wrote at `first` to `last`, read without what stands before them.

        Raises: `event_corrupt` if they are damaged or carry another command id.
        """
        before = EMPTY
        if first > 1:
            page = await self.store.events.read(stream, first - 2, 1)
            before = Head(first - 1, event_digest(page[0].envelope) if page else "")
        found = [event async for page in self.read(stream, before, last) for event in page]
        if len(found) != last - first + 1 or any(e.envelope.command_id != command_id for e in found):
            raise EVENT_CORRUPT.error(
                f"events {first} to {last} of {stream} are not those of the command", stream=stream
            )
        return [event.record for event in found if event.record is not None]

    async def tail(self, stream: str, after_seq: int) -> list[Recorded]:
        """At most one page of events after `after_seq`, verified among themselves and against the one before."""
        store = self.store.events
        page = await store.read(stream, max(after_seq - 1, 0), PAGE_EVENTS)
        if not page:
            return []
        before = EMPTY
        if after_seq > 0:
            before = Head(after_seq, event_digest(page[0].envelope))
            page = page[1:]
        return ChainReader(self.catalogue, stream, before).take(page)

    async def page(self, stream: str, after_seq: int) -> list[Recorded]:
        """What `tail` gives, where the stream reaches its head. Raises: `event_corrupt` if its end is lost."""
        [claimed] = await self.store.events.heads([stream])  # first: what is appended meanwhile is no damage
        page = await self.tail(stream, after_seq)
        if len(page) < PAGE_EVENTS - 1:
            check_end(stream, page[-1].envelope.seq if page else after_seq, claimed)
        return page

    async def load(self, fold: Fold[State], stream: str) -> Loaded[State]:
        """The state of a stream: from its fold snapshot if there is a fitting one, and the events after it.

        Raises: `event_corrupt` if any event is damaged or the stream ends before the head that the store claims.
        """
        [claimed] = await self.store.events.heads([stream])
        if claimed == EMPTY:
            return await self.catch_up(fold, stream, Loaded(fold.initial(stream), EMPTY, 0))
        loaded = await self._restored(fold, stream) or Loaded(fold.initial(stream), EMPTY, 0)
        loaded = await self.catch_up(fold, stream, loaded)
        if loaded.head.seq > claimed.seq:  # appended meanwhile, or the head is wrong: then it still is
            [later] = await self.store.events.heads([stream])
            claimed = loaded.head if later.seq > loaded.head.seq else later
        if loaded.head != claimed:
            raise EVENT_CORRUPT.error(
                f"stream {stream} ends at {loaded.head.seq}, but its head is {claimed.seq}",
                stream=stream,
                seq=loaded.head.seq,
            )
        return loaded

    async def catch_up(self, fold: Fold[State], stream: str, loaded: Loaded[State]) -> Loaded[State]:
        """Evolve `loaded` over the events that came after it."""
        state, head, at_ms = loaded.state, loaded.head, loaded.at_ms
        async with aclosing(self.read(stream, head)) as pages:
            async for page in pages:
                for event in page:
                    if event.record is not None:
                        state = fold.evolve(state, event.record, event.place)
                head, at_ms = Head(page[-1].envelope.seq, page[-1].digest), page[-1].envelope.at_ms
        return Loaded(state, head, at_ms)

    async def _restored(self, fold: Fold[State], stream: str) -> Loaded[State] | None:
        if fold.restore is None:
            return None
        [row] = await self.store.index.get(tenant_of(stream), FOLD_INDEX, [f"{fold.name}:{stream}"])
        if row is None:
            return None
        try:
            snapshot = msgspec.json.decode(row, type=FoldSnapshot)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise EVENT_CORRUPT.error(f"the fold snapshot of {stream} cannot be read", stream=stream) from None
        if snapshot.version != fold.version:
            return None
        state = bytes(snapshot.state)
        # The snapshot is believed only whole, and if the event at its place is still the one that it reflects.
        page = await self.store.events.read(stream, snapshot.seq - 1, 1)
        fits = bool(page) and event_digest(page[0].envelope) == snapshot.digest
        if not fits or digest(state) != snapshot.state_digest:
            raise EVENT_CORRUPT.error(f"the fold snapshot of {stream} does not fit the stream", stream=stream)
        at_ms = read_envelope(page[0]).at_ms
        return Loaded(fold.restore(state), Head(snapshot.seq, snapshot.digest), at_ms)

    def fold_row(self, fold: Fold[State], stream: str, loaded: Loaded[State]) -> IndexRow:
        """The row that keeps a fold snapshot; written with a later append of the same stream."""
        if fold.save is None:
            raise ValueError(f"fold {fold.name} has no snapshots")
        state = fold.save(loaded.state)
        head = loaded.head
        snapshot = FoldSnapshot(loaded.at_ms, head.digest, head.seq, msgspec.Raw(state), digest(state), fold.version)
        return IndexRow(FOLD_INDEX, f"{fold.name}:{stream}", msgspec.json.encode(snapshot))

    def now_ms(self, at_least: int = 0) -> int:
        """The clock, but never before `at_least`: recorded time is monotone per stream."""
        return max(self.clock.now_ms(), at_least)

    async def commit(self, append: Append) -> Appended:
        """Append durably or raise; see `EventLog.append` for the errors."""
        [outcome] = await self.store.events.append([append])
        if isinstance(outcome, InterlockError):
            raise outcome
        return outcome


def check_end(stream: str, end: int, claimed: Head) -> None:
    """Raise `event_corrupt` where the events of a stream end before the head that it had when they were read."""
    if end < claimed.seq:
        raise EVENT_CORRUPT.error(
            f"stream {stream} ends at {end}, but its head is {claimed.seq}", stream=stream, seq=end
        )


class Post(Struct, frozen=True):
    """Records for another stream of the partition, appended together with one's own.

    Anybody may write to an inbox, so records for one follow whatever is there; a stream that is to be new is `fresh`,
    and an append that finds it there loses. `author` is who writes the records, if not who appends.
    """

    stream: str
    records: tuple[Struct, ...]
    blobs: tuple[Blob, ...] = ()
    author: Authorship | None = None
    fresh: bool = False


POSTS_TRIED_MAX = 100
"""How often an append is sealed anew because an inbox that it posts to has moved."""


class StreamWriter:
    """The one writer of a stream: keeps its head, and seals and appends what its owner decides.

    A conflict means that another owner has taken the stream: the writer is then of no more use.
    """

    def __init__(self, journal: Journal, stream: str, head: Head, at_ms: int, author: Authorship) -> None:
        self._journal = journal
        self.stream = stream
        self.head = head
        self.at_ms = at_ms
        self._author = author
        self.bytes = 0
        """Those of the data of the last append."""

    async def append(
        self,
        records: Sequence[Struct],
        at_ms: int,
        blobs: Sequence[Blob] = (),
        rows: Sequence[IndexRow] = (),
        author: Authorship | None = None,
        posts: Sequence[Post] = (),
    ) -> Appended:
        """Append `records` with the artifacts that they name; the head moves only if it is durable.

        `at_ms` is not less than that of the append before it; `author` is another than the writer's own. `posts` go
        to other streams of the partition (see `Post`).
        """
        author = author or self._author
        sealed = seal(self._journal.catalogue, self.stream, self.head, records, at_ms, author)
        if rows:
            sealed.rows.extend(rows)
        if posts:
            appended = await self._append_posting(sealed, blobs, posts, author)
        else:
            appended = await self._journal.commit(Append([sealed.append], sealed.rows, blobs))
        self.head, self.at_ms = sealed.append.head, at_ms
        self.bytes = sealed.bytes
        return appended

    async def _append_posting(
        self, sealed: Sealed, blobs: Sequence[Blob], posts: Sequence[Post], author: Authorship
    ) -> Appended:
        """Append with posts; one that lost the race for an inbox's head is sealed and tried again."""
        blobs = [*blobs, *(blob for post in posts for blob in post.blobs)]
        pinned = {self.stream, *(post.stream for post in posts if post.fresh)}
        for _ in range(POSTS_TRIED_MAX):
            posted = [await self._posted(post, author) for post in posts]
            rows = [*sealed.rows, *(row for each in posted for row in each.rows)]
            try:
                return await self._journal.commit(
                    Append([sealed.append, *(each.append for each in posted)], rows, blobs)
                )
            except Conflict as fault:
                if fault.kind is not HEAD_MOVED or fault.details.get("stream") in pinned:
                    raise
        raise CONTENTION.error("an inbox moved at every attempt to write to it")

    async def _posted(self, post: Post, author: Authorship) -> Sealed:
        head = EMPTY
        if not post.fresh:
            [head] = await self._journal.store.events.heads([post.stream])
        page = await self._journal.store.events.read(post.stream, head.seq - 1, 1) if head.seq else []
        at_ms = self._journal.now_ms(read_envelope(page[0]).at_ms if page else 0)
        return seal(self._journal.catalogue, post.stream, head, post.records, at_ms, post.author or author)
