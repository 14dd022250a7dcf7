"""One call at a time on a connection of libpq, sent at once and answered by a callback.

What it does: sends a prepared call within the running callback of the loop, and hands its result, or the error, to who
asked. What it does not do: it makes no task and no future, and understands no result.

Rules: the connection belongs to the wire alone; after an error that is not an answer of the server the wire is lost
and is never used again.

The driver's own cursors cost three turns of the loop for each call; the writer would then start its batch only when
every run that is awake has had its turn, and the server would idle as long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

    from interlock.stores.postgres.connections import Connection

Answer: TypeAlias = "PGresult | psycopg.Error"
_BINARY = int(pq.Format.BINARY)


class Wire:
    """The writer's connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._socket = self._pgconn.socket
        self._answered: Callable[[Answer], None] | None = None
        self._result: PGresult | None = None
        self.lost = False
        self._loop.add_reader(self._socket, self._readable)

    def send(self, statement: bytes, values: Sequence[bytes], answered: Callable[[Answer], None]) -> None:
        """Call a prepared statement; `answered` hears once, and never within this call."""
        self._answered = answered
        try:
            self._pgconn.send_query_prepared(statement, values, [_BINARY] * len(values), _BINARY)
            self._flush()
        except psycopg.Error as fault:
            self._lose(fault)

    def _flush(self) -> None:
        if self._pgconn.flush():
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        self._loop.remove_writer(self._socket)
        try:
            self._pgconn.consume_input()
            self._flush()
        except psycopg.Error as fault:
            self._lose(fault)

    def _readable(self) -> None:
        try:
            self._pgconn.consume_input()
            while not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if result is None:
                    self._finish()
                    return
                self._result = self._result or result
        except psycopg.Error as fault:
            self._lose(fault)

    def _finish(self) -> None:
        result, self._result = self._result, None
        if self._pgconn.status != pq.ConnStatus.OK:
            self._lose(psycopg.OperationalError("the connection was lost"))
        elif result is not None and self._answered is not None:
            answered, self._answered = self._answered, None
            sound = result.status == pq.ExecStatus.TUPLES_OK
            answered(result if sound else error_from_result(result, encoding="utf-8"))

    def _lose(self, fault: psycopg.Error) -> None:
        if not self.lost:
            self.lost = True
            self._unhook()
        answered, self._answered = self._answered, None
        if answered is not None:
            self._loop.call_soon(answered, psycopg.OperationalError(type(fault).__name__))

    def _unhook(self) -> None:
        with suppress(ValueError, OSError):
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)

    async def close(self) -> None:
        """Close the connection."""
        if not self.lost:
            self.lost = True
            self._unhook()
        await self._connection.close()
