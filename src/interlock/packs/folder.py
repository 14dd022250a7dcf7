"""A pack that was unpacked to a folder, read as if it were still the container.

What it does: gives the members of a folder in the order of the container. What it does not do: it judges no mode, owner
or time of a file, which unpacking changes.

Rules: every entry is a folder or a regular file under a name of the grammar; no link is followed, no device opened; an
empty folder is an entry that the container did not have.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from interlock.packs.container import (
    CHUNK,
    MANIFEST,
    MEMBERS_MAX,
    NO_PACK,
    Walked,
    invalid,
    is_name,
    open_regular,
    order,
)
from interlock.packs.errors import PACK_MANIFEST_INVALID, PACK_TOO_LARGE, PACK_UNREADABLE


class FolderSource:
    """A pack in a folder."""

    def __init__(self, path: Path) -> None:
        try:
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as fault:
            raise PACK_UNREADABLE.error(f"the folder cannot be read: {fault.strerror}") from None
        self._open: tuple[str, int] | None = None

    def walk(self) -> Iterator[Walked]:
        """Every member."""
        if not _holds_manifest(self._folder):
            raise PACK_MANIFEST_INVALID.error(f"{NO_PACK}: the folder has no {MANIFEST}", member=MANIFEST)
        names = sorted(self._names(), key=order)
        for name in names:
            file = open_regular(name, self._folder)
            try:
                size = os.fstat(file).st_size
                yield Walked(name, size, 0, _chunks(file, name, size))
            finally:
                os.close(file)

    def _names(self) -> list[str]:
        found: list[str] = []
        waiting = [""]
        while waiting:
            within = waiting.pop()
            entries = self._listed(within)
            if within and not entries:
                raise invalid("it is an empty folder", within)
            for name, is_folder in entries:
                if not is_name(name):
                    raise invalid("the folder has an entry that no pack has", within or None)
                (waiting if is_folder else found).append(name)
            if len(found) > MEMBERS_MAX:
                raise PACK_TOO_LARGE.error(f"the pack has more than {MEMBERS_MAX} members")
        return found

    def _listed(self, within: str) -> list[tuple[str, bool]]:
        """Paths below a folder of the pack, each with whether it is a folder."""
        try:
            file = os.open(within or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._folder)
        except OSError as fault:
            raise PACK_UNREADABLE.error(f"the folder cannot be read: {fault.strerror}") from None
        try:
            with os.scandir(file) as entries:
                return [self._entry(within, entry) for entry in entries]
        finally:
            os.close(file)

    @staticmethod
    def _entry(within: str, entry: os.DirEntry[str]) -> tuple[str, bool]:
        name = f"{within}/{entry.name}" if within else entry.name
        mode = entry.stat(follow_symlinks=False).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise invalid("it is neither a file nor a folder", name if is_name(name) else within or None)
        return name, stat.S_ISDIR(mode)

    def read(self, name: str, at: int, size: int) -> bytes:
        """Bytes of a member; the file that was read last stays open, since streams are read in pieces."""
        if self._open is None or self._open[0] != name:
            self._let_go()
            self._open = name, open_regular(name, self._folder)
        return os.pread(self._open[1], size, at)

    def _let_go(self) -> None:
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def close(self) -> None:
        """Close the folder."""
        self._let_go()
        os.close(self._folder)


def _chunks(file: int, name: str, size: int) -> Iterator[bytes]:
    left = size
    while left:
        chunk = os.read(file, min(CHUNK, left))
        if not chunk:
            raise invalid("the file became shorter", name)
        left -= len(chunk)
        yield chunk
    if os.read(file, 1):
        raise invalid("the file became longer", name)


def _holds_manifest(folder: int) -> bool:
    try:
        os.stat(MANIFEST, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError as fault:
        raise PACK_UNREADABLE.error(f"the folder cannot be read: {fault.strerror}") from None
    return True
