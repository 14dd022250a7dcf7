"""A store that is filled before anybody can open it, and gets its name last.

What it does: makes a store in a file beside, gives it out, and renames it when the block ended well. What it does not
do: it fills nothing, and never writes over anything.

Rules: whatever goes wrong, nothing is left behind under the name of the target; one copy at a time fills it, which a
lock file beside says; the lock ends with its process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from interlock.journal.errors import COPY_RUNNING, COPY_TARGET_EXISTS, STORE_UNWRITABLE
from interlock.stores.sqlite.connection import files_folder, owners_folder
from interlock.stores.sqlite.maintenance.backup import publish
from interlock.stores.sqlite.open import SqliteStore, open_sqlite


def _check_free(target: Path) -> None:
    """Raises: `copy_target_exists`, `store_unwritable`."""
    try:
        taken = not target.name or target.exists() or files_folder(target).exists()
    except OSError as fault:
        raise STORE_UNWRITABLE.error(f"{target.name} cannot be written: {fault.strerror}") from fault
    if taken:  # what has no name of its own is a folder
        raise COPY_TARGET_EXISTS.error(f"{target.name or target} exists already")


@asynccontextmanager
async def new_file(target: Path) -> AsyncIterator[SqliteStore]:
    """A store that becomes the file `target`.

    Raises: `copy_target_exists`, `copy_running`, `store_unwritable`, as opening does.
    """
    _check_free(target)
    with _sole_copy(target):
        async with _filled(target) as store:
            yield store


@contextmanager
def _sole_copy(target: Path) -> Iterator[None]:
    """Keep other copies away from `target`, on this computer, while the block lasts. Raises: `copy_running`."""
    path = target.with_name(f".{target.name}.copying")
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as fault:
        raise STORE_UNWRITABLE.error(f"{target.name} cannot be written: {fault.strerror}") from fault
    try:
        if not _is_locked(path, lock):
            raise COPY_RUNNING.error(f"another copy into {target.name} is under way")
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()  # while it is held: whoever opened it meanwhile sees that it lost its name
    finally:
        os.close(lock)


def _is_locked(path: Path, lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(path.lstat(), os.fstat(lock))
    except OSError:
        return False


@asynccontextmanager
async def _filled(target: Path) -> AsyncIterator[SqliteStore]:
    _check_free(target)
    beside = target.with_name(f".{target.name}.{os.urandom(8).hex()}")
    try:
        store = await open_sqlite(beside)
        try:
            yield store
        finally:
            await store.close()
        publish(beside, target)
    except FileExistsError:  # somebody was faster
        raise COPY_TARGET_EXISTS.error(f"{target.name} exists already") from None
    except OSError as fault:
        raise STORE_UNWRITABLE.error(f"{target.name} cannot be written: {fault.strerror}") from fault
    finally:
        for folder in (files_folder(beside), owners_folder(beside)):
            shutil.rmtree(folder, ignore_errors=True)
        for leftover in (beside, Path(f"{beside}-wal"), Path(f"{beside}-shm"), Path(f"{beside}-journal")):
            with suppress(OSError):  # what cannot be taken away must not hide what went wrong
                leftover.unlink()
