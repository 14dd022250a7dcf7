"""The schema of a store: numbered migrations, applied once, never changed.

What it does: recognises whose file it is, applies what is missing under one exclusive transaction, and
refuses what does not fit. What it does not do: it repairs nothing and never goes back.

Rules: a file that an older version applied must still have the same SHA-256; a store that knows a migration
that this version lacks is from the future; the schema is always the sum of the migrations, and a table, index,
view or trigger more or less is refused before anything is written: a trigger could undo what was acknowledged.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import apsw

from interlock.base.clock import Clock, Entropy
from interlock.journal.errors import (
    MIGRATION_CHANGED,
    STORE_CORRUPT,
    STORE_FOREIGN,
    STORE_FROM_FUTURE,
    STORE_NOT_FOUND,
    STORE_UNWRITABLE,
)
from interlock.stores.sqlite.connection import APPLICATION_ID
from interlock.stores.sqlite.statements import Row, statements

FOLDER = Path(__file__).resolve().parents[1] / "migrations" / "sqlite"
STORE_ID_BYTES = 16
SCHEMAS = (
    "47184aadee4cd36f36350a5ca405ae6cf8951c9e8f8e1d0f7943c6d965411c0f",
    "5d4ea389e613b36c0d202f67edb7c0910e9aca383b7c1dd66903881e518ee630",
    "aa1120d51c95eea2703b7d39a2af245b0d4312f3127b1d76fc3dbe9e58ae16cc",
)
"""The digest of the schema after each migration, so that opening need not make one to compare with."""

_SQL = statements("store")
_STORE_ID = re.compile(r"\A[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file: `0001_pre_journal.sql`, `pre` or `post` the deploy of the code that needs it."""

    number: int
    name: str
    sql: str
    sha256: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Every migration of this version, in order."""
    found = []
    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        found.append(Migration(int(path.name[:4]), path.stem, content.decode("utf-8"), digest))
    return tuple(found)


def is_new(connection: apsw.Connection) -> bool:
    """Whether the database is empty. Raises: `store_foreign` if it is somebody else's."""
    application = connection.pragma("application_id")
    if application == APPLICATION_ID:
        return False
    if application == 0 and connection.execute(_SQL["object_count"]).get == 0:
        return True
    if application == 0 and connection.pragma("application_id") == APPLICATION_ID:
        return False  # another process has made it between the two looks
    raise STORE_FOREIGN.error("the database belongs to another application")


def prepare(connection: apsw.Connection, clock: Clock, entropy: Entropy, *, create: bool) -> None:
    """Make a new store, or bring an existing one to this version; cheap when there is nothing to do.

    Raises: `store_not_found` (an empty file and not `create`), `store_foreign`, and what `pending` raises;
    nothing of it is then done.
    """
    if is_new(connection):
        if not create:
            raise STORE_NOT_FOUND.error("the file is empty: it holds no store")
        # The mode is kept in the file; it cannot be set within a transaction.
        if connection.pragma("journal_mode", "wal") != "wal":
            raise STORE_UNWRITABLE.error("the file system offers no shared memory for a write-ahead log")
    else:
        todo = pending(connection)
        check_schema(connection)
        if not todo:
            return
    connection.execute("BEGIN EXCLUSIVE")
    try:
        _migrate(connection, clock, entropy)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _migrate(connection: apsw.Connection, clock: Clock, entropy: Entropy) -> None:
    """Within a transaction, apply what another process has not applied meanwhile."""
    if is_new(connection):
        connection.execute(_SQL["migration_table"])
        connection.pragma("application_id", APPLICATION_ID)
        todo = migrations()
    else:
        todo = pending(connection)
    for migration in todo:
        connection.execute(migration.sql).fetchall()
        values = (migration.number, migration.name, migration.sha256, clock.now_ms())
        connection.execute(_SQL["migration_put"], values)
        connection.pragma("user_version", migration.number)
    if store_id(connection) == "":
        connection.execute(_SQL["meta_put"], ("store_id", entropy.random_bytes(STORE_ID_BYTES).hex()))


def pending(connection: apsw.Connection) -> tuple[Migration, ...]:
    """What is still to be applied.

    Raises: `migration_changed`, `store_from_future`, `store_corrupt` if the store names no migrations.
    """
    try:
        applied: list[Row] = connection.execute(_SQL["migrations"]).fetchall()
    except apsw.SQLError:
        raise STORE_CORRUPT.error("the store does not say which migrations it has") from None
    if not applied:
        raise STORE_CORRUPT.error("the store does not say which migrations it has")
    known = migrations()
    for row, migration in zip(applied, known, strict=False):
        if row != (migration.number, migration.name, migration.sha256):
            raise MIGRATION_CHANGED.error(f"migration {row[0]} of the store is another one", number=row[0])
    if len(applied) > len(known):
        raise STORE_FROM_FUTURE.error(
            f"the store has migration {applied[-1][0]}, this version knows {len(known)}",
            number=applied[-1][0],
        )
    return known[len(applied) :]


def check_schema(connection: apsw.Connection) -> None:
    """Refuse a store whose tables are not the sum of its migrations. Raises: `store_corrupt`, and what `pending` does.

    Another process may migrate between two looks; then the second look agrees.
    """
    for last in (False, True):
        number = len(migrations()) - len(pending(connection))
        if digest_of(objects(connection)) == SCHEMAS[number - 1]:
            return
        if last:
            raise STORE_CORRUPT.error(f"the tables of the store are not those of its migrations{_stranger(connection)}")


def _stranger(connection: apsw.Connection) -> str:
    """A trigger or view, which no store has: what it is, but not its name, which anybody may have chosen."""
    kinds = sorted({row[0] for row in objects(connection)} & {"trigger", "view"})
    return f": it has a {kinds[0]}" if kinds else ""


def store_id(connection: apsw.Connection) -> str:
    """The identity drawn when the store was made; empty while it is being made. Raises: `store_corrupt`."""
    found = connection.execute(_SQL["meta_get"], ("store_id",)).get
    if found is not None and not (isinstance(found, str) and _STORE_ID.match(found)):
        raise STORE_CORRUPT.error("the identity of the store is not one that was drawn")
    return found or ""


def digest_of(rows: Sequence[Row]) -> str:
    """The digest of what `objects` gives."""
    return hashlib.sha256(repr([tuple(row) for row in rows]).encode()).hexdigest()


def objects(connection: apsw.Connection) -> list[Row]:
    """Every table, index, view and trigger with the SQL that made it."""
    found: list[Row] = connection.execute(_SQL["objects"]).fetchall()
    return found


@cache
def expected_objects(count: int | None = None) -> tuple[Row, ...]:
    """What `objects` gives for the sum of the first `count` migrations, or of all."""
    connection = apsw.Connection(":memory:")
    connection.execute(_SQL["migration_table"])
    for migration in migrations()[:count]:
        connection.execute(migration.sql).fetchall()
    found = tuple(objects(connection))
    connection.close()
    return found
