"""Data shapes for the rest of the product: register, find, list.

What it does: checks and keeps a record, large ones as artifacts that are durable before their event, and reads records
back, a page at a time. What it does not do: it decides nothing (`kept`), and asks nobody for leave.

Rules: a page costs what is in it, and ends early where it would hold too many bytes; a shape that was registered is in
the next answer.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from interlock.base.bounds import JSON_BYTES_MAX, PAGE_ITEMS_MAX
from interlock.base.canonical import digest
from interlock.base.ids import shown
from interlock.base.principal import Principal
from interlock.gates.errors import SHAPE_NOT_FOUND
from interlock.gates.records import DataShapeRecord
from interlock.gates.shapes.check import check_shape
from interlock.gates.shapes.kept import (
    SHAPE,
    SHAPES_KEPT,
    RegisterShape,
    ShapeKey,
    ShapeRegistered,
    decode,
    index_key,
    namespace_prefix,
    shape_stream,
)
from interlock.gates.values import read
from interlock.journal.cursor import listing, read_page, write_page
from interlock.journal.journal import Journal
from interlock.journal.ports import Blob
from interlock.journal.runner import Runner

INLINE_BYTES_MAX: Final = 16 * 1024
"""Bytes of a record that its event holds; a larger one is an artifact."""

PAGE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bytes of the records of a page, after which it ends; one record may be larger."""

ROWS_READ: Final = 100
"""Rows that are read at once."""

_KIND: Final = "DataShape"


class ShapePage(Struct, frozen=True):
    """Some shapes in the order of `(schema_id, version)`, and whether others follow."""

    items: list[DataShapeRecord]
    more: bool


class Shapes:
    """All data shapes of a journal. `principal` says in which tenant of the journal, and who acts."""

    def __init__(self, journal: Journal, runner: Runner) -> None:
        self._journal = journal
        self._runner = runner

    async def register(
        self, record: DataShapeRecord, principal: Principal, command_id: str | None = None
    ) -> DataShapeRecord:
        """Keep a record, which is there from then on, unchanged.

        Raises: `shape_exists`, also for the same record; `shape_invalid`, `shape_too_large`, `shape_schema_invalid`.
        """
        check_shape(record)
        stream = shape_stream(principal.tenant, _key(record))
        content = msgspec.json.encode(record)
        if len(content) <= INLINE_BYTES_MAX:
            registered = ShapeRegistered(len(content), content.decode(), None)
        else:
            registered = ShapeRegistered(len(content), None, digest(content))
            if not await self._runner.look(SHAPES_KEPT, stream, bool):
                await self._journal.store.artifacts.put([Blob(digest(content), _KIND, content)])
        await self._runner.execute(SHAPES_KEPT, RegisterShape(stream, registered), principal, command_id)
        return record

    async def get(self, key: ShapeKey, principal: Principal) -> DataShapeRecord:
        """The shape of a key. Raises: `shape_not_found`."""
        [row] = await self._journal.store.index.get(principal.tenant, SHAPE, [index_key(key)])
        if row is None:
            what = f"{shown(key.schema_id)} in the version {shown(key.version)}"
            raise SHAPE_NOT_FOUND.error(f"there is no shape {what}")
        [record] = await self._records([decode(row)])
        return record

    async def page(
        self, tenant_id: int, namespace_id: int, after: tuple[str, str] | None, limit: int, principal: Principal
    ) -> ShapePage:
        """Shapes of a namespace behind `after`, a schema id and a version, which need not be there; at most `limit`."""
        prefix, index = namespace_prefix(tenant_id, namespace_id), self._journal.store.index
        place = "" if after is None else index_key(ShapeKey(tenant_id, namespace_id, *after))
        limit = min(max(limit, 1), PAGE_ITEMS_MAX)
        found: list[ShapeRegistered] = []
        size = 0
        while rows := await index.scan(principal.tenant, SHAPE, prefix, place, ROWS_READ):
            for registered in (decode(row) for _, row in rows):
                size += registered.bytes
                if len(found) == limit or (found and size > PAGE_BYTES_MAX):
                    return ShapePage(await self._records(found), more=True)
                found.append(registered)
            place = rows[-1][0]
        return ShapePage(await self._records(found), more=False)

    def cursor(self, last: DataShapeRecord, principal: Principal) -> str:
        """Where a page ended, for a caller to keep."""
        return write_page(listing(self._journal.store.id, principal.tenant), (0, index_key(_key(last))))

    def place(self, cursor: str, principal: Principal) -> tuple[str, str]:
        """The schema id and version where the page before ended. Raises: `cursor_invalid`, `cursor_foreign`."""
        _, key = read_page(listing(self._journal.store.id, principal.tenant), cursor)
        schema_id, version = (bytes.fromhex(name).decode() for name in key.rpartition(":")[2].split("."))
        return schema_id, version

    async def _records(self, registered: list[ShapeRegistered]) -> list[DataShapeRecord]:
        wanted = [each.record_id for each in registered if each.record_id is not None]
        large = iter(await self._journal.store.artifacts.get(wanted) if wanted else [])
        contents = (next(large) if each.record is None else each.record for each in registered)
        return [read(content, DataShapeRecord, bytes_max=JSON_BYTES_MAX) for content in contents]


def _key(record: DataShapeRecord) -> ShapeKey:
    return ShapeKey(record.tenant_id, record.namespace_id, record.schema_id, record.version)
