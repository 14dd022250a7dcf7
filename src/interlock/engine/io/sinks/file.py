"""The sink `file`: each event is one JSON line of a file, durable before the delivery counts.

What it does: appends under a lock of the file, syncs it, and takes away what a process that died had written of a line.
What it does not do: it rotates nothing and reads nothing back.

Rules: a path is relative and stays below the root that the settings name: no `..`, no symbolic link on the way, and
the file is a plain one; folders are made as needed; whoever shares the file writes whole lines under the same lock.
What anybody but the user of this machine subscribed to stands below a folder of their tenant, in files of bounded size.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.journal.subscriptions.port import Delivery

SINK_PATH_REFUSED = ErrorCode(
    "sink_path_refused",
    Category.REFUSED,
    "Name a plain file below sinks.file_root, by a relative path without `..` and symbolic links.",
)
SINK_FILE_FAILED = ErrorCode(
    "sink_file_failed", Category.UNAVAILABLE, "Check the file, its disk and its permissions.", retryable=True
)
SINK_FILE_FULL = ErrorCode(
    "sink_file_full",
    Category.UNAVAILABLE,
    "Move the file away, or raise sinks.file_bytes_max; deliveries go on by themselves.",
    retryable=True,
)
ERRORS: Final = (SINK_PATH_REFUSED, SINK_FILE_FAILED, SINK_FILE_FULL)

PATH_CHARACTERS_MAX = 1_000
NAME_BYTES_MAX = 255
"""Bytes of one name in a path: what every file system of ours takes."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CHUNK_BYTES = 64 * 1024
# What opening gives for a symbolic link, a folder that is none, a file that is one, and a pipe that nobody reads.
_ELSEWHERE = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO})


class SinkSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where sinks on this machine may write."""

    file_root: Annotated[
        str, Meta(min_length=1, description="The folder below which the sink `file` writes; made if it is not there.")
    ] = ".interlock/deliveries"
    file_bytes_max: Annotated[
        int, Meta(ge=1, description="Bytes of one file to which others than the user of this machine deliver.")
    ] = 1 << 30


class FileTarget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which file, from the root of the settings, or from the folder of the tenant there."""

    path: Annotated[str, Meta(min_length=1, max_length=PATH_CHARACTERS_MAX)]


class FileSink:
    """Appends to one file below a root, or below the folder of a tenant there; `bytes_max` is for the whole file.

    Raises: `sink_path_refused` for a path that leads elsewhere.
    """

    def __init__(self, root: str, path: str, tenant: str | None = None, bytes_max: int | None = None) -> None:
        self._root = root
        self._parts = [*([] if tenant is None else [tenant]), *path.split("/")]
        self._bytes_max = bytes_max
        if any(part in {"", ".", ".."} for part in self._parts) or "\0" in path:
            raise SINK_PATH_REFUSED.error("the path of the sink is not a relative one below its root")
        if max(len(part.encode()) for part in self._parts) > NAME_BYTES_MAX:
            raise SINK_PATH_REFUSED.error(f"a name in the path of the sink has more than {NAME_BYTES_MAX} bytes")

    async def deliver(self, delivery: Delivery) -> None:
        """Append one line. Raises: `sink_path_refused`, `sink_file_failed`, `sink_file_full`."""
        await asyncio.to_thread(self._append, msgspec.json.encode(delivery) + b"\n")

    async def close(self) -> None:
        """Nothing is held between deliveries."""

    def _append(self, line: bytes) -> None:
        try:
            file = self._open()
        except OSError as fault:
            raise _failed(fault) from None
        try:
            # The lock is the kernel's: it orders threads and processes, and ends with who holds it.
            fcntl.flock(file, fcntl.LOCK_EX)
            size = _cut_torn_line(file)
            if self._bytes_max is not None and size + len(line) > self._bytes_max:
                raise SINK_FILE_FULL.error(f"the file would hold more than {self._bytes_max} bytes")
            left = memoryview(line)
            while left:
                left = left[os.write(file, left) :]
            os.fsync(file)
        except OSError as fault:
            raise _failed(fault) from None
        finally:
            os.close(file)

    def _open(self) -> int:
        """The file, opened step by step so that no step is a symbolic link. Raises: `sink_path_refused`, OSError."""
        Path(self._root).mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(self._root, _FOLDER & ~os.O_NOFOLLOW)
        try:
            for part in self._parts[:-1]:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=folder)
                    os.fsync(folder)
                folder = _instead(folder, os.open(part, _FOLDER, dir_fd=folder))
            file = os.open(self._parts[-1], _FILE, 0o600, dir_fd=folder)
            if not stat.S_ISREG(os.fstat(file).st_mode):
                os.close(file)
                raise SINK_PATH_REFUSED.error("the path of the sink leads to what is no plain file")
            if os.fstat(file).st_size == 0:
                os.fsync(folder)
            return file
        finally:
            os.close(folder)


def _instead(old: int, new: int) -> int:
    os.close(old)
    return new


def _cut_torn_line(file: int) -> int:
    """Take away what stands behind the last whole line: nobody was told that it had arrived. The size then."""
    end = size = os.fstat(file).st_size
    while end > 0:
        begin = max(end - _CHUNK_BYTES, 0)
        found = os.pread(file, end - begin, begin).rfind(b"\n")
        if found >= 0:
            end = begin + found + 1
            break
        end = begin
    if end < size:
        os.ftruncate(file, end)
    return end


def _failed(fault: OSError) -> InterlockError:
    kind = SINK_PATH_REFUSED if fault.errno in _ELSEWHERE else SINK_FILE_FAILED
    return kind.error(f"the file cannot be written: {fault.strerror}")
