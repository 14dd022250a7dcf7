"""The steps of writing an artifact's file as places to be killed at, each with what a power cut could leave behind.

What it does: in the process that calls it, every sync of a file or folder becomes several points. What it does not do:
it changes nothing unless the process is to die there.

Rule: bytes and names that were never synced may be lost, so dying before a sync also takes half of the bytes, or the
new name, away.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Reached(Protocol):
    """Told of each point; calls `dying` first if the process is to be killed there."""

    def __call__(self, point: str, dying: Callable[[], None] = ...) -> None: ...


def watch_files(reached: Reached) -> None:
    """Report the points `file:torn|unsynced|synced` and `folder:lost|unsynced|synced` from now on."""
    sync, rename = os.fsync, Path.rename
    renamed: list[Path] = []

    def lose_names() -> None:
        for path in renamed:
            path.unlink()

    def watched_rename(source: Path, target: Path) -> Path:
        renamed.append(target)
        return rename(source, target)

    def watched_sync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            reached("folder:lost", lose_names)
            reached("folder:unsynced")
            sync(descriptor)
            renamed.clear()
            reached("folder:synced")
        else:
            reached("file:torn", lambda: os.ftruncate(descriptor, status.st_size // 2))
            reached("file:unsynced")
            sync(descriptor)
            reached("file:synced")

    os.fsync = watched_sync  # type: ignore[assignment]
    Path.rename = watched_rename  # type: ignore[method-assign,assignment]
