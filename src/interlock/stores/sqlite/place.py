"""Where a store stands: one place, however it is named, that must stay its own while the store is open.

What it does: follows links to the one name from which every other is derived, refuses what SQLite would silently
begin anew, and tells whether the file of an opened store is still the one at its place. What it does not do: it
opens no database and takes nothing away.

Rules: a path is settled once, before anything is opened beside it; nothing here writes; what is asked often costs
one look at one name.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from interlock.journal.errors import STORE_CORRUPT, STORE_LINKED, STORE_MOVED

Identity: TypeAlias = tuple[int, int]
_SIZES_OF_NOTHING = (0, 1)
"""Sizes at which SQLite takes a file for a new database, and its log for one of nobody."""


def settled(path: Path) -> Path:
    """The one path of a store: no link is left in it. Raises: `store_linked` for a file with several names.

    SQLite follows links by itself; the locks and artifacts beside the file must not stand elsewhere.
    """
    real = Path(os.path.realpath(path))
    try:
        found = real.stat()
    except OSError:
        return real  # whoever opens it says what is wrong
    if real.is_file() and found.st_nlink > 1:
        raise STORE_LINKED.error(f"{real.name} has {found.st_nlink} names (hard links)", names=found.st_nlink)
    return real


def check_not_cut(path: Path) -> None:
    """Refuse what is left of a store that lost its file's content. Raises: `store_corrupt`.

    SQLite would delete the log beside such a file, and the commits in it. What stands beside is looked at first: a
    store that is being made gets its first page before anything beside it.
    """
    left = _left_beside(path)
    if left is None:
        return
    try:
        size = path.stat().st_size
    except OSError:
        if left.name.endswith("-wal"):
            raise STORE_CORRUPT.error(f"{path.name} is gone, and commits of it stand in {left.name}") from None
        return  # somebody took the store away, and left the folders
    if size in _SIZES_OF_NOTHING:
        raise STORE_CORRUPT.error(f"{path.name} was cut to {size} bytes: {left.name} shows that it was a store")


def _left_beside(path: Path) -> Path | None:
    """Something that only stands beside a store; the log comes first, because it holds commits."""
    log = Path(f"{path}-wal")
    with suppress(OSError):
        if log.stat().st_size:
            return log
    folders = (Path(f"{path}{suffix}") for suffix in (".artifacts", ".owners"))
    return next((folder for folder in folders if folder.is_dir()), None)


class Place:
    """The place of one opened store, as it was when it was opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = path.name
        self._file = _identity(self._path)

    def check(self) -> None:
        """Raise `store_moved` unless the file at the path is the one that was opened."""
        if _identity(self._path) != self._file:
            raise STORE_MOVED.error(f"{self._name} was moved, replaced or deleted while it was open")


def _identity(path: Path) -> Identity | None:
    """Which file stands under a name, whatever it holds."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
