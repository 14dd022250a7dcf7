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
from contextlib import closing, suppress
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
from interlock.stores.sqlite.rows import RowShape
from interlock.stores.sqlite.settings import SqliteSettings
from interlock.stores.sqlite.statements import ManyRows, Row

APPLICATION_ID = 0x494C4B31
"""`ILK1`, kept in the header of the file: this database is an Interlock store."""

WRITE = apsw.SQLITE_OPEN_READWRITE
READ = apsw.SQLITE_OPEN_READONLY
CREATE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
_STATEMENTS_CACHED = 200


def connect(path: Path, flags: int, settings: SqliteSettings) -> apsw.Connection:
    """A connection that checks foreign keys, trusts no schema, runs no trigger and checkpoints only when told.

    Raises: what `translated` makes of SQLite's errors.
    """
    try:
        flags |= apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(_name(path, flags), flags, statementcachesize=_STATEMENTS_CACHED)
    except apsw.Error as fault:
        raise translated(fault, path) from fault
    try:
        _configure(connection, settings)
    except FAULTS as fault:
        connection.close()  # its locks and files must not wait until somebody collects it
        raise translated(fault, path) from fault
    return connection


def _configure(connection: apsw.Connection, settings: SqliteSettings) -> None:
    # A damaged log must survive being looked at: until it is checked, the last close deletes nothing.
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)
    connection.set_busy_timeout(settings.busy_timeout_ms)
    connection.wal_autocheckpoint(0)
    normal = settings.unsafe_synchronous_normal
    connection.execute(f"PRAGMA synchronous={'NORMAL' if normal else 'FULL'}")
    connection.execute(f"PRAGMA journal_size_limit={settings.checkpoint_wal_bytes}").fetchall()
    connection.execute("PRAGMA cell_size_check=ON")


def _name(path: Path, flags: int) -> str:
    """The file as a URI that tells SQLite what it may write beside it to read it.

    Where nothing can be written, the log of a process that still writes, or was killed, is read with the index that
    stands beside it; a file without a log cannot change.
    """
    uri = path.absolute().as_uri()
    if not flags & READ or can_be_written(path):
        return uri
    log, indexed = log_bytes(path), _beside(path, "-shm").exists()
    if log and not indexed:
        raise STORE_UNWRITABLE.error(
            f"{path.name} has commits in its log, and nothing can be written to read them: copy both to another folder"
        )
    return f"{uri}?immutable=1" if log is None or not indexed else f"{uri}?readonly_shm=1"


def can_be_written(path: Path) -> bool:
    """Whether a store that exists can be written, and its folder too."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def log_bytes(path: Path) -> int | None:
    """The size of the write-ahead log of a store; None without one."""
    try:
        return _beside(path, "-wal").stat().st_size
    except FileNotFoundError:  # who closes it last takes it away
        return None


def _beside(path: Path, suffix: str) -> Path:
    return Path(f"{path}{suffix}")


def tidy(path: Path) -> None:
    """Take away the empty log and its index, which SQLite leaves beside a file that was only read.

    Closing a connection that could write does that, unless anybody else has the file open. A log with anything in it is
    left as it is.
    """
    if log_bytes(path) != 0 or _beside(path, "-journal").exists() or not can_be_written(path):
        return
    with suppress(apsw.Error), closing(apsw.Connection(str(path), WRITE)) as connection:
        connection.pragma("schema_version")  # SQLite has then opened the log


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


FAULTS = (apsw.Error, UnicodeDecodeError)
"""What reading a damaged database raises: damaged text is no longer UTF-8."""


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


_VERSION = RowShape("data_version", int)


class Reader:
    """The one connection that reads on the loop's thread, one statement at a time."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self._execute = connection.execute
        self._connection = connection
        self._path = path

    def rows(self, sql: str, shape: RowShape, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of one statement, checked."""
        try:
            found: list[Row] = self._execute(sql, values).fetchall()
        except FAULTS as fault:
            raise translated(fault, self._path) from fault
        return shape.checked(found)

    def one(self, sql: str, shape: RowShape, values: Sequence[Any] = ()) -> Any:
        """The first value of the first row, None without one."""
        rows = self.rows(sql, shape, values)
        return rows[0][0] if rows else None

    def many(
        self, statement: ManyRows, shape: RowShape, keys: Sequence[Any], *, first: Sequence[Any] = ()
    ) -> list[Row]:
        """The rows found for many keys, checked."""
        if not keys:
            return []
        try:
            found = statement.select(self._execute, keys, first=first)
        except FAULTS as fault:
            raise translated(fault, self._path) from fault
        return shape.checked(found)

    def changes_seen(self) -> int:
        """A number that differs once any connection but this one has committed."""
        return int(self.one("PRAGMA data_version", _VERSION))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
