"""How far a subscription is: the table that keeps its cursor and the streams that are held back.

What it does: reads the table, and writes what has changed of it, all at once and compared with what stood there. What
it does not do: it delivers nothing, and no event is made of it.

Rules: everything up to the cursor was delivered or was not meant, but for what `lanes` names, from after `after` to
`goal` of their streams; the table's number rises with every write, so that who was overtaken writes nothing any more;
it lies among the views, and unlike them cannot be rebuilt: it is copied with a store.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from interlock.journal.errors import CLAIM_LOST, COPY_DIFFERS, STORE_CORRUPT
from interlock.journal.ports import Store, ViewRow
from interlock.journal.streams import parse_stream
from interlock.journal.subscriptions.events import SUBSCRIPTION, Present, key_of, subscription_stream

CURSOR = "cursor"
"""The key of the row that holds the position; streams have a `/` in theirs."""

_PAGE = 1_000
Row = TypeVar("Row", bound=Struct)


class Lane(Struct):
    """A stream with events to deliver: those after `after` up to `goal`, in order.

    After a failure the first of them is tried again at `due_ms`; `code` and `message` are those of the last failure. A
    `redriven` lane is one dead letter on its way again.
    """

    stream: str
    after: int
    goal: int
    redriven: bool = False
    attempts: int = 0
    due_ms: int = 0
    code: str = ""
    message: str = ""

    @property
    def key(self) -> str:
        """The lane's name: a stream has one lane, and one for the redriven letter whose turn it is."""
        return key_of(self.stream, self.goal) if self.redriven else self.stream


class Cursor(Struct, frozen=True):
    """The row at `cursor`: the feed was read up to `position`; the sink is to be left alone until `hold_until_ms`."""

    position: int
    hold_until_ms: int = 0


class Progress(NamedTuple):
    """What the table holds: the number of its last write, the cursor (None before the first), the lanes by key."""

    revision: int
    cursor: Cursor | None
    lanes: dict[str, Lane]


def table_of(stream: str, generation: int) -> str:
    """The name of the table of one generation of a subscription."""
    return f"{parse_stream(stream).kind}/{parse_stream(stream).id}@{generation}"


async def read_progress(store: Store, partition: str, table: str) -> Progress:
    """What a table holds now; pages are read one by one, so that only its writer gets one state for certain.

    Raises: `store_corrupt`.
    """
    revision = await store.views.position(partition, table)
    cursor: Cursor | None = None
    lanes: dict[str, Lane] = {}
    before: tuple[int, str] | None = None
    while page := await store.views.query(partition, table, {}, before, _PAGE):
        for _, key, document in page:
            if key == CURSOR:
                cursor = _decoded(document, Cursor, table)
            else:
                lanes[key] = _decoded(document, Lane, table)
        before = page[-1][:2]
    return Progress(revision, cursor, lanes)


async def tables_of(store: Store, partition: str) -> list[str]:
    """The table of each subscription of a partition; one whose row in the index is damaged is passed over."""
    tables, after = list[str](), ""
    while page := await store.index.scan(partition, SUBSCRIPTION, "", after, _PAGE):
        for name, row in page:
            with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                present = msgspec.json.decode(row, type=Present)
                tables.append(table_of(subscription_stream(partition, name), present.generation))
        after = page[-1][0]
    return tables


async def copy_progress(origin: Store, copied: Store, partition: str) -> None:
    """Write into a store how far the subscriptions of another one are. Raises: `copy_differs`, `store_corrupt`."""
    for table in await tables_of(origin, partition):
        found = await read_progress(origin, partition, table)
        rows = [ViewRow(key, document=msgspec.json.encode(lane)) for key, lane in found.lanes.items()]
        if found.cursor is not None:
            rows.append(ViewRow(CURSOR, document=msgspec.json.encode(found.cursor)))
        await copied.views.drop(partition, table)
        if found.revision:
            await copied.views.apply(partition, table, rows, 0, found.revision)
        if await read_progress(copied, partition, table) != found:
            raise COPY_DIFFERS.error(f"the progress {table} of {partition} differs in the copy")


def _decoded(document: bytes, kind: type[Row], table: str) -> Row:
    try:
        return msgspec.json.decode(document, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise STORE_CORRUPT.error(f"a row of {table} cannot be read", table=table) from None


class ProgressTable:
    """The table of one subscription, in the hands of who delivers it."""

    def __init__(self, store: Store, partition: str, table: str) -> None:
        self._store = store
        self._partition = partition
        self._table = table
        self._revision = 0
        self._written: dict[str, bytes] = {}

    async def open(self) -> tuple[Cursor | None, dict[str, Lane]]:
        """The cursor and the lanes; whoever wrote here before is shut out. Raises: `claim_lost`, `store_corrupt`."""
        found = await read_progress(self._store, self._partition, self._table)
        self._revision = found.revision
        self._written = {key: msgspec.json.encode(lane) for key, lane in found.lanes.items()}
        if found.cursor is not None:
            self._written[CURSOR] = msgspec.json.encode(found.cursor)
        await self._write([])
        return found.cursor, found.lanes

    async def save(self, cursor: Cursor, lanes: Mapping[str, Lane]) -> None:
        """Write what has changed, if anything has. Raises: `claim_lost` if another has taken over."""
        now = {key: msgspec.json.encode(lane) for key, lane in lanes.items()}
        now[CURSOR] = msgspec.json.encode(cursor)
        rows = [ViewRow(key, document=document) for key, document in now.items() if self._written.get(key) != document]
        rows += [ViewRow(key) for key in self._written if key not in now]
        if rows:
            await self._write(rows)
            self._written = now

    async def _write(self, rows: list[ViewRow]) -> None:
        before = self._revision
        if not await self._store.views.apply(self._partition, self._table, rows, before, before + 1):
            raise CLAIM_LOST.error("another process delivers this subscription now")
        self._revision = before + 1
