"""Artifacts in files: immutable bytes, each in a file named by its SHA-256.

What it does: writes, finds and verifies files below one folder (`ab/abcd…`), and offers them as the port
`Artifacts`. What it does not do: it keeps no kinds and deletes nothing that was ever finished.

Rules: a name is a checked digest before it becomes a path; bytes are written beside, synced, renamed and the
folder synced, so a name never stands for half a file; a name or folder that another process made is synced, too,
because that one may have died before it did; every read is verified.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from interlock.base.errors import InterlockError
from interlock.base.ids import artifact_id
from interlock.journal.errors import (
    ARTIFACT_CORRUPT,
    ARTIFACT_ID_MISMATCH,
    ARTIFACT_NOT_FOUND,
    DISK_FULL,
    STORE_CORRUPT,
    STORE_UNWRITABLE,
)
from interlock.journal.ports import Blob

_UNFINISHED = ".writing-"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ArtifactFiles:
    """The files below one folder; plain functions that block, for any thread."""

    def __init__(self, folder: Path, faults: Callable[[str], None] | None = None) -> None:
        self.folder = folder
        self._faults = faults
        self._durable: set[Path] = set()

    def path(self, identity: str) -> Path:
        """Where an artifact is or would be. Raises: `id_invalid`."""
        return self.folder / artifact_id(identity)[:2] / identity

    def write(self, blob: Blob) -> None:
        """Make the bytes durable under their name; nothing to do if they are there with the right size.

        Raises: `disk_full`, `store_unwritable`. A file of another size is damaged and is replaced.
        """
        path = self.path(blob.id)
        try:
            self._make_folder(path.parent)
            if _size(path) == len(blob.content):
                sync_folder(path.parent)
            else:
                self._write_beside(path, blob.content)
        except OSError as fault:
            if fault.errno in _FULL:
                raise DISK_FULL.error("the disk is full: an artifact was not written", artifact=blob.id) from fault
            raise STORE_UNWRITABLE.error("an artifact cannot be written", artifact=blob.id) from fault

    def _make_folder(self, folder: Path) -> None:
        """Make a folder durable, once, whoever made it; and again if somebody took it away."""
        if folder in self._durable and folder.is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)
        sync_folder(folder.parent.parent)
        self._durable.add(folder)

    def _write_beside(self, path: Path, content: bytes) -> None:
        beside = path.with_name(f"{_UNFINISHED}{os.getpid()}-{os.urandom(8).hex()}")
        try:
            with beside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if self._faults is not None:
                self._faults("artifact:before_rename")
            beside.rename(path)
        except BaseException:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
        if self._faults is not None:
            self._faults("artifact:after_rename")

    def read(self, identity: str) -> bytes:
        """The verified bytes. Raises: `artifact_not_found`, `artifact_corrupt`; `store_corrupt` otherwise."""
        try:
            content = self.path(identity).read_bytes()
        except (FileNotFoundError, InterlockError):
            raise missing(identity) from None
        except OSError as fault:
            raise STORE_CORRUPT.error("an artifact cannot be read", artifact=identity) from fault
        return verified(identity, content)

    def exists(self, identity: str) -> bool:
        """Whether it is there, by its name."""
        try:
            return self.path(identity).is_file()
        except InterlockError:
            return False

    def since(self, after: str) -> Iterator[str]:
        """Names greater than `after`, in order."""
        if not self.folder.is_dir():
            return
        for group in sorted(path for path in self.folder.iterdir() if path.is_dir()):
            if group.name >= after[:2]:
                names = sorted(path.name for path in group.iterdir() if not path.name.startswith(_UNFINISHED))
                yield from (name for name in names if name > after)


class FileArtifacts:
    """`Artifacts` in files alone."""

    def __init__(self, folder: Path) -> None:
        self._files = ArtifactFiles(folder)

    async def put(self, blobs: Sequence[Blob]) -> list[str]:
        """Store each; raises `artifact_id_mismatch` and has then stored none."""
        await asyncio.to_thread(self._put, blobs)
        return [blob.id for blob in blobs]

    def _put(self, blobs: Sequence[Blob]) -> None:
        check_blobs(blobs)
        for blob in blobs:
            self._files.write(blob)

    async def get(self, ids: Sequence[str]) -> list[bytes]:
        """The verified bytes of each."""
        return await asyncio.to_thread(lambda: [self._files.read(identity) for identity in ids])

    async def exists(self, ids: Sequence[str]) -> list[bool]:
        """Whether each is there."""
        return [self._files.exists(identity) for identity in ids]

    async def scan(self, after: str, limit: int) -> list[str]:
        """Ids after `after`, in order."""
        return await asyncio.to_thread(lambda: list(islice(self._files.since(after), max(limit, 0))))


def _size(path: Path) -> int | None:
    """The size of a file; None without one."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def check_blobs(blobs: Sequence[Blob]) -> None:
    """Refuse an artifact under a name that is not its digest. Raises: `artifact_id_mismatch`."""
    for blob in blobs:
        if hashlib.sha256(blob.content).hexdigest() != blob.id:
            raise ARTIFACT_ID_MISMATCH.error("the id of an artifact is not the SHA-256 of its bytes")


def verified(identity: str, content: bytes) -> bytes:
    """The content, if its SHA-256 is `identity`. Raises: `artifact_corrupt`."""
    if hashlib.sha256(content).hexdigest() != identity:
        raise ARTIFACT_CORRUPT.error("the bytes of an artifact differ from its id", artifact=identity)
    return content


def missing(identity: str) -> InterlockError:
    """The error for an artifact that is not there; it names one that could be."""
    try:
        return ARTIFACT_NOT_FOUND.error(f"the artifact {artifact_id(identity)} does not exist", artifact=identity)
    except InterlockError:
        return ARTIFACT_NOT_FOUND.error("an artifact is named by what is no id")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
