"""SQL from named files.

What it does: reads `stores/sql/sqlite/*.sql`, where `-- name: x` begins the statement `x`, and makes of one
statement its forms for many rows. What it does not do: it runs nothing by itself and puts no value into SQL.

Rule: what is repeated for each row or key stands between two `/*each*/`. Only a few sizes are ever prepared:
the statement for many rows is run for the largest size that fits, then for the rest, so that SQLite's
compiled statements stay in the cache of the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "sql" / "sqlite"
ROWS_MAX = 512
"""Rows of one statement; a power of two, so that the SQL stays below what the statement cache accepts (16
KiB).
"""

EACH = "/*each*/"
Row = tuple[Any, ...]
Execute = Callable[[str, Sequence[Any]], Any]


@cache
def statements(name: str) -> Mapping[str, str]:
    """The statements of `<name>.sql` by their names."""
    found: dict[str, str] = {}
    for section in (FOLDER / f"{name}.sql").read_text(encoding="utf-8").split("-- name: ")[1:]:
        title, _, body = section.partition("\n")
        found[title.strip()] = body.strip()
    return found


class ManyRows:
    """One statement in the sizes 1, 2, 4 … `ROWS_MAX`."""

    def __init__(self, sql: str) -> None:
        self._before, self._row, self._after = sql.split(EACH)
        self._sizes: dict[int, str] = {}
        self.one = self._sized(1)

    def run(self, execute: Execute, values: list[Any], width: int) -> None:
        """Run it over rows of `width` values each, given one after the other."""
        if len(values) == width:
            execute(self.one, values)
            return
        at, size = 0, ROWS_MAX
        while at < len(values):
            while size * width > len(values) - at:
                size //= 2
            execute(self._sized(size), values[at : at + size * width])
            at += size * width

    def select(self, execute: Execute, keys: Sequence[Any], *, first: Sequence[Any] = (), width: int = 1) -> list[Row]:
        """The rows found for keys of `width` values each; `first` are the values before the keys."""
        if len(keys) == width:
            rows: list[Row] = execute(self.one, [*first, *keys]).fetchall()
            return rows
        rows = []
        for at in range(0, len(keys), ROWS_MAX * width):
            part = list(keys[at : at + ROWS_MAX * width])
            size = 1 << (len(part) // width - 1).bit_length()
            # A repeated key changes no answer and fills the statement up to its size.
            part += part[-width:] * (size - len(part) // width)
            rows += execute(self._sized(size), [*first, *part]).fetchall()
        return rows

    def _sized(self, size: int) -> str:
        sql = self._sizes.get(size)
        if sql is None:
            sql = self._sizes[size] = self._before + ",".join([self._row] * size) + self._after
        return sql
