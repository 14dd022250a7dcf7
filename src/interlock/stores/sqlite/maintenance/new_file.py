"""A store that is filled before anybody can open it, and gets its name last.

What it does: makes a store in a file beside, gives it out, and renames it when the block ended well. What it does not
do: it fills nothing, and never writes over anything.

Rules: whatever goes wrong, nothing is left behind under the name of the target; one copy at a time fills it, which a
lock file beside says; the lock ends with its process. What a process left that was killed, under a name that only
copies into this target have, goes away with the next of them.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from interlock.journal.errors import COPY_RUNNING, COPY_TARGET_EXISTS, STORE_UNWRITABLE
from interlock.stores.sqlite.connection import files_folder, owners_folder
from interlock.stores.sqlite.maintenance.backup import publish
from interlock.stores.sqlite.open import SqliteStore, open_sqlite

_RANDOM_BYTES = 8
_FILLED = re.compile(r"\.[0-9a-f]{16}\.copy(-wal|-shm|-journal|\.artifacts|\.owners)?")
"""What follows the name of the target where a copy into it stands, with what SQLite and the store keep beside."""

_FOLDERS = (".artifacts", ".owners")


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
        _remove_older(target)
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


def _remove_older(target: Path) -> None:
    """Take away what copies into `target` left that were killed: files of this user, and folders of such."""
    begin = f".{target.name}"
    try:
        found = [each for each in target.parent.iterdir() if each.name.startswith(begin)]
    except OSError:  # a folder that cannot be listed hides them; whether it can be written will show
        return
    for path in found:
        form = _FILLED.fullmatch(path.name, len(begin))
        if form:
            _remove(path, folder=form[1] in _FOLDERS)


def _remove(path: Path, *, folder: bool) -> None:
    with suppress(OSError):  # what cannot be taken away is in nobody's way
        found = path.lstat()
        if found.st_uid != os.geteuid():
            return
        if folder and stat.S_ISDIR(found.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        elif not folder and stat.S_ISREG(found.st_mode):
            path.unlink()


@asynccontextmanager
async def _filled(target: Path) -> AsyncIterator[SqliteStore]:
    _check_free(target)
    beside = target.with_name(f".{target.name}.{os.urandom(_RANDOM_BYTES).hex()}.copy")
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
