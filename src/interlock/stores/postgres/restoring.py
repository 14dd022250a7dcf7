"""Writing what another store holds: the part of a copy that no append can do.

What it does: appends events whose data may be erased, puts rows of index, timers and activations as they are given, and
keeps other copies away from the same schema. What it does not do: it compares nothing; whoever copies does.

Rules: every call writes once, however often it is repeated; how much comes at once is for the caller to bound; it is
for stores that nobody can open yet, whose rows stand for no event of the same transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import psycopg

from interlock.base.events import IndexRow, Timer
from interlock.journal.errors import COPY_RUNNING
from interlock.journal.ports import Append
from interlock.stores.activation import Activation
from interlock.stores.appending import Outcome
from interlock.stores.postgres.connections import Connection, Pool, Server, rows_of
from interlock.stores.postgres.log import PostgresEventLog
from interlock.stores.postgres.statements import statements

_SQL, _ACTIVATIONS = statements("restoring"), statements("activations")


class PostgresRestoring:
    """Writes into one opened store that is being copied to."""

    def __init__(self, pool: Pool, log: PostgresEventLog) -> None:
        self._pool = pool
        self._log = log

    async def events(self, appends: Sequence[Append]) -> list[Outcome]:
        """As `append`; data may have been erased."""
        return await self._log.restore(appends)

    async def clear_rows(self) -> None:
        """Drop what an earlier try derived: the source may have moved since."""
        await self._pool.run(lambda connection: connection.execute(_SQL["rows_clear"]))

    async def index(self, partition: str, rows: Sequence[IndexRow]) -> None:
        """Put rows of the index of a partition that has an event."""
        values = (
            partition,
            [row.index for row in rows],
            [row.key.encode() for row in rows],
            [row.value for row in rows],
        )
        await self._pool.run(lambda connection: connection.execute(_SQL["index_put"], values))

    async def timers(self, partition: str, timers: Sequence[Timer]) -> None:
        """Set timers of a partition that has an event."""
        values = (
            partition,
            [timer.timer_id.encode() for timer in timers],
            [timer.stream for timer in timers],
            [timer.due_ms for timer in timers],
            [timer.payload for timer in timers],
        )
        await self._pool.run(lambda connection: connection.execute(_SQL["timers_put"], values))

    async def activations(self, activations: Sequence[Activation]) -> None:
        """Put activations as they are, of whatever partition."""
        columns = tuple(list(column) for column in zip(*(each.values() for each in activations), strict=True))
        await self._pool.run(lambda connection: connection.execute(_ACTIVATIONS["activations_put"], columns))


@asynccontextmanager
async def sole_copy(server: Server) -> AsyncIterator[Connection]:
    """A session that alone may copy into the schema, for as long as the block lasts. Raises: `copy_running`."""
    connection = await server.connect()
    try:
        await _lock(server, connection)
        yield connection
    finally:
        await connection.close()


async def _lock(server: Server, connection: Connection) -> None:
    try:
        [(taken,)] = await rows_of(connection, _SQL["copy_lock"], (server.address.schema,))
        with suppress(psycopg.errors.UndefinedObject):
            await connection.execute(_SQL["copy_lock_stays"])
    except psycopg.Error as fault:
        raise server.error(fault) from None
    if not taken:
        raise COPY_RUNNING.error(f"another copy into {server.name} is under way")
