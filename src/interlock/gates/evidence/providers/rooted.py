"""Reads files under one folder, and no other.

What it does: finds the real path of a file, checks that it is under the folder, and reads exactly that file. What it
does not do: it understands no content.

Rules (seed 000): symbolic links are followed and must stay under the folder; what is opened is what was checked: each
part of the real path is opened from the one before and may be no link, so that one which is put there meanwhile is
refused; only regular files are read, within the limit.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct

from interlock.gates.evidence.contract_files import is_short

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe that nobody writes to would be waited for without end.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class FileFault(Exception):
    """Why a file is not read: a code of the contract and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


class Found(Struct, frozen=True):
    """A file that was read: its real path from the folder, its bytes, and when it was changed."""

    path: str
    content: bytes
    changed_ms: int


def real_path(root: str, path: str) -> str:
    """The real path of a file from the folder `root`. Raises: `FileFault`."""
    if path.startswith("/"):
        raise FileFault("absolute_path_forbidden", "a file is named from the folder")
    if not is_short(path) or "\0" in path:
        raise FileFault("path_invalid", "no file can have this name")
    try:
        real_root = os.path.realpath(root, strict=True)
        real = os.path.realpath(f"{real_root}/{path}", strict=True)
    except FileNotFoundError:
        raise FileFault("file_not_found", "there is no such file") from None
    except OSError:
        raise FileFault("path_invalid", "the file's name leads nowhere") from None
    if not PurePosixPath(real).is_relative_to(real_root):
        raise FileFault("path_outside_root", "the file is not under the folder")
    return PurePosixPath(real).relative_to(real_root).as_posix()


def read_file(root: str, path: str, bytes_max: int) -> Found:
    """The file at a real path from the folder `root`. Raises: `FileFault`."""
    *folders, name = PurePosixPath(path).parts or (".",)
    with ExitStack() as opened:
        try:
            place = _kept(opened, os.open(os.path.realpath(root), _FOLDER))
            for folder in folders:
                place = _kept(opened, os.open(folder, _FOLDER, dir_fd=place))
            descriptor = _kept(opened, os.open(name, _FILE, dir_fd=place))
            status = os.fstat(descriptor)
        except OSError:
            raise FileFault("file_open_failed", "the file cannot be opened") from None
        if not stat.S_ISREG(status.st_mode):
            raise FileFault("file_open_failed", "it is no regular file")
        content = _content(descriptor, bytes_max)
    return Found(path, content, status.st_mtime_ns // 1_000_000)


def _kept(opened: ExitStack, descriptor: int) -> int:
    opened.callback(os.close, descriptor)
    return descriptor


def _content(descriptor: int, bytes_max: int) -> bytes:
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(bytes_max + 1)
    except OSError:
        raise FileFault("file_read_failed", "the file cannot be read") from None
    if len(content) > bytes_max:
        raise FileFault("size_limit_exceeded", f"the file has more than {bytes_max} bytes")
    return content
