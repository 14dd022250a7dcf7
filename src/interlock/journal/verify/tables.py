"""What the comparison of any derived table with its rebuild needs.

What it does: `Shard` holds the rebuilt rows of a part of the keys, `settled` compares until no writer was in the
way. What it does not do: it knows no table.

Rule: no more rows are held than the bound; a table with more is rebuilt several times, each time other keys.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

from interlock.journal.verify.report import Examination, Finding

ROWS_MAX = 200_000
"""Rebuilt rows that are held at once."""

TRIES_MAX = 3
"""How often a table is compared that writers keep moving."""

Value = TypeVar("Value")


class Shard(Generic[Value]):
    """Rows of the keys that fall to shard `number` of `of`. The first one narrows until its rows fit."""

    def __init__(self, number: int = 0, of: int = 1) -> None:
        self.number = number
        self.of = of
        self.rows: dict[str, Value] = {}

    def holds(self, key: str) -> bool:
        """Whether a key falls to this shard."""
        return self.of == 1 or zlib.crc32(key.encode()) % self.of == self.number

    def put(self, key: str, value: Value | None) -> None:
        """Set the row at a key that falls to this shard, or take it away (None)."""
        if value is None:
            self.rows.pop(key, None)
            return
        self.rows[key] = value
        while self.number == 0 and len(self.rows) > ROWS_MAX:
            self.of *= 2
            self.rows = {kept: row for kept, row in self.rows.items() if self.holds(kept)}

    def next(self) -> Shard[Value] | None:
        """The shard after this one, empty; None after the last."""
        return Shard(self.number + 1, self.of) if self.number + 1 < self.of else None


class Compared(NamedTuple):
    """What a comparison found, and how many stored rows it looked at."""

    findings: list[Finding]
    rows: int


async def settled(
    examination: Examination,
    table: str,
    count: str,
    mark: Callable[[], Awaitable[int]],
    compare: Callable[[int], Awaitable[Compared]],
) -> None:
    """Keep what `compare` finds, if what `mark` gives was the same before and after it."""
    for _ in range(TRIES_MAX):
        before = await mark()
        compared = await compare(before)
        if not compared.findings or await mark() == before:
            examination.counts[count] += compared.rows
            for finding in compared.findings:
                examination.keep(finding)
            return
    examination.unsettled.add(table)
