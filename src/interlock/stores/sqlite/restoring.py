"""Writing what another store holds: the part of a copy that no append can do.

What it does: appends events whose data may be erased, and puts rows of index, timers and activations as they are given,
each call in one transaction. What it does not do: it compares nothing; whoever copies does.

Rules: how much comes at once is for the caller to bound; it is for stores that nobody can open yet, whose rows stand
for no event of the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw

from interlock.base.events import IndexRow, Timer
from interlock.journal.ports import Append
from interlock.stores.activation import Activation
from interlock.stores.appending import Outcome
from interlock.stores.sqlite.log import SqliteEventLog
from interlock.stores.sqlite.statements import ManyRows, statements
from interlock.stores.sqlite.writer import Writer

_FIND = statements("events")["partition_find"]
_INDEX = ManyRows(statements("index")["index_put"])
_TIMERS = ManyRows(statements("timers")["timers_put"])
_ACTIVATIONS = ManyRows(statements("activations")["activations_put"])


class SqliteRestoring:
    """Writes into one opened store that is being copied to."""

    def __init__(self, writer: Writer, log: SqliteEventLog) -> None:
        self._writer = writer
        self._log = log

    async def events(self, appends: Sequence[Append]) -> list[Outcome]:
        """As `append`; data may have been erased."""
        return await self._log.restore(appends)

    async def index(self, partition: str, rows: Sequence[IndexRow]) -> None:
        """Put rows of the index of a partition that has an event."""
        await self._put(_INDEX, partition, [(row.index, row.key, row.value) for row in rows])

    async def timers(self, partition: str, timers: Sequence[Timer]) -> None:
        """Set timers of a partition that has an event."""
        values = [(timer.timer_id, timer.stream, timer.due_ms, timer.payload) for timer in timers]
        await self._put(_TIMERS, partition, values)

    async def _put(self, statement: ManyRows, partition: str, rows: Sequence[tuple[Any, ...]]) -> None:
        def task(connection: apsw.Connection) -> None:
            no = connection.execute(_FIND, (partition,)).get
            values = [value for row in rows for value in (no, *row)]
            if rows:
                statement.run(connection.execute, values, len(rows[0]) + 1)

        await self._writer.write(task)

    async def activations(self, activations: Sequence[Activation]) -> None:
        """Put activations as they are, of whatever partition."""
        values = [value for each in activations for value in each.values()]

        def task(connection: apsw.Connection) -> None:
            _ACTIVATIONS.run(connection.execute, values, 7)

        await self._writer.write(task)
