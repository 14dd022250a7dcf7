"""The schema of a store: numbered migrations, applied once, never changed.

What it does: recognises whose schema it is, applies what is missing in one transaction under a lock, and refuses what
does not fit. What it does not do: it repairs nothing and never goes back.

Rules: a file that an older version applied must still have the same SHA-256; a store that knows a migration that this
version lacks is from the future; the schema is always the sum of the migrations, and a table, index, trigger, rule or
policy more or less is refused before anything is written: a trigger could undo what was acknowledged.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg

from interlock.base.clock import Clock, Entropy
from interlock.journal.errors import (
    COPY_TARGET_EXISTS,
    MIGRATION_CHANGED,
    STORE_CORRUPT,
    STORE_FOREIGN,
    STORE_FROM_FUTURE,
    STORE_NOT_FOUND,
    STORE_UNFINISHED,
    STORE_UNWRITABLE,
)
from interlock.stores.postgres.connections import Connection, Server, rows_of
from interlock.stores.postgres.errors import DENIED, POSTGRES_REFUSED
from interlock.stores.postgres.statements import statements

FOLDER = Path(__file__).resolve().parents[1] / "migrations" / "postgres"
STORE_ID_BYTES = 16
UNFINISHED = "unfinished_copy"
"""The name under which `meta` says that the store is being copied to and is none yet."""

SCHEMAS = (
    "948e72658597c14e0615e1ab82a89583367a9a59219034881ef9bd22d306fb56",
    "bcb1e18284ee66b1a0a5f416c966c8028e0a5d3f17734c9775f96747e56241e4",
    "5dcf577f664372a0075e93821c853a256fa6beeab554fc8176c0a6d9ec445fab",
    "3fb08b7adf0d53b67d9040f13b2d32152d4dde0ecf1810d3df63b6bd83822448",
)
"""The digest of the schema after each migration, so that opening need not make one to compare with."""

_SQL = statements("store")
_STORE_ID = re.compile(r"\A[0-9a-f]{32}\Z")
_STRANGERS = ("trigger", "rule", "policy", "view")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file: `0001_pre_journal.sql`, `pre` or `post` the deploy of the code that needs it."""

    number: int
    name: str
    sql: bytes
    sha256: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Every migration of this version, in order."""
    found = []
    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        content = path.read_bytes()
        found.append(Migration(int(path.name[:4]), path.stem, content, hashlib.sha256(content).hexdigest()))
    return tuple(found)


async def prepare(
    server: Server, connection: Connection, clock: Clock, entropy: Entropy, *, create: bool, copy_of: str | None
) -> None:
    """Make a new store, or bring an existing one to this version; cheap when there is nothing to do.

    With `copy_of`, the identity of another store, what is made is marked as an unfinished copy of that one.

    Raises: `store_not_found` (no store and not `create`), `store_foreign`, `store_unfinished`, `copy_target_exists`,
    and what `pending` raises; nothing of it is then done. Of several processes at once one does it, the others wait.
    """
    name = server.name
    new = await is_new(server, connection)
    if new and (server.read_only or not create):
        raise STORE_NOT_FOUND.error(f"there is no store at {name}")
    await server.ask_access(connection)
    if not new:
        todo = await pending(name, connection)
        await check_schema(name, connection, server.address.schema)
        await _check_finished(name, connection, copy_of)
        if not todo:
            return
        if server.read_only or server.access.unwritable(name) is not None:
            raise STORE_UNWRITABLE.error(f"{name} is of an older version: open it once to write")
    try:
        async with connection.transaction():
            await connection.execute(_SQL["lock_schema"], (server.address.schema,))
            await _migrate(server, connection, clock, entropy, copy_of)
            await _check_finished(name, connection, copy_of)
    except psycopg.Error as fault:
        if fault.sqlstate == DENIED and not new:
            raise POSTGRES_REFUSED.error(
                f"{name} is of an older version, and the role may not change its tables: let their owner open it once",
                sqlstate=DENIED,
            ) from None
        raise server.error(fault) from None


async def is_new(server: Server, connection: Connection) -> bool:
    """Whether the schema is empty or not there. Raises: `store_foreign` if it is somebody else's."""
    schema = server.address.schema
    [(objects,)] = await rows_of(connection, _SQL["object_count"], (schema,))
    if objects == 0:
        return True
    [(ours,)] = await rows_of(connection, _SQL["is_store"], (schema,))
    if ours != 2:
        raise STORE_FOREIGN.error(f"{server.name}: the schema belongs to another application: name one of its own")
    return False


async def _check_finished(name: str, connection: Connection, copy_of: str | None) -> None:
    """Refuse a store that is only being copied, and a target that is another store."""
    marked = await meta(connection, UNFINISHED)
    if copy_of is None and marked is not None:
        raise STORE_UNFINISHED.error(f"{name} is an unfinished copy")
    if copy_of is not None and marked != copy_of:
        what = "is a store already" if marked is None else "is an unfinished copy of another store"
        raise COPY_TARGET_EXISTS.error(f"{name} {what}")


async def finish(connection: Connection) -> None:
    """The copy is whole: from now on it is a store."""
    await connection.execute(_SQL["meta_drop"], (UNFINISHED,))


async def _migrate(server: Server, connection: Connection, clock: Clock, entropy: Entropy, copy_of: str | None) -> None:
    """Within a transaction and under the lock, apply what another process has not applied meanwhile."""
    if await is_new(server, connection):
        [(exists,)] = await rows_of(connection, _SQL["schema_exists"], (server.address.schema,))
        if not exists:
            await connection.execute(psycopg.sql.SQL("CREATE SCHEMA {}").format(
                psycopg.sql.Identifier(server.address.schema)
            ))  # fmt: skip
        await connection.execute(_SQL["migration_table"])
        todo = migrations()
    else:
        todo = await pending(server.name, connection)
    for migration in todo:
        await connection.execute(migration.sql, prepare=False)
        values = (migration.number, migration.name, migration.sha256, clock.now_ms())
        await connection.execute(_SQL["migration_put"], values)
    if await meta(connection, "store_id") is None:
        await connection.execute(_SQL["meta_put"], ("store_id", entropy.random_bytes(STORE_ID_BYTES).hex()))
        if copy_of is not None:
            await connection.execute(_SQL["meta_put"], (UNFINISHED, copy_of))


async def pending(name: str, connection: Connection) -> tuple[Migration, ...]:
    """What is still to be applied. Raises: `migration_changed`, `store_from_future`, `store_corrupt`."""
    applied = await rows_of(connection, _SQL["migrations"])
    if not applied:
        raise STORE_CORRUPT.error(f"{name} does not say which migrations it has")
    known = migrations()
    for row, migration in zip(applied, known, strict=False):
        if row != (migration.number, migration.name, migration.sha256):
            raise MIGRATION_CHANGED.error(f"migration {row[0]} of the store is another one", number=row[0])
    if len(applied) > len(known):
        raise STORE_FROM_FUTURE.error(
            f"the store has migration {applied[-1][0]}, this version knows {len(known)}", number=applied[-1][0]
        )
    return known[len(applied) :]


async def check_schema(name: str, connection: Connection, schema: str) -> None:
    """Refuse a store whose objects are not the sum of its migrations. Raises: `store_corrupt`, as `pending` does.

    Another process may migrate between two looks; then the second look agrees.
    """
    for last in (False, True):
        number = len(migrations()) - len(await pending(name, connection))
        found = await objects(connection, schema)
        if digest_of(found) == SCHEMAS[number - 1]:
            return
        if last:
            strangers = sorted({each.split()[0] for each in found} & set(_STRANGERS))
            more = f": it has a {strangers[0]}" if strangers else ""
            raise STORE_CORRUPT.error(f"{name}: the tables of the store are not those of its migrations{more}")


async def meta(connection: Connection, name: str) -> str | None:
    """A value of the store about itself."""
    rows = await rows_of(connection, _SQL["meta_get"], (name,))
    return str(rows[0][0]) if rows else None


async def store_id(name: str, connection: Connection) -> str:
    """The identity drawn when the store was made. Raises: `store_corrupt`."""
    found = await meta(connection, "store_id")
    if found is None or not _STORE_ID.match(found):
        raise STORE_CORRUPT.error(f"{name}: the identity of the store is not one that was drawn")
    return found


async def objects(connection: Connection, schema: str) -> list[str]:
    """Every column, index, function, trigger and what else the schema has, said in words that no version changes."""
    return sorted(text for (text,) in await rows_of(connection, _SQL["objects"], {"schema": schema}))


def digest_of(found: Sequence[str]) -> str:
    """The digest of what `objects` gives."""
    return hashlib.sha256("\n".join(found).encode()).hexdigest()
