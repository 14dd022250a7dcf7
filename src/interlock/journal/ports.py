"""The ports of the journal: what a store must offer, and the records that cross them.

What it does: declares the protocols `EventLog`, `Artifacts`, `Index`, `ViewStore`, `Activations`, `Timers` and
`Doorbell`, and the bundle `Store`. What it does not do: nothing here runs.

Rules: every method is asynchronous and takes a batch; a conflict fails only its own append; bytes are kept exactly as
given; errors are those of `journal.errors`. The contract suites in `interlock.testing.contracts` say the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.events import Claim, Row, Timer


class Head(Struct, frozen=True):
    """The end of a stream: `(0, "")` when empty."""

    seq: int = 0
    digest: str = ""


EMPTY = Head()


class StoredEvent(Struct, frozen=True):
    """One event as kept: exact envelope bytes, exact data bytes (None once erased), salt, and place in the feed.

    `position` is 0 until it is stored. `stream`, `seq` and `digest` repeat what the envelope says, for the store; a
    reader computes the digest anew and trusts none of them.
    """

    stream: str
    seq: int
    digest: str
    envelope: bytes
    data: bytes | None
    salt: bytes = b""
    position: int = 0


class StreamAppend(Struct, frozen=True):
    """New events of one stream, to be appended only if its head is `expected`."""

    stream: str
    partition: str
    expected: Head
    events: Sequence[StoredEvent]
    head: Head


class Blob(Struct, frozen=True):
    """An artifact to be stored: its id (SHA-256 of `content`), a kind as a hint, the bytes."""

    id: str
    kind: str
    content: bytes


class Append(Struct, frozen=True):
    """What becomes durable at once or not at all. All streams are of one partition."""

    streams: Sequence[StreamAppend]
    rows: Sequence[Row] = ()
    blobs: Sequence[Blob] = ()


class Appended(Struct, frozen=True):
    """An append that is durable: the partition's position of its last event."""

    partition: str
    position: int


class EventLog(Protocol):
    """Streams of events and the feed over them."""

    async def append(self, appends: Sequence[Append]) -> list[Appended | InterlockError]:
        """Append each, durably. The outcome of one is independent of the others'.

        Outcome errors: `head_moved` (Conflict), `partition_mixed` (Invalid), `index_key_taken` (Conflict),
        `queue_full` (RateLimited), `outcome_unknown`, `disk_full`, `store_closed` (StorageFailure).
        """
        ...

    async def heads(self, streams: Sequence[str]) -> list[Head]:
        """The head of each; `EMPTY` for one that does not exist."""
        ...

    async def read(self, stream: str, after_seq: int, limit: int) -> list[StoredEvent]:
        """Events with `seq > after_seq`, in order, at most `limit`.

        A page may end inside an append, but no event of an unfinished append is ever seen.
        """
        ...

    async def feed(self, partition: str, after_position: int, limit: int) -> list[StoredEvent]:
        """Events with `position > after_position` in commit order, at most `limit`. A hole is `Corruption`."""
        ...

    async def position(self, partition: str) -> int:
        """Position of the partition's last event; 0 when it has none."""
        ...

    async def streams(self, partition: str, after: str, limit: int) -> list[tuple[str, Head]]:
        """Streams of a partition whose id is greater than `after`, in order, at most `limit`, with their heads."""
        ...

    async def partitions(self) -> list[str]:
        """Every partition that has an event, in order."""
        ...


class Artifacts(Protocol):
    """Immutable bytes named by their SHA-256."""

    async def put(self, blobs: Sequence[Blob]) -> list[str]:
        """Store what is not there yet, durably; return the ids. A wrong id is `artifact_id_mismatch`."""
        ...

    async def get(self, ids: Sequence[str]) -> list[bytes]:
        """The bytes, verified. Missing is `artifact_not_found`, different `artifact_corrupt`."""
        ...

    async def exists(self, ids: Sequence[str]) -> list[bool]:
        """Whether each is there, without loading it."""
        ...

    async def scan(self, after: str, limit: int) -> list[str]:
        """Ids greater than `after`, in order, at most `limit`."""
        ...


class Index(Protocol):
    """The few rows that correctness needs; written only by an append."""

    async def get(self, partition: str, index: str, keys: Sequence[str]) -> list[bytes | None]:
        """The value at each key."""
        ...

    async def scan(self, partition: str, index: str, prefix: str, after: str, limit: int) -> list[tuple[str, bytes]]:
        """Rows whose key starts with `prefix` and is greater than `after`, in key order, at most `limit`."""
        ...

    async def names(self, partition: str) -> list[str]:
        """Every index that has a row in the partition, in order."""
        ...


class ViewRow(Struct, frozen=True):
    """One row of a view: None as `document` deletes it; `order` sorts listings; `terms` can be filtered on."""

    key: str
    order: int = 0
    terms: Mapping[str, str] = {}
    document: bytes | None = None


class ViewStore(Protocol):
    """Tables for people, written by followers with their position in the same transaction.

    `view` names a table and its version (`runs@1`): another version is another table, and `drop` ends one.
    """

    async def apply(self, partition: str, view: str, rows: Sequence[ViewRow], before: int, position: int) -> bool:
        """Write rows and move the view from position `before` to `position`.

        False, with nothing written, if it stood elsewhere.
        """
        ...

    async def position(self, partition: str, view: str) -> int:
        """The feed position that the view has seen; 0 for a new one."""
        ...

    async def rows(self, partition: str, view: str, keys: Sequence[str]) -> list[bytes | None]:
        """The document at each key."""
        ...

    async def query(
        self, partition: str, view: str, terms: Mapping[str, str], before: tuple[int, str] | None, limit: int
    ) -> list[tuple[int, str, bytes]]:
        """Rows that have all `terms`, newest first by `(order, key)`, below `before`, at most `limit`."""
        ...

    async def drop(self, partition: str, view: str) -> None:
        """Forget the view and its position."""
        ...


class Held(Struct, frozen=True):
    """Another living owner holds the claim."""

    claim: Claim


class Activations(Protocol):
    """Which streams want an owner, since when, and who owns them. Kinds tell who can drive them (`run`)."""

    async def claim(
        self, partition: str, kinds: Sequence[str], owner: str, limit: int, now_ms: int, lease_ms: int
    ) -> list[Claim]:
        """Claim up to `limit` that are due, or whose owner's claim has ended; oldest due first. Clears due times."""
        ...

    async def take(
        self, stream: str, kind: str, owner: str, now_ms: int, lease_ms: int, *, steal: bool = False
    ) -> Claim | Held:
        """Claim one stream whether it is due or not; `Held` if a living owner has it, unless `steal`."""
        ...

    async def renew(self, claims: Sequence[Claim], now_ms: int, lease_ms: int) -> list[bool]:
        """Extend each; False where it is no longer ours."""
        ...

    async def release(self, claims: Sequence[Claim], until_ms: int | None) -> None:
        """Give each back: due again at `until_ms`, or only when woken (None).

        A wake that came while it was held keeps its earlier due time. One that is no longer ours is left alone.
        """
        ...

    async def due(self, partition: str | None, kinds: Sequence[str], now_ms: int) -> int | None:
        """The earliest time at which something can be claimed (at most `now_ms` means now); None: nothing waits.

        Without a partition, in any; how many there are then costs nothing.
        """
        ...

    async def ready(self, kinds: Sequence[str], now_ms: int, after: str, limit: int) -> list[str]:
        """Partitions greater than `after` in which something can be claimed now, in order, at most `limit`.

        Where little is due, a partition in which nothing is costs nothing.
        """
        ...

    async def holder(self, stream: str, now_ms: int) -> Claim | None:
        """The living claim on a stream."""
        ...


class Timers(Protocol):
    """Timers that are set; written only by an append (`SetTimer`, `ClearTimer`)."""

    async def due(self, partition: str, now_ms: int, limit: int) -> list[Timer]:
        """Timers due at `now_ms` or before, in the order of `(due_ms, timer_id)`, at most `limit`."""
        ...

    async def next_due(self, partition: str | None) -> int | None:
        """When the first timer is due, of any partition where none is given; None where none is set."""
        ...

    async def ready(self, now_ms: int, after: str, limit: int) -> list[str]:
        """Partitions greater than `after` with a timer due at `now_ms` or before, in order, at most `limit`.

        Costs what is due, and no look at a partition where nothing is.
        """
        ...

    async def scan(self, partition: str, after: str, limit: int) -> list[Timer]:
        """Timers whose id is greater than `after`, in the order of ids, at most `limit`."""
        ...


class Doorbell(Protocol):
    """Shortens waiting for other writers; correctness never needs it."""

    def seen(self) -> int:
        """A mark of what has been committed so far."""
        ...

    async def wait(self, seen: int, timeout_ms: int) -> int:
        """Return a new mark once something was committed after `seen`, or the same after `timeout_ms`."""
        ...


class StoreStatistics(Struct, frozen=True):
    """Figures of the writer since it opened."""

    queued: int
    commits: int
    appends: int
    events: int
    conflicts: int
    refused: int
    wal_bytes: int


class Store(Protocol):
    """One opened store: its ports and its own affairs."""

    events: EventLog
    artifacts: Artifacts
    index: Index
    views: ViewStore
    activations: Activations
    timers: Timers
    doorbell: Doorbell
    id: str
    """Random identity drawn when the store was made."""
    owner: str
    """Name under which this process holds claims on this store."""

    def statistics(self) -> StoreStatistics:
        """Figures for `GET /debug/mutation_stats` and `doctor`."""
        ...

    async def close(self) -> None:
        """Finish what is queued, give nothing half-done, release files and locks."""
        ...
