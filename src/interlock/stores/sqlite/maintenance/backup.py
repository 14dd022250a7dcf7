"""Copies a store while it is in use.

What it does: makes one new file that holds the store as it was at one moment, with the files of its large
artifacts. What it does not do: it never writes over anything, and it is no synchronisation: each backup is
whole.

Rules: the artifacts are copied after the moment of the database, so that whatever it names is there; they are
verified on the way; the backup gets its name last, when all of it is durable.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import closing, suppress
from pathlib import Path

import apsw
from msgspec import Struct

from interlock.journal.errors import BACKUP_TARGET_EXISTS, STORE_NOT_FOUND, STORE_UNWRITABLE
from interlock.journal.ports import Blob
from interlock.stores.files import ArtifactFiles, sync_folder
from interlock.stores.sqlite import schema
from interlock.stores.sqlite.connection import CREATE, files_folder, translated
from interlock.stores.sqlite.maintenance.integrity import open_existing
from interlock.stores.sqlite.place import check_not_cut, settled
from interlock.stores.sqlite.statements import statements

_SQL = statements("artifacts")


class Backup(Struct, frozen=True):
    """What was copied: bytes of the database, and how many artifacts in files."""

    bytes: int
    artifact_files: int


async def backup(path: Path, target: Path) -> Backup:
    """Copy the store at `path` to the new file `target`, on a thread, beside readers and writers.

    Raises: `backup_target_exists`; `store_unwritable` if `target` cannot be written; `disk_full`;
    `artifact_corrupt` and `artifact_not_found` for damaged artifacts; what opening a store raises.
    Nothing is left behind then.
    """
    return await asyncio.to_thread(_backup, settled(Path(path)), Path(target))


def _backup(path: Path, target: Path) -> Backup:
    try:
        _check_paths(path, target)
    except OSError as fault:
        raise STORE_UNWRITABLE.error(f"{target.name} cannot be written: {fault.strerror}") from fault
    beside = target.with_name(f".{target.name}.{os.urandom(8).hex()}")
    files = ArtifactFiles(files_folder(beside))
    try:
        in_files = _copy_database(path, beside)
        for identity in in_files:
            files.write(Blob(identity, "", ArtifactFiles(files_folder(path)).read(identity)))
        publish(beside, target)
    except apsw.Error as fault:
        raise translated(fault, target) from fault
    except FileExistsError:  # somebody was faster
        raise BACKUP_TARGET_EXISTS.error(f"{target.name} exists already") from None
    except OSError as fault:
        raise STORE_UNWRITABLE.error(f"{target.name} cannot be written: {fault.strerror}") from fault
    finally:
        shutil.rmtree(files.folder, ignore_errors=True)
        for leftover in (beside, Path(f"{beside}-wal"), Path(f"{beside}-shm"), Path(f"{beside}-journal")):
            with suppress(OSError):  # what cannot be taken away must not hide what went wrong
                leftover.unlink()
    return Backup(target.stat().st_size, len(in_files))


def _check_paths(path: Path, target: Path) -> None:
    check_not_cut(path)
    if not path.exists():
        raise STORE_NOT_FOUND.error(f"there is no store at {path}")
    if not target.name or target.exists() or files_folder(target).exists():  # what has no name is a folder
        raise BACKUP_TARGET_EXISTS.error(f"{target.name or target} exists already")
    if not target.parent.is_dir():
        raise STORE_UNWRITABLE.error(f"the folder {target.absolute().parent} does not exist")


def publish(beside: Path, target: Path) -> None:
    """Give the finished copy its name; the database last, and never over another file."""
    folder = files_folder(target)
    if files_folder(beside).exists():
        files_folder(beside).rename(folder)
        sync_folder(target.parent)
    try:
        os.link(beside, target)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    sync_folder(target.parent)


def _copy_database(path: Path, beside: Path) -> list[str]:
    """Copy one moment of the database into a new, durable file; return the artifacts that it has in files."""
    with open_existing(path) as source, closing(apsw.Connection(str(beside), CREATE)) as copy:
        schema.check_schema(source)  # a copy that nobody can open is no backup
        with copy.backup("main", source, "main") as running:
            running.step(-1)
        in_files = [str(identity) for (identity,) in copy.execute(_SQL["artifacts_in_files"])]
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    return in_files
