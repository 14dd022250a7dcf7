"""Opening a store on PostgreSQL, and the store that comes of it.

What it does: connects, recognises or makes the schema, brings it up to date, refuses what is foreign or from the
future, and puts the ports together. What it does not do: it makes no database and no role.

Rules: any number of processes on any number of computers may have one store open; whatever was opened is closed again
when opening fails; no error shows a password.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import psycopg

from interlock.base.clock import Clock, Entropy, SystemClock, SystemEntropy
from interlock.base.errors import InterlockError
from interlock.journal.errors import STORE_UNWRITABLE
from interlock.journal.ports import (
    Activations,
    Artifacts,
    Doorbell,
    EventLog,
    Index,
    StoreStatistics,
    Timers,
    ViewStore,
)
from interlock.stores.postgres import schema
from interlock.stores.postgres.activations import PostgresActivations
from interlock.stores.postgres.address import Address, address_of
from interlock.stores.postgres.artifacts import PostgresArtifacts
from interlock.stores.postgres.connections import Connection, Pool, Server, rows_of
from interlock.stores.postgres.doorbell import PostgresDoorbell
from interlock.stores.postgres.index import PostgresIndex
from interlock.stores.postgres.log import PostgresEventLog
from interlock.stores.postgres.restoring import PostgresRestoring, sole_copy
from interlock.stores.postgres.settings import PostgresSettings
from interlock.stores.postgres.statements import statements
from interlock.stores.postgres.timers import PostgresTimers
from interlock.stores.postgres.views import PostgresViewStore
from interlock.stores.postgres.writer import Faults, Writer

DEFAULTS = PostgresSettings()
_RANDOM_BYTES = 6
_EVENTS = statements("events")


class PostgresStore:
    """One opened store: `Store` on PostgreSQL. Belongs to the event loop on which it was opened."""

    def __init__(
        self,
        server: Server,
        first: Connection,
        store_id: str,
        owner: str,
        positions: int,
        faults: Faults | None,
        unwritable: InterlockError | None,
    ) -> None:
        settings = server.settings
        self.name = server.name
        self.address = server.address
        self.id = store_id
        self.owner = owner
        self.pool = Pool(server, first)
        self._bell = PostgresDoorbell(server, self.pool, store_id, owner, positions)
        self.writer = Writer(server, self.pool, owner, self._bell.ring, faults)
        artifacts = PostgresArtifacts(self.pool, self.writer, settings.artifact_inline_bytes_max)
        log = PostgresEventLog(self.pool, self.writer, artifacts)
        self.events: EventLog = log
        self.artifacts: Artifacts = artifacts
        self.stored_artifacts = artifacts
        self.restoring = PostgresRestoring(self.pool, log)
        self.index: Index = PostgresIndex(self.pool)
        self.views: ViewStore = PostgresViewStore(self.pool)
        if unwritable is not None:
            from interlock.stores.views_beside import ViewsBeside

            self.writer.refuse(unwritable)
            self.views = ViewsBeside(self.views)
        self.stored_activations = PostgresActivations(self.pool, self._bell.ring)
        self.activations: Activations = self.stored_activations
        self.timers: Timers = PostgresTimers(self.pool)
        self.doorbell: Doorbell = self._bell
        self._closing: asyncio.Future[None] | None = None

    def statistics(self) -> StoreStatistics:
        """Figures of the writer since it opened; the log of the server is not ours to measure."""
        figures = self.writer.figures
        return StoreStatistics(
            self.writer.queued,
            figures.commits,
            figures.appends,
            figures.events,
            figures.conflicts,
            figures.refused,
            0,
        )

    async def close(self) -> None:
        """Finish what is queued, end the claims, and disconnect. Closing again does nothing.

        Who only read writes nothing.
        """
        if self._closing is not None:
            await self._closing
            return
        self._closing = asyncio.get_running_loop().create_future()
        await self.writer.close()
        writes = self.writer.begun or self.stored_activations.claimed
        if writes:
            with suppress(InterlockError):  # without the farewell the claims expire
                await self.stored_activations.end(self.owner)
        await self._bell.close(tell=writes)
        await self.pool.close()
        self._closing.set_result(None)


async def open_postgres(
    url: str | Address,
    *,
    create: bool = True,
    read_only: bool = False,
    settings: PostgresSettings = DEFAULTS,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    faults: Faults | None = None,
    copy_of: str | None = None,
) -> PostgresStore:
    """Open the store at `url`, or make it if there is none and `create`.

    With `read_only` nothing is written, not even a migration. Unless `create`, a role that may only read opens an
    existing store so, too; each write is then refused, and no role draws a number before its first append.

    With `copy_of` it is made as an unfinished copy of the store of that identity, and can be opened so only (see
    `copy_target`). `faults` is called with the name of each point that a batch reaches: `append:before`, `append:sent`,
    `append:after_commit`; what it raises happens there.

    Raises: `postgres_url_invalid`, `postgres_missing`, `postgres_unreachable`, `postgres_refused`, `postgres_unsafe`,
    `store_not_found`, `store_foreign`, `store_from_future`, `migration_changed`, `store_corrupt`, `store_unwritable`,
    `store_unfinished`, `copy_target_exists`.
    """
    address = url if isinstance(url, Address) else address_of(url)
    server = Server(address, settings, read_only=read_only)
    entropy = entropy or SystemEntropy()
    async with AsyncExitStack() as opened:
        first = await server.connect()
        opened.push_async_callback(first.close)
        try:
            await server.check(first)
            await schema.prepare(server, first, clock or SystemClock(), entropy, create=create, copy_of=copy_of)
            identity = await schema.store_id(server.name, first)
            [(positions,)] = await rows_of(first, _EVENTS["positions_sum"])
        except psycopg.Error as fault:
            raise server.error(fault) from None
        unwritable = _unwritable(server)
        if unwritable is not None and create and not read_only:
            raise unwritable
        store = PostgresStore(server, first, identity, _owner(entropy), positions, faults, unwritable)
        if create and not read_only:
            await store.writer.begin()
        opened.pop_all()
    return store


def _unwritable(server: Server) -> InterlockError | None:
    """Why a store takes no append: it was opened to be read, or its role may do no more."""
    if server.read_only:
        return STORE_UNWRITABLE.error(f"{server.name} was opened to be read only")
    return server.access.unwritable(server.name)


@asynccontextmanager
async def copy_target(url: str, source_id: str) -> AsyncIterator[PostgresStore]:
    """A store that nobody can open before the block has ended well, or the unfinished one of an earlier try.

    Of what an earlier try left only events and artifacts are kept, for who fills the store to compare.

    Raises: `copy_target_exists`, `copy_running`, and as opening does.
    """
    server = Server(address_of(url), DEFAULTS, read_only=False)
    async with sole_copy(server) as lock:
        store = await open_postgres(server.address, copy_of=source_id)
        try:
            await store.restoring.clear_rows()
            yield store
        finally:
            await store.close()
        try:
            await schema.finish(lock)  # in the session that holds the lock: who lost it finishes nothing
        except psycopg.Error as fault:
            raise server.error(fault) from None


def _owner(entropy: Entropy) -> str:
    """A name for this opening, in the form that owners have everywhere."""
    host = re.sub(r"[^a-z0-9.-]", "-", socket.gethostname().lower())[:100] or "localhost"
    return f"{host}-{os.getpid()}-{entropy.random_bytes(_RANDOM_BYTES).hex()}"
