"""The folder of a runpack: written as a whole or not at all, and read as the hostile input that it may be.

What it does: puts the files of a runpack into a new folder, and gives those of one that is there. What it does not do:
it understands no file.

Rules (seed 000): paths are relative, of components of at most 255 bytes and 4096 in all, and lead nowhere but down;
folders are folders and files are regular files: no link is followed and no device opened; a folder gets its name once
everything in it is durable, and takes the place of another only where that is a runpack and it was asked for.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.packs.container import open_regular
from interlock.packs.errors import (
    PACK_CONTAINER_INVALID,
    PACK_EXISTS,
    PACK_MEMBER_MISSING,
    PACK_NOT_FOUND,
    PACK_TOO_LARGE,
    PACK_UNREADABLE,
    PACK_UNWRITABLE,
)
from interlock.packs.runpack.model import FILE_BYTES_MAX, FILES_MAX, MANIFEST_NAMES

PATH_BYTES_MAX = 4096
COMPONENT_BYTES_MAX = 255
DEPTH_MAX = 16


def is_path(path: str) -> bool:
    """Whether a path may stand in a runpack: it leads down, in one spelling."""
    pieces = path.split("/")
    return (
        "\0" not in path
        and "\\" not in path
        and len(pieces) <= DEPTH_MAX
        and len(path.encode("utf-8", "replace")) <= PATH_BYTES_MAX
        and all(_is_component(each) for each in pieces)
    )


def _is_component(name: str) -> bool:
    return name not in ("", ".", "..") and len(name.encode("utf-8", "replace")) <= COMPONENT_BYTES_MAX


class RunpackFolder:
    """A folder that is there; use it as a context manager. Raises: `pack_not_found`, `pack_unreadable`."""

    def __init__(self, path: Path) -> None:
        try:
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise PACK_NOT_FOUND.error("there is no such folder") from None
        except ValueError:  # a NUL, or half of a surrogate pair
            raise PACK_UNREADABLE.error("no folder can have this name") from None
        except OSError as fault:
            raise PACK_UNREADABLE.error(f"the folder cannot be read: {fault.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        os.close(self._folder)

    def manifest_name(self) -> str | None:
        """What the manifest is called; None where there is none of the usual names."""
        found = (name for name in MANIFEST_NAMES if self._mode(name) is not None)
        return next(found, None)

    def _mode(self, name: str) -> int | None:
        try:
            return os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_mode
        except OSError:
            return None

    def names(self) -> list[str]:
        """The paths of all files. Raises: `pack_container_invalid` for what is no file, `pack_too_large`."""
        found: list[str] = []
        waiting = [""]
        while waiting:
            within = waiting.pop()
            for name, is_folder in self._listed(within):
                (waiting if is_folder else found).append(name)
            if len(found) + len(waiting) > 2 * FILES_MAX:
                raise PACK_TOO_LARGE.error(f"the folder has more than {2 * FILES_MAX} entries")
        return sorted(found)

    def _listed(self, within: str) -> Iterator[tuple[str, bool]]:
        """Entries of a folder, each with whether it is a folder."""
        try:
            file = os.open(within or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._folder)
        except OSError as fault:
            raise PACK_UNREADABLE.error(f"the folder cannot be read: {fault.strerror}") from None
        try:
            with os.scandir(file) as entries:
                for entry in entries:
                    name = f"{within}/{entry.name}" if within else entry.name
                    mode = entry.stat(follow_symlinks=False).st_mode
                    if not is_path(name) or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                        raise PACK_CONTAINER_INVALID.error("it is neither a file nor a folder", member=shown(name))
                    yield name, stat.S_ISDIR(mode)
        finally:
            os.close(file)

    def read(self, path: str, bytes_max: int = FILE_BYTES_MAX) -> bytes:
        """The bytes of a file. Raises: as `opened`; `pack_too_large`."""
        file = self.opened(path)
        try:
            content = _content(file, bytes_max)
        finally:
            os.close(file)
        if content is None:
            raise PACK_TOO_LARGE.error(f"it has more than {bytes_max} bytes", member=shown(path))
        return content

    def opened(self, path: str) -> int:
        """A descriptor of a file. Raises: `pack_member_missing`, `pack_unreadable`, `pack_container_invalid`."""
        if not is_path(path):
            raise PACK_CONTAINER_INVALID.error("no file of a runpack has this path", member=shown(path))
        folder = self._entered(path)
        try:
            return open_regular(path.rpartition("/")[2], folder)
        except InterlockError as fault:
            kind = PACK_MEMBER_MISSING if fault.kind is PACK_NOT_FOUND else fault.kind
            raise kind.error(fault.message, member=shown(path)) from None
        finally:
            os.close(folder)

    def _entered(self, path: str) -> int:
        """A descriptor of the folder in which a file stands; no link is followed on the way."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        folder = os.dup(self._folder)
        for name in path.split("/")[:-1]:
            before = folder
            try:
                folder = os.open(name, flags, dir_fd=before)
            except OSError:
                raise PACK_MEMBER_MISSING.error("it is not there", member=shown(path)) from None
            finally:
                os.close(before)
        return folder


def _content(file: int, bytes_max: int) -> bytes | None:
    """All bytes of a file; None where it has more than it may have."""
    pieces: list[bytes] = []
    left = bytes_max + 1
    while left and (piece := os.read(file, min(left, 1 << 20))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces) if left else None


def write_folder(path: Path, files: Mapping[str, bytes], *, force: bool) -> None:
    """Write a runpack. Raises: `pack_exists` unless `force` and what is there is a runpack, `pack_unwritable`."""
    try:
        os.fsencode(path)
    except ValueError:
        raise PACK_UNWRITABLE.error("no folder can have this name") from None
    if "\0" in str(path) or not path.parent.is_dir():
        raise PACK_UNWRITABLE.error("there is no folder for it")
    if os.path.lexists(path) and not _may_give_way(path, force=force):
        raise PACK_EXISTS.error(f"something of this name is there already: {shown(path.name)}")
    beside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.part")
    try:
        beside.mkdir(mode=0o700)
        try:
            for name, content in files.items():
                _write(beside, name, content)
            for folder in sorted({beside, *(beside.joinpath(name).parent for name in files)}, reverse=True):
                _sync(folder)
            _take_place(beside, path, force=force)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as fault:
        raise PACK_UNWRITABLE.error(f"the folder cannot be written: {fault.strerror}") from None


def _may_give_way(path: Path, *, force: bool) -> bool:
    """Whether what is there may be replaced: an empty folder, or, where that is asked for, a runpack."""
    if path.is_symlink() or not path.is_dir():
        return False
    if not any(path.iterdir()):
        return True
    with RunpackFolder(path) as folder:
        return (
            force
            and folder.manifest_name() is not None
            and {each.name for each in path.iterdir()} <= {*MANIFEST_NAMES, "artifacts"}
        )


def _write(folder: Path, name: str, content: bytes) -> None:
    if not is_path(name):
        raise PACK_UNWRITABLE.error("no file of a runpack has this path", member=shown(name))
    place = folder.joinpath(name)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _take_place(beside: Path, path: Path, *, force: bool) -> None:
    """Give a finished folder its name."""
    if not force or not path.is_dir() or not any(path.iterdir()):
        try:
            beside.rename(path)  # takes the place of an empty folder, and of nothing else
        except OSError as fault:
            if fault.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            raise PACK_EXISTS.error(f"something of this name is there already: {shown(path.name)}") from None
    else:
        old = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.old")
        path.rename(old)
        try:
            beside.rename(path)
        except OSError:
            old.rename(path)
            raise
        shutil.rmtree(old)
    _sync(path.parent)
