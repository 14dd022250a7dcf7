"""What the contract suites share: how a store comes and goes, and appends to try on it.

What it does: `Contract` is the base of every suite, `on_store` makes a test of a coroutine that needs a
store, and the functions build appends. What it does not do: it asserts nothing about a port; the suites do.

Rules: every test gets a store of its own and closes all that it opened; envelopes here are not those of the
journal, because a store never reads them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from interlock.base.errors import Category, InterlockError
from interlock.base.events import Row
from interlock.journal.ports import EMPTY, Append, Appended, Blob, Head, Store, StoredEvent, StreamAppend
from interlock.journal.streams import tenant_of


class Contract:
    """A suite over a store. An adapter says how one is made and opened again, and may say the rest.

    `run` drives one test: `asyncio.run`, or `interlock.testing.loop.run` for an adapter that needs no real
    time. `seeds` is how many interleavings each test is repeated with; only a `run` that takes a `seed` can.
    """

    run: Callable[..., object] = staticmethod(asyncio.run)
    seeds: int = 0

    async def make_store(self) -> Store:
        """Make and open a store that holds nothing."""
        raise NotImplementedError

    async def reopen(self, store: Store) -> Store:
        """Open the content of `store`, which may be closed, once more, as another process would."""
        raise NotImplementedError

    async def die(self, store: Store) -> None:
        """End the process of `store` without a farewell, or what comes nearest to it."""
        await store.close()

    async def again(self, store: Store) -> Store:
        """Another opening of the same store, closed when the test ends."""
        opened = await self.reopen(store)
        self._opened.append(opened)
        return opened

    async def drive(self, test: Callable[[Any, Store], Coroutine[Any, Any, None]]) -> None:
        """Run one test on a store of its own and close everything that it opened."""
        self._opened: list[Store] = [await self.make_store()]
        try:
            await test(self, self._opened[0])
        finally:
            for store in reversed(self._opened):
                await store.close()


Suite = TypeVar("Suite", bound=Contract)


def on_store(test: Callable[[Suite, Store], Coroutine[Any, Any, None]]) -> Callable[[Suite], None]:
    """Make a plain method of a test that takes a store and is a coroutine."""

    def plain(self: Suite) -> None:
        self.run(self.drive(test))
        for seed in range(self.seeds):
            try:
                self.run(self.drive(test), seed=seed)
            except BaseException as fault:
                fault.add_note(f"with seed={seed}")
                raise

    # functools.wraps would show collectors the argument `store`, which is none of theirs.
    plain.__name__, plain.__qualname__, plain.__doc__ = test.__name__, test.__qualname__, test.__doc__
    return plain


def stream(name: str, tenant: str = "default") -> str:
    """The id of a run's stream."""
    return f"{tenant}/run/{name}"


def event(stream_id: str, seq: int, data: bytes = b"{}", salt: bytes = b"") -> StoredEvent:
    """An event as a writer hands it over; its envelope and digest differ with all that it is made of."""
    data_digest = hashlib.sha256(salt + data).hexdigest()
    envelope = f'{{"data_digest":"{data_digest}","seq":{seq},"stream":"{stream_id}"}}'.encode()
    digest = hashlib.sha256(b"interlock/event/1\n" + envelope).hexdigest()
    return StoredEvent(stream_id, seq, digest, envelope, data, salt)


def onto(head: Head, stream_id: str, *data: bytes) -> StreamAppend:
    """One event for each of `data` (one of `{}` without any) onto a head, in the partition of the tenant."""
    events = [event(stream_id, seq, each) for seq, each in enumerate(data or (b"{}",), head.seq + 1)]
    new = Head(events[-1].seq, events[-1].digest)
    return StreamAppend(stream_id, tenant_of(stream_id), head, events, new)


def appended(outcome: Appended | InterlockError) -> Appended:
    """The outcome of an append that should have worked."""
    if isinstance(outcome, InterlockError):
        raise outcome
    return outcome


def code_of(outcome: Appended | InterlockError) -> str:
    """The code of an append that should have been refused."""
    return outcome.code if isinstance(outcome, InterlockError) else "appended"


def is_invalid(outcome: Appended | InterlockError) -> bool:
    """Whether an append was refused for its shape."""
    return isinstance(outcome, InterlockError) and outcome.category is Category.INVALID


async def append(
    store: Store, *streams: StreamAppend, rows: Sequence[Row] = (), blobs: Sequence[Blob] = ()
) -> Appended:
    """Append to several streams at once; raises what the store refuses."""
    [outcome] = await store.events.append([Append(streams, rows, blobs)])
    return appended(outcome)


async def grow(store: Store, stream_id: str, *data: bytes, rows: Sequence[Row] = ()) -> Head:
    """Append to one stream at whatever its head is; returns the new head."""
    [head] = await store.events.heads([stream_id])
    addition = onto(head, stream_id, *data)
    await append(store, addition, rows=rows)
    return addition.head


async def content(store: Store, stream_id: str) -> list[bytes | None]:
    """The data of every event of a stream."""
    return [each.data for each in await store.events.read(stream_id, 0, 100_000)]


async def is_empty(store: Store, stream_id: str) -> bool:
    """Whether nothing of a stream is to be seen anywhere."""
    heads = await store.events.heads([stream_id])
    feed = await store.events.feed(tenant_of(stream_id), 0, 100_000)
    in_feed = any(each.stream == stream_id for each in feed)
    return heads == [EMPTY] and not in_feed and not await content(store, stream_id)


def blob(content_bytes: bytes, kind: str = "file") -> Blob:
    """An artifact of these bytes under its right id."""
    return Blob(hashlib.sha256(content_bytes).hexdigest(), kind, content_bytes)


async def refusal(work: Coroutine[Any, Any, object]) -> InterlockError:
    """The error that `work` should end with."""
    try:
        await work
    except InterlockError as fault:
        return fault
    raise AssertionError("nothing was refused")
