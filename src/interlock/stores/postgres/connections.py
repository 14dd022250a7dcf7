"""Connections to the server: how each is made, and the few that reading and claiming share.

What it does: makes connections that are all configured alike, refuses a server that would lose acknowledged work, runs
small work on the next free connection, and makes a lost one anew. What it does not do: it appends nothing; the writer
has a connection of its own.

Rules: `synchronous_commit` is on in every session of ours; work that is run here may be run twice, where a connection
was lost in between, and is made so that this is harmless; an error of the server never leaves this package.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from interlock.base.errors import InterlockError
from interlock.journal.errors import CONTENTION, STORE_CLOSED, STORE_CORRUPT, STORE_FOREIGN, STORE_UNWRITABLE
from interlock.stores.postgres.access import Access, Grants
from interlock.stores.postgres.address import Address
from interlock.stores.postgres.errors import (
    AGAIN,
    POSTGRES_UNREACHABLE,
    POSTGRES_UNSAFE,
    is_lost,
    of_connecting,
    translated,
)
from interlock.stores.postgres.settings import PostgresSettings
from interlock.stores.postgres.statements import statements

VERSION_MIN = 140000
_SQL, _STORE = statements("session"), statements("store")
_PAUSE_SECONDS, _PAUSE_SECONDS_MAX = 0.05, 1.0
_TRIES_MAX = 20

Connection: TypeAlias = AsyncConnection[Any]
Row: TypeAlias = tuple[Any, ...]
Values: TypeAlias = Sequence[Any] | Mapping[str, Any]
Result = TypeVar("Result")
Work: TypeAlias = Callable[[Connection], Awaitable[Result]]


class Server:
    """One server, and how connections to it are made."""

    def __init__(self, address: Address, settings: PostgresSettings, *, read_only: bool) -> None:
        self.address = address
        self.settings = settings
        self.read_only = read_only
        self.access = Access()

    @property
    def name(self) -> str:
        """What may be shown of the store."""
        return self.address.shown

    async def connect(self) -> Connection:
        """A connection, configured. Raises: `postgres_unreachable`, `postgres_refused`."""
        seconds = max(self.settings.connect_timeout_ms // 1000, 2)
        defaults = {"connect_timeout": str(seconds), "application_name": "interlock", "tcp_user_timeout": "30000"}
        try:
            # What the user gave wins over what we would say.
            where = make_conninfo(**{**defaults, **self.address.parameters})
            connection = await AsyncConnection.connect(where, autocommit=True, prepare_threshold=0)
        except psycopg.Error as fault:
            raise of_connecting(fault, self.name) from None
        except (OSError, UnicodeError):
            raise POSTGRES_UNREACHABLE.error(f"{self.name}: the server cannot be reached") from None
        try:
            only = "on" if self.read_only else "off"
            values = (self.address.schema, str(self.settings.statement_timeout_ms), only)
            await connection.execute(_SQL["configure"], values, prepare=False)
        except psycopg.Error as fault:
            await connection.close()
            raise of_connecting(fault, self.name) from None
        except BaseException:
            await connection.close()
            raise
        return connection

    def error(self, fault: psycopg.Error) -> InterlockError:
        """The store's error for one of the server's."""
        return translated(fault, self.name, self.access.denied(fault.diag.message_primary or ""))

    async def ask_access(self, connection: Connection) -> None:
        """Learn what the role may do with the store. Raises: `postgres_refused` if it cannot even read."""
        rows = await rows_of(connection, _STORE["access"], {"schema": self.address.schema})
        self.access = Access(tuple(Grants(kind, name, tuple(lacks)) for kind, name, lacks in sorted(rows)))
        refusal = self.access.unreadable(self.name)
        if refusal is not None:
            raise refusal

    async def check(self, connection: Connection) -> None:
        """Refuse a server that is not fit. Raises: `postgres_unsafe`, `store_unwritable`, `store_foreign`."""
        rows = await rows_of(connection, _SQL["server"])
        fsync, full_pages, version, encoding, follows = rows[0]
        if version < VERSION_MIN:
            raise STORE_FOREIGN.error(f"{self.name}: the server is older than PostgreSQL {VERSION_MIN // 10000}")
        if encoding != "UTF8":
            raise STORE_FOREIGN.error(f"{self.name}: the encoding of the database is not UTF8")
        if (fsync, full_pages) != ("on", "on") and not (self.settings.unsafe_fsync_off or self.read_only):
            raise POSTGRES_UNSAFE.error(f"{self.name}: the server does not flush what it commits")
        if follows and not self.read_only:
            raise STORE_UNWRITABLE.error(f"{self.name}: the server is a standby and only reads")


async def rows_of(connection: Connection, sql: bytes, values: Values | None = None) -> list[Row]:
    """All rows of one statement, in the binary form."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(sql, values)
        return await cursor.fetchall()


async def patiently(work: Callable[[], Awaitable[Result]], timeout_ms: int) -> Result:
    """Do `work` again while the server cannot be reached, for `timeout_ms`."""
    until = time.monotonic() + timeout_ms / 1000
    pause = _PAUSE_SECONDS
    while True:
        try:
            return await work()
        except InterlockError as fault:
            if not fault.retryable or time.monotonic() >= until:
                raise
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - a pause is no secret
        pause = min(pause * 2, _PAUSE_SECONDS_MAX)


class Pool:
    """The connections for reading and small writes. Belongs to the event loop on which it was made."""

    def __init__(self, server: Server, first: Connection) -> None:
        self._server = server
        self._free = [first]
        self._places = asyncio.Semaphore(server.settings.connections_max)
        self._closed: InterlockError | None = None

    async def rows(self, sql: bytes, values: Values | None = None) -> list[Row]:
        """All rows of one statement."""
        return await self.run(lambda connection: rows_of(connection, sql, values))

    async def one(self, sql: bytes, values: Values | None = None) -> Any:
        """The first value of the first row, None without one."""
        rows = await self.rows(sql, values)
        return rows[0][0] if rows else None

    async def run(self, work: Work[Result]) -> Result:
        """The result of `work` on a free connection; again on another where it was lost or had to give way."""
        for attempt in range(_TRIES_MAX):
            if self._closed is not None:
                raise self._closed
            async with self._places:
                connection = await self._taken()
                try:
                    return await work(connection)
                except psycopg.Error as fault:
                    if not is_lost(fault) and fault.sqlstate not in AGAIN:
                        raise self._server.error(fault) from None
                except UnicodeError:
                    raise STORE_CORRUPT.error(f"{self._server.name}: a text is damaged") from None
                finally:
                    await self._give_back(connection)
            await asyncio.sleep(random.uniform(0, 0.002 * attempt))  # noqa: S311 - a pause is no secret
        raise CONTENTION.error(f"{self._server.name}: others kept changing the same rows", retry_after_ms=100)

    async def _taken(self) -> Connection:
        if self._closed is not None:
            raise self._closed
        if self._free:
            return self._free.pop()
        return await patiently(self._server.connect, self._server.settings.reconnect_timeout_ms)

    async def _give_back(self, connection: Connection) -> None:
        idle = not connection.closed and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        if idle and self._closed is None:
            self._free.append(connection)
        else:
            await connection.close()

    def end(self, why: InterlockError) -> None:
        """Refuse everything from now on."""
        self._closed = self._closed or why

    async def close(self) -> None:
        """Refuse what comes, and close what is free; who is at work closes after it."""
        self.end(STORE_CLOSED.error(f"{self._server.name} has been closed"))
        while self._free:
            await self._free.pop().close()
