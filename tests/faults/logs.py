"""The files of a store as a dying process leaves them, and stores made of such bytes."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

HEADER_BYTES, FRAME_HEADER_BYTES, PAGE_BYTES = 32, 24, 4096
FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES


async def copied(path: Path, folder: Path) -> tuple[bytes, bytes]:
    """The database and its log as they are on the disk now.

    Another process copies them: closing a database file in this one would give up SQLite's locks on it.
    """
    copying = await asyncio.create_subprocess_exec("cp", path, f"{path}-wal", folder)
    assert await copying.wait() == 0
    return (folder / path.name).read_bytes(), (folder / f"{path.name}-wal").read_bytes()


def place(folder: Path, database: bytes, log: bytes) -> Path:
    """Put a store of these bytes where one may have been before."""
    path = folder / "store"
    for leftover in folder.glob("store*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    path.write_bytes(database)
    Path(f"{path}-wal").write_bytes(log)
    return path
