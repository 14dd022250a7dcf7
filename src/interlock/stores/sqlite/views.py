"""`ViewStore` on SQLite: rows for people, in the order of listings and by terms.

What it does: writes rows and the position that they reflect in one transaction, and pages through them. What
it does not do: it folds nothing.

Rules: a view that stands elsewhere is left alone; a term costs a write only when it or the order changed; a
dropped view is forgotten at once and its rows are taken away in slices that hold nobody up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import apsw
import msgspec

from interlock.journal.ports import ViewRow
from interlock.stores.sqlite.connection import Reader
from interlock.stores.sqlite.rows import RowShape, check_ascending, damaged_row
from interlock.stores.sqlite.statements import EACH, ManyRows, statements
from interlock.stores.sqlite.writer import Writer

_SQL = statements("views")
_FIND_ROWS, _DOCUMENTS = ManyRows(_SQL["view_rows_find"]), ManyRows(_SQL["view_documents"])
_PUT_ROWS, _DROP_ROWS = ManyRows(_SQL["view_rows_put"]), ManyRows(_SQL["view_rows_drop"])
_PUT_TERMS, _DROP_TERMS = ManyRows(_SQL["view_terms_put"]), ManyRows(_SQL["view_terms_drop"])
_SWEEP_ROWS = 500
_ORDER_MAX = 2**63 - 1
_ABOVE_ALL_TEXT = b""
_VIEW = RowShape("view", int, int)
_DOCUMENT, _LISTED = RowShape("view_row", str, bytes), RowShape("view_row", int, str, bytes)
_TERMS = RowShape("view_row", str, int, str)
_decode_terms = msgspec.json.Decoder(dict[str, str]).decode


class SqliteViewStore:
    """`ViewStore` over one opened store."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def apply(self, partition: str, view: str, rows: Sequence[ViewRow], before: int, position: int) -> bool:
        """Write rows and move the position, if the view stands at `before`."""

        def task(connection: apsw.Connection) -> bool:
            found = _VIEW.checked(connection.execute(_SQL["view_find"], (partition, view)).fetchall())
            no, stands = found[0] if found else (None, 0)
            if stands != before:
                return False
            if no is None:
                no = connection.execute(_SQL["view_put"], (partition, view, position)).get
            else:
                connection.execute(_SQL["view_move"], (position, no))
            _write(connection, cast("int", no), {row.key: row for row in rows})
            return True

        return cast("bool", await self._writer.write(task))

    async def position(self, partition: str, view: str) -> int:
        """The position that the view has seen."""
        found = self._reader.rows(_SQL["view_find"], _VIEW, (partition, view))
        return int(found[0][1]) if found else 0

    async def rows(self, partition: str, view: str, keys: Sequence[str]) -> list[bytes | None]:
        """The document at each key."""
        found: dict[str, bytes] = dict(self._reader.many(_DOCUMENTS, _DOCUMENT, keys, first=(partition, view)))
        return [found.get(key) for key in keys]

    async def query(
        self, partition: str, view: str, terms: Mapping[str, str], before: tuple[int, str] | None, limit: int
    ) -> list[tuple[int, str, bytes]]:
        """Rows with all `terms`, newest first, below `before`."""
        found = self._reader.rows(_SQL["view_find"], _VIEW, (partition, view))
        if not found:
            return []
        below: tuple[int, str | bytes] = before or (_ORDER_MAX, _ABOVE_ALL_TEXT)
        limit = max(limit, 0)
        if not terms:
            rows = self._reader.rows(_SQL["view_list"], _LISTED, (found[0][0], *below, limit))
        else:
            first, *others = terms.items()
            sql, condition, end = _SQL["view_list_by_term"].split(EACH)
            sql += condition * len(others) + end
            values = [value for other in others for value in other]
            rows = self._reader.rows(sql, _LISTED, (found[0][0], *first, *below, *values, limit))
        places = [(ordinal, key) for ordinal, key, _ in reversed(rows)]
        check_ascending("view_row", places if before is None else [*places, before])
        return [(ordinal, key, document) for ordinal, key, document in rows]

    async def drop(self, partition: str, view: str) -> None:
        """Forget the view and its position."""

        def forget(connection: apsw.Connection) -> int | None:
            found = _VIEW.checked(connection.execute(_SQL["view_find"], (partition, view)).fetchall())
            if not found:
                return None
            connection.execute(_SQL["view_drop"], (found[0][0],))
            return cast("int", found[0][0])

        no = await self._writer.write(forget)
        if no is not None:
            while await self._writer.write(lambda connection: _sweep(connection, no)):
                pass


def _terms_of(terms: str) -> dict[str, str]:
    try:
        return _decode_terms(terms)
    except msgspec.MsgspecError:
        raise damaged_row("view_row") from None


def _write(connection: apsw.Connection, view: int, rows: Mapping[str, ViewRow]) -> None:
    """Put and take away rows, and only those terms that changed."""
    if not rows:
        return
    execute = connection.execute
    old: dict[str, set[tuple[Any, ...]]] = {}
    for key, ordinal, terms in _TERMS.checked(_FIND_ROWS.select(execute, list(rows), first=(view,))):
        old[key] = {(view, name, value, ordinal, key) for name, value in _terms_of(terms).items()}
    puts: list[Any] = []
    drops: list[Any] = []
    terms_put: list[Any] = []
    terms_drop: list[Any] = []
    for key, row in rows.items():
        before, after = old.get(key, set()), set()
        if row.document is None:
            drops += (view, key)
        else:
            puts += (view, key, row.order, msgspec.json.encode(row.terms).decode(), row.document)
            after = {(view, name, value, row.order, key) for name, value in row.terms.items()}
        for term in sorted(before - after):
            terms_drop += term
        for term in sorted(after - before):
            terms_put += term
    for statement, values, width in (
        (_DROP_TERMS, terms_drop, 5),
        (_DROP_ROWS, drops, 2),
        (_PUT_ROWS, puts, 5),
        (_PUT_TERMS, terms_put, 5),
    ):
        if values:
            statement.run(execute, values, width)


def _sweep(connection: apsw.Connection, view: int) -> bool:
    """Take some rows of a forgotten view away; whether there may be more."""
    connection.execute(_SQL["view_rows_sweep"], (view, _SWEEP_ROWS))
    rows = connection.changes()
    connection.execute(_SQL["view_terms_sweep"], (view, view, _SWEEP_ROWS))
    return max(rows, connection.changes()) == _SWEEP_ROWS
