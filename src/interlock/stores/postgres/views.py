"""`ViewStore` on PostgreSQL: rows for people, in the order of listings and by terms.

What it does: writes rows and the position that they reflect in one transaction, and pages through them. What it does
not do: it folds nothing.

Rules: a view that stands elsewhere is left alone; a term costs a write only when it or the order changed; a dropped
view is forgotten at once and its rows are taken away in slices that hold nobody up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from interlock.journal.errors import STORE_CORRUPT
from interlock.journal.ports import ViewRow
from interlock.stores.postgres.connections import Connection, Pool, rows_of
from interlock.stores.postgres.statements import statements

_SQL = statements("views")
_SWEEP_ROWS = 500
_ORDER_MAX = 2**63 - 1
_decode_terms = msgspec.json.Decoder(dict[str, str]).decode
Term = tuple[bytes, int, bytes]


class PostgresViewStore:
    """`ViewStore` over one opened store."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def apply(self, partition: str, view: str, rows: Sequence[ViewRow], before: int, position: int) -> bool:
        """Write rows and move the position, if the view stands at `before`."""

        async def work(connection: Connection) -> bool:
            async with connection.transaction():
                await connection.execute(_SQL["view_make"], (partition, view))
                [(no, stands)] = await rows_of(connection, _SQL["view_lock"], (partition, view))
                if stands != before:
                    return False
                await connection.execute(_SQL["view_move"], (position, no))
                await _write(connection, no, {row.key: row for row in rows})
                return True

        return await self._pool.run(work)

    async def position(self, partition: str, view: str) -> int:
        """The position that the view has seen."""
        found = await self._pool.rows(_SQL["view_find"], (partition, view))
        return int(found[0][1]) if found else 0

    async def rows(self, partition: str, view: str, keys: Sequence[str]) -> list[bytes | None]:
        """The document at each key."""
        values = (partition, view, [key.encode() for key in keys])
        found: dict[bytes, bytes] = dict(await self._pool.rows(_SQL["view_documents"], values))
        return [found.get(key.encode()) for key in keys]

    async def query(
        self, partition: str, view: str, terms: Mapping[str, str], before: tuple[int, str] | None, limit: int
    ) -> list[tuple[int, str, bytes]]:
        """Rows with all `terms`, newest first, below `before`."""
        found = await self._pool.rows(_SQL["view_find"], (partition, view))
        if not found:
            return []
        ordinal, key = (_ORDER_MAX, None) if before is None else (before[0], before[1].encode())
        below = (ordinal, ordinal, key, key)
        if not terms:
            rows = await self._pool.rows(_SQL["view_list"], (found[0][0], *below, max(limit, 0)))
        else:
            first, *others = (_term(name, value) for name, value in terms.items())
            rows = await self._pool.rows(
                _SQL["view_list_by_terms"], (found[0][0], first, *below, others, max(limit, 0))
            )
        return [(ordinal, key.decode(), document) for ordinal, key, document in rows]

    async def drop(self, partition: str, view: str) -> None:
        """Forget the view and its position."""
        no = await self._pool.one(_SQL["view_drop"], (partition, view))
        while no is not None and await self._pool.run(lambda connection: _sweep(connection, no)):
            pass


def _term(name: str, value: str) -> bytes:
    return hashlib.sha256(f"{name}\0{value}".encode()).digest()


def _terms_of(terms: bytes) -> dict[str, str]:
    try:
        return _decode_terms(terms)
    except msgspec.MsgspecError:
        raise STORE_CORRUPT.error("a row of the table view_row is damaged", table="view_row") from None


async def _write(connection: Connection, view: int, rows: Mapping[str, ViewRow]) -> None:
    """Put and take away rows, and only those terms that changed."""
    if not rows:
        return
    old: dict[bytes, set[Term]] = {}
    keys = [key.encode() for key in rows]
    for key, ordinal, terms in await rows_of(connection, _SQL["view_rows_find"], (view, keys)):
        old[key] = {(_term(*term), ordinal, key) for term in _terms_of(terms).items()}
    puts = [(key.encode(), row) for key, row in rows.items() if row.document is not None]
    drops = [key.encode() for key, row in rows.items() if row.document is None]
    after = {key: {(_term(*term), row.order, key) for term in row.terms.items()} for key, row in puts}
    gone = sorted(term for key in keys for term in old.get(key, set()) - after.get(key, set()))
    new = sorted(term for key, terms in after.items() for term in terms - old.get(key, set()))
    async with connection.pipeline():
        if gone:
            await connection.execute(_SQL["view_terms_drop"], (*_columns(gone), view))
        if drops:
            await connection.execute(_SQL["view_rows_drop"], (view, drops))
        if puts:
            columns = (
                [key for key, _ in puts],
                [row.order for _, row in puts],
                [msgspec.json.encode(row.terms) for _, row in puts],
                [row.document for _, row in puts],
            )
            await connection.execute(_SQL["view_rows_put"], (view, *columns))
        if new:
            await connection.execute(_SQL["view_terms_put"], (view, *_columns(new)))


def _columns(terms: Sequence[Term]) -> tuple[list[bytes], list[int], list[bytes]]:
    return [term for term, _, _ in terms], [ordinal for _, ordinal, _ in terms], [key for _, _, key in terms]


async def _sweep(connection: Connection, view: int) -> bool:
    """Take some rows of a forgotten view away; whether there may be more."""
    rows = await connection.execute(_SQL["view_rows_sweep"], (view, view, _SWEEP_ROWS))
    terms = await connection.execute(_SQL["view_terms_sweep"], (view, view, _SWEEP_ROWS))
    return max(rows.rowcount, terms.rowcount) == _SWEEP_ROWS
