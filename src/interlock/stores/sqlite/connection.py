"""Connections to the database file, and what their errors mean.

What it does: opens a connection with the pragmas that every one of ours has, runs small reads, and turns
SQLite's errors into the store's. What it does not do: it holds no transaction open; each read is one
statement.

Rules: a read is one statement, fetched whole, and so never crosses an `await`; a message names the file,
never what is in it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw

from interlock.base.errors import InterlockError
from interlock.journal.errors import (
    DISK_FULL,
    STORE_BUSY,
    STORE_CLOSED,
    STORE_CORRUPT,
    STORE_FOREIGN,
    STORE_UNWRITABLE,
)
from interlock.stores.sqlite.settings import SqliteSettings
from interlock.stores.sqlite.statements import ManyRows, Row

APPLICATION_ID = 0x494C4B31
"""`ILK1`, kept in the header of the file: this database is an Interlock store."""

WRITE = apsw.SQLITE_OPEN_READWRITE
READ = apsw.SQLITE_OPEN_READONLY
CREATE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
_STATEMENTS_CACHED = 200


def connect(path: Path, flags: int, settings: SqliteSettings) -> apsw.Connection:
    """A connection that checks foreign keys, trusts no schema and checkpoints only when told.

    Raises: what `translated` makes of SQLite's errors.
    """
    try:
        flags |= apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(_name(path, flags), flags, statementcachesize=_STATEMENTS_CACHED)
        # A damaged log must survive being looked at: until it is checked, the last close deletes nothing.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)
        connection.set_busy_timeout(settings.busy_timeout_ms)
        connection.wal_autocheckpoint(0)
        normal = settings.unsafe_synchronous_normal
        connection.execute(f"PRAGMA synchronous={'NORMAL' if normal else 'FULL'}")
        connection.execute(f"PRAGMA journal_size_limit={settings.checkpoint_wal_bytes}").fetchall()
        connection.execute("PRAGMA cell_size_check=ON")
    except apsw.Error as fault:
        raise translated(fault, path) from fault
    return connection


def _name(path: Path, flags: int) -> str:
    """The file as a URI; as immutable where not even the shared memory of readers can be written."""
    uri = path.absolute().as_uri()
    log = Path(f"{path}-wal")
    alone = flags & READ and not (log.exists() and log.stat().st_size)
    return f"{uri}?immutable=1" if alone and not os.access(path.parent, os.W_OK) else uri


def files_folder(path: Path) -> Path:
    """Where a store keeps its large artifacts."""
    return Path(f"{path}.artifacts")


def owners_folder(path: Path) -> Path:
    """Where a store keeps the lock files of its owners."""
    return Path(f"{path}.owners")


_WRITING = frozenset(
    {
        apsw.SQLITE_IOERR_WRITE,
        apsw.SQLITE_IOERR_TRUNCATE,
        apsw.SQLITE_IOERR_FSYNC,
        apsw.SQLITE_IOERR_SHMSIZE,
        apsw.SQLITE_IOERR_SHMOPEN,
    }
)
"""Faults of writing: what is stored is as it was."""


def translated(fault: apsw.Error | UnicodeDecodeError, path: Path) -> InterlockError:
    """The store's error for one of SQLite's, outside a commit."""
    name = path.name
    match fault:
        case apsw.NotADBError():
            return STORE_FOREIGN.error(f"{name} is not an SQLite database")
        case apsw.CorruptError() | apsw.FormatError():
            return STORE_CORRUPT.error(f"{name} is damaged")
        case apsw.BusyError() | apsw.LockedError():
            return STORE_BUSY.error(f"another process kept {name} locked", retry_after_ms=100)
        case apsw.FullError():
            return DISK_FULL.error(f"the disk of {name} is full")
        case apsw.CantOpenError() | apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.AuthError():
            return STORE_UNWRITABLE.error(f"{name} cannot be opened as asked")
        case apsw.ConnectionClosedError():
            return STORE_CLOSED.error(f"{name} is closed")
        case apsw.IOError() if getattr(fault, "extendedresult", 0) in _WRITING:
            return STORE_UNWRITABLE.error(f"{name} cannot be written: the disk, or a limit on files, refused it")
        case apsw.IOError():
            return STORE_CORRUPT.error(f"{name} cannot be read: the disk gave an error")
        case _:
            return STORE_CORRUPT.error(f"{name} does not answer as a store does: {type(fault).__name__}")


class Reader:
    """The one connection that reads on the loop's thread, one statement at a time."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self._execute = connection.execute
        self._connection = connection
        self._path = path

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of one statement."""
        try:
            found: list[Row] = self._execute(sql, values).fetchall()
        except (apsw.Error, UnicodeDecodeError) as fault:  # damaged text is no longer UTF-8
            raise translated(fault, self._path) from fault
        return found

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first value of the first row, None without one."""
        rows = self.rows(sql, values)
        return rows[0][0] if rows else None

    def many(self, statement: ManyRows, keys: Sequence[Any], *, first: Sequence[Any] = ()) -> list[Row]:
        """The rows found for many keys."""
        if not keys:
            return []
        try:
            return statement.select(self._execute, keys, first=first)
        except (apsw.Error, UnicodeDecodeError) as fault:  # damaged text is no longer UTF-8
            raise translated(fault, self._path) from fault

    def changes_seen(self) -> int:
        """A number that differs once any connection but this one has committed."""
        return int(self.one("PRAGMA data_version"))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
