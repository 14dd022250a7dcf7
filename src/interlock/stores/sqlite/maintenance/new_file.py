"""A store that is filled before anybody can open it, and gets its name last.

What it does: makes a store in a file beside, gives it out, and renames it when the block ended well. What it does not
do: it fills nothing, and never writes over anything.

Rule: whatever goes wrong, nothing is left behind under the name of the target.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from interlock.journal.errors import COPY_TARGET_EXISTS, STORE_UNWRITABLE
from interlock.stores.sqlite.connection import files_folder, owners_folder
from interlock.stores.sqlite.maintenance.backup import publish
from interlock.stores.sqlite.open import SqliteStore, open_sqlite


def _check_free(target: Path) -> None:
    if target.exists() or files_folder(target).exists():
        raise COPY_TARGET_EXISTS.error(f"{target.name} exists already")


@asynccontextmanager
async def new_file(target: Path) -> AsyncIterator[SqliteStore]:
    """A store that becomes the file `target`. Raises: `copy_target_exists`, `store_unwritable`, as opening does."""
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
