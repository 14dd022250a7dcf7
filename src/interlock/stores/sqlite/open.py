"""Opening a store in a file, and the store that comes of it.

What it does: recognises or makes the file, brings its schema up to date, refuses what is foreign, damaged or
from the future, and puts the ports together. What it does not do: it makes no folder above the file.

Rules: several processes may have one file open; nothing is written before the file is recognised and its log
is whole; whatever was opened is closed again when opening fails.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import apsw

from interlock.base.clock import Clock, Entropy, SystemClock, SystemEntropy
from interlock.journal.errors import STORE_CORRUPT, STORE_FOREIGN, STORE_NOT_FOUND, STORE_UNWRITABLE
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
from interlock.stores.files import ArtifactFiles
from interlock.stores.sqlite import schema
from interlock.stores.sqlite.activations import SqliteActivations, names_owner
from interlock.stores.sqlite.artifacts import SqliteArtifacts
from interlock.stores.sqlite.connection import (
    CREATE,
    FAULTS,
    READ,
    WRITE,
    Reader,
    can_be_written,
    connect,
    files_folder,
    log_bytes,
    owners_folder,
    tidy,
    translated,
)
from interlock.stores.sqlite.doorbell import SqliteDoorbell
from interlock.stores.sqlite.index import SqliteIndex
from interlock.stores.sqlite.log import SqliteEventLog
from interlock.stores.sqlite.log_check import check_log
from interlock.stores.sqlite.maintenance.checkpoints import Checkpoints
from interlock.stores.sqlite.owners import Owners
from interlock.stores.sqlite.place import Place, check_not_cut, settled
from interlock.stores.sqlite.restoring import SqliteRestoring
from interlock.stores.sqlite.settings import SqliteSettings
from interlock.stores.sqlite.timers import SqliteTimers
from interlock.stores.sqlite.transaction import Faults, Transactions
from interlock.stores.sqlite.views import SqliteViewStore
from interlock.stores.sqlite.writer import Writer

DEFAULTS = SqliteSettings()
_PAUSE_SECONDS = 0.002


class SqliteStore:
    """One opened store: `Store` on an SQLite file. Belongs to the event loop on which it was opened."""

    def __init__(
        self,
        path: Path,
        connections: tuple[apsw.Connection, apsw.Connection],
        owners: Owners,
        settings: SqliteSettings,
        faults: Faults | None,
        *,
        read_only: bool,
    ) -> None:
        writing, reading = connections
        self.path = path
        self.id = schema.store_id(reading)
        self.owner = owners.name
        self._owners = owners
        self._reader = Reader(reading, path)
        self._writing = writing
        self._bell = SqliteDoorbell(self._reader, settings.doorbell_poll_ms_max)
        inline_max = settings.artifact_inline_bytes_max
        check_place = Place(path).check
        transactions = Transactions(writing, settings.heads_cached_max, inline_max, faults, check_place)
        self._writer = Writer(transactions, settings, path, self._committed)
        self._checkpoints = Checkpoints(path, settings, writing, self._writer.interlude)
        files = ArtifactFiles(files_folder(path), faults)
        artifacts = SqliteArtifacts(self._reader, self._writer, files, inline_max)
        log = SqliteEventLog(self._reader, self._writer, artifacts)
        self.events: EventLog = log
        self.artifacts: Artifacts = artifacts
        self.stored_artifacts = artifacts
        self.restoring = SqliteRestoring(self._writer, log)
        self.index: Index = SqliteIndex(self._reader)
        self.views: ViewStore = SqliteViewStore(self._reader, self._writer)
        self._read_only = read_only
        if read_only:
            self._only_read()
        self.stored_activations = SqliteActivations(self._reader, self._writer, owners)
        self.activations: Activations = self.stored_activations
        self.timers: Timers = SqliteTimers(self._reader)
        self.doorbell: Doorbell = self._bell
        self._closing: asyncio.Future[None] | None = None

    def _only_read(self) -> None:
        from interlock.stores.views_beside import ViewsBeside

        self._writer.end(STORE_UNWRITABLE.error(_only_read(self.path)))
        self.views = ViewsBeside(self.views)

    def _committed(self) -> None:
        self._bell.ring()
        self._checkpoints.committed()

    def statistics(self) -> StoreStatistics:
        """Figures of the writer since it opened, and the size of the write-ahead log."""
        figures = self._writer.figures
        return StoreStatistics(
            self._writer.queued,
            figures.commits,
            figures.appends,
            figures.events,
            figures.conflicts,
            figures.refused,
            log_bytes(self.path) or 0,
        )

    async def close(self) -> None:
        """Finish what is queued, then release the file and the claims. Closing again does nothing."""
        if self._closing is not None:
            await self._closing
            return
        self._closing = asyncio.get_running_loop().create_future()
        await self._writer.close()
        self._bell.close()
        self._checkpoints.close()
        named = names_owner(self._writing, self.owner)
        self._reader.close()
        # The last connection to close moves the log into the database, unless the file is not at its place any more.
        self._writing.close()
        self._owners.close(named=named)
        if self._read_only:
            tidy(self.path)
        self._closing.set_result(None)


async def open_sqlite(
    path: Path,
    *,
    create: bool = True,
    read_only: bool = False,
    settings: SqliteSettings = DEFAULTS,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    faults: Faults | None = None,
) -> SqliteStore:
    """Open the store in the file `path`, or make it if there is none and `create`.

    With `read_only` nothing is written, not even a migration. An existing store on a medium that cannot be written
    opens so too unless `create`; each write is then refused. `faults` is called with the name of each point
    that a write reaches: `append:before`, `append:before_commit`, `append:after_commit`,
    `artifact:before_rename`, `artifact:after_rename`; what it raises happens there.

    Raises: `store_not_found`, `store_foreign`, `store_from_future`, `migration_changed`, `store_corrupt`,
    `store_busy`, `store_linked`, `store_unwritable`, `disk_full`.
    """
    path = settled(Path(path))
    _check_path(path, create=create and not read_only)
    read_only = read_only or not (create or can_be_written(path))
    entropy = entropy or SystemEntropy()
    if not read_only and path.exists() and not can_be_written(path):
        raise STORE_UNWRITABLE.error(_only_read(path))
    with ExitStack() as opened:
        try:
            if read_only:
                opened.callback(tidy, path)
            first = connect(path, READ if read_only else CREATE if create else WRITE, settings)
            opened.callback(first.close)
            recognise = partial(
                _recognise, path, first, clock or SystemClock(), entropy, create=create, read_only=read_only
            )
            _patiently(recognise, settings.busy_timeout_ms)
            second = connect(path, READ, settings)
            opened.callback(second.close)
            for connection in (first, second):
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
            owners = Owners(owners_folder(path), entropy, lock=not read_only)
            opened.callback(owners.close)
            if not read_only:
                owners.sweep(partial(names_owner, second))
            store = SqliteStore(path, (first, second), owners, settings, faults, read_only=read_only)
        except FAULTS as fault:
            raise translated(fault, path) from fault
        except OSError as fault:
            raise STORE_UNWRITABLE.error(f"nothing can be written beside {path.name}") from fault
        opened.pop_all()
    return store


def _check_path(path: Path, *, create: bool) -> None:
    if path.is_dir():
        raise STORE_FOREIGN.error(f"{path.name} is a folder")
    check_not_cut(path)
    if not create and not path.exists():
        raise STORE_NOT_FOUND.error(f"there is no store at {path}")
    if not path.parent.is_dir():
        raise STORE_UNWRITABLE.error(f"the folder {path.parent} does not exist")


def _only_read(path: Path) -> str:
    return f"{path.name} can only be read: copy the store to a folder that can be written"


def _patiently(work: Callable[[], None], wait_ms: int) -> None:
    """Do `work` again while another process is in the way, for `wait_ms`.

    Processes that make one store at the same instant can each keep the other from going on. SQLite then gives up at
    once, without waiting, because waiting alone would never end.
    """
    until = time.monotonic() + wait_ms / 1000
    while True:
        try:
            return work()
        except (apsw.BusyError, apsw.LockedError):
            if time.monotonic() >= until:
                raise
        time.sleep(_PAUSE_SECONDS)


def _recognise(
    path: Path, connection: apsw.Connection, clock: Clock, entropy: Entropy, *, create: bool, read_only: bool
) -> None:
    """Make sure that the file is a whole store of this version."""
    check_log(path, connection)
    if read_only:
        if schema.is_new(connection):
            raise STORE_NOT_FOUND.error(f"{path.name} is empty: it holds no store")
        if schema.pending(connection):
            raise STORE_UNWRITABLE.error(f"{path.name} is of an older version: open it once to write")
        schema.check_schema(connection)
    else:
        schema.prepare(connection, clock, entropy, create=create)
    if not schema.store_id(connection):
        raise STORE_CORRUPT.error(f"{path.name} does not say which store it is")
