"""Whether a database of a store is sound, below what its events mean.

What it does: checks the schema, the density of feeds and streams, heads, and the bytes of artifacts in parts. What it
does not do: it repairs nothing; pages and indexes are the server's affair (`pg_amcheck`), and chains, index and views
need only the ports.

Rule: damage is a finding, not an error; only what cannot be looked at at all is raised.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg

from interlock.base.errors import Corruption
from interlock.journal.errors import STORE_CORRUPT
from interlock.stores.postgres import schema
from interlock.stores.postgres.address import address_of
from interlock.stores.postgres.connections import Connection, Server, rows_of
from interlock.stores.postgres.settings import PostgresSettings
from interlock.stores.postgres.statements import statements

_SQL = statements("integrity")
_WHOLE_TABLES = b"SET enable_seqscan = on; SET enable_hashjoin = on; SET statement_timeout = 0"


async def check_database(url: str) -> list[tuple[str, str, str]]:
    """Look through a whole store: check, place and message of what is wrong; empty if it is sound.

    Raises: as opening does, but for damage.
    """
    server = Server(address_of(url), PostgresSettings(), read_only=True)
    findings: list[tuple[str, str, str]] = []
    connection = await server.connect()
    try:
        async for finding in _all(server, connection):
            findings.append(finding)  # noqa: PERF401 - what was found before an error must be kept
    except (psycopg.Error, Corruption) as fault:
        error = fault if isinstance(fault, Corruption) else server.error(fault)
        if error.kind is not STORE_CORRUPT:
            raise error from None
        findings.append(("store", server.name, error.message))
    finally:
        await connection.close()
    return findings


async def _all(server: Server, connection: Connection) -> AsyncIterator[tuple[str, str, str]]:
    if await schema.is_new(server, connection):
        return  # opening says that there is no store
    await server.ask_access(connection)
    await schema.check_schema(server.name, connection, server.address.schema)
    await connection.execute(_WHOLE_TABLES, prepare=False)
    for _, partition, counter, events, first, last in await rows_of(connection, _SQL["feed_holes"]):
        message = f"the counter stands at {counter}, and there are {events} events from {first} to {last}"
        yield "feed", partition or "a partition without a row", message
    for stream, head, events, first, last in await rows_of(connection, _SQL["stream_holes"]):
        yield "stream", stream, f"the head is at {head}, and there are {events} events from {first} to {last}"
    for (stream,) in await rows_of(connection, _SQL["heads_astray"]):
        yield "stream", stream, "the head has another digest than the last event"
