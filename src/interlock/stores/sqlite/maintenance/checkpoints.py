"""Moves the write-ahead log into the database, beside the writer.

What it does: on a connection of its own, lays the log out before a busy writer needs it, checkpoints it when
it has grown, and once more when the store rests. What it does not do: it never runs in a writer's
transaction, and it fails nobody: what does not succeed now is tried again after further commits.

Rules: a checkpoint copies beside the writer on a thread of its own; only the few frames that the writer added
meanwhile are copied between two transactions, because a log is begun anew only when it is copied whole; the
log is laid out under the write lock, so that no frame can be overwritten.

Why it is laid out: syncing a file that grows also syncs its metadata, which costs about half as much again as
syncing in place. Once the log has gone round it is reused in place; until then zeros do the same. A frame of
zeros fails its checksum and ends the log as the end of the file would.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import apsw

from interlock.base.errors import InterlockError
from interlock.stores.sqlite.connection import WRITE, connect
from interlock.stores.sqlite.settings import SqliteSettings

LAY_OUT_AFTER_COMMITS = 16
_FRAME_HEADER_BYTES = 24
_CHUNK_BYTES = 1 << 20


class Checkpoints:
    """Watches how much one opened store has written to the log."""

    def __init__(
        self,
        path: Path,
        settings: SqliteSettings,
        writing: apsw.Connection,
        interlude: Callable[[Callable[[], None]], None],
    ) -> None:
        self._path = path
        self._settings = settings
        self._writing = writing
        self._interlude = interlude
        self._loop = asyncio.get_running_loop()
        frame_bytes = int(writing.pragma("page_size")) + _FRAME_HEADER_BYTES
        self._frames_max = settings.checkpoint_wal_bytes // frame_bytes
        self._frames = self._frames_done = 0
        self._commits = 0
        self._commits_at_timer = 0
        self._timer: asyncio.TimerHandle | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._connection: apsw.Connection | None = None
        self._running = False

    def committed(self) -> None:
        """Call after each commit, while the writer's connection is at rest."""
        self._commits += 1
        if self._running:
            return
        self._frames = self._writing.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)[0]
        if self._frames - self._frames_done >= self._frames_max:
            self._start()
        elif self._commits == LAY_OUT_AFTER_COMMITS:
            self._pause(self._lay_out)
        elif self._timer is None:
            self._arm()

    def _arm(self) -> None:
        self._commits_at_timer = self._commits
        self._timer = self._loop.call_later(self._settings.checkpoint_idle_ms / 1000, self._look)

    def _look(self) -> None:
        """Checkpoint if nothing was committed for a while, else look again."""
        self._timer = None
        if self._commits != self._commits_at_timer or self._running:
            self._arm()
        elif self._frames != self._frames_done:
            self._start()

    def _start(self) -> None:
        """Copy what is in the log now, then let the writer pause for the rest."""
        self._running = True
        self._frames_done = self._frames
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "interlock-checkpoint")
        copying = self._loop.run_in_executor(self._executor, self._work, self._copy)
        copying.add_done_callback(lambda _: self._pause(self._copy))

    def _pause(self, work: Callable[[apsw.Connection], None]) -> None:
        """Let the writer do `work` between two transactions, as the last step."""
        self._running = True
        self._interlude(partial(self._last, work))

    def _last(self, work: Callable[[apsw.Connection], None]) -> None:
        self._work(work)
        self._running = False

    def _work(self, work: Callable[[apsw.Connection], None]) -> None:
        """Do something on the connection of checkpoints, on whichever thread."""
        try:
            if self._connection is None:
                self._connection = connect(self._path, WRITE, self._settings)
                self._connection.set_busy_timeout(0)
            work(self._connection)
        except (apsw.Error, InterlockError, OSError):
            pass  # another process was in the way, or the disk is full: later commits try again

    @staticmethod
    def _copy(connection: apsw.Connection) -> None:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _lay_out(self, connection: apsw.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            with Path(f"{self._path}-wal").open("r+b") as log:
                missing = self._settings.checkpoint_wal_bytes - log.seek(0, os.SEEK_END)
                log.writelines(bytes(_CHUNK_BYTES) for _ in range(missing // _CHUNK_BYTES))
                log.flush()
                os.fdatasync(log.fileno())
        finally:
            connection.execute("ROLLBACK")

    def close(self) -> None:
        """Wait for what runs, and stop."""
        if self._timer is not None:
            self._timer.cancel()
        if self._executor is not None:
            self._executor.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()
