"""What a row that was read must look like, whatever has become of the bytes under it.

What it does: says of each kind of row which types its values have, and that a listing goes forward. What it does not
do: it does not look into values; digests prove those.

Rules: nobody uses a row that was not checked here: one flipped bit in the header of a row gives a value another type,
and one in a tree a listing that turns back. Both are damage of the store, never a fault of the program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import Any

from interlock.base.errors import InterlockError
from interlock.journal.errors import STORE_CORRUPT
from interlock.stores.sqlite.statements import Row

Kinds = type | tuple[type, ...]
_ROW_BY_ROW_MAX = 4
"""Up to so many rows it costs less to look at each than at each column."""

Missing = type(None)


class RowShape:
    """The types of the values in the rows of one statement, column by column."""

    def __init__(self, table: str, *columns: Kinds, fault: Callable[[Row], InterlockError] | None = None) -> None:
        options = [column if isinstance(column, tuple) else (column,) for column in columns]
        self._columns = tuple(map(frozenset, options))
        self._rows = frozenset(product(*options))
        self._table = table
        self._fault = fault

    def checked(self, rows: list[Row]) -> list[Row]:
        """The same rows. Raises: `store_corrupt`, or `fault` of the first row with a value of another type."""
        if len(rows) > _ROW_BY_ROW_MAX:
            pairs = zip(self._columns, zip(*rows, strict=True), strict=True)
            if all(kinds >= set(map(type, values)) for kinds, values in pairs):
                return rows
        for row in rows:
            if tuple(map(type, row)) not in self._rows:
                raise self._damaged(row)
        return rows

    def _damaged(self, row: Row) -> InterlockError:
        return damaged_row(self._table) if self._fault is None else self._fault(row)


def damaged_row(table: str) -> InterlockError:
    """The error for a row that cannot be what was written."""
    return STORE_CORRUPT.error(f"a row of the table {table} is damaged", table=table)


def check_ascending(table: str, keys: Sequence[Any]) -> None:
    """Refuse a listing that does not go forward, in which whoever follows it would never come to an end."""
    if any(after <= before for before, after in pairwise(keys)):
        raise STORE_CORRUPT.error(f"the table {table} is not in its order", table=table)
