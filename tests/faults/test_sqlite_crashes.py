"""Processes killed among the files of artifacts, and disks that fail under an SQLite file.

SQLite alone: a disk fails in its own file layer, where the system's calls would fail; on PostgreSQL the disk is the
server's. What a kill leaves of an append is tested on both stores in `test_killed_appends`.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import apsw
import pytest

from interlock.base.errors import InterlockError
from interlock.journal.ports import Append, Blob
from interlock.stores.sqlite import SqliteSettings, SqliteStore, open_sqlite
from interlock.stores.sqlite.maintenance.integrity import check_integrity
from interlock.testing.contracts.harness import append, blob, content, grow, onto, stream

A = stream("a")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
ACKNOWLEDGED = 4
IN_FILES = SqliteSettings(artifact_inline_bytes_max=0)


def large(n: int) -> Blob:
    return blob(b"large %d" % n)


def started(path: Path, role: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, role, str(path), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True)


def play(path: Path, role: str, *arguments: str) -> tuple[list[str], int]:
    """What a process said, line by line, and how it ended."""
    process = started(path, role, *arguments)
    return process.communicate(timeout=60)[0].split(), process.returncode


async def appends_in(path: Path) -> int:
    """How many appends the store holds; they are 0, 1, 2 … and others can follow."""
    store = await open_sqlite(path)
    data = await content(store, A)
    assert data == [b"%d" % n for n in range(len(data))]
    await grow(store, stream("after"))
    await store.close()
    assert await check_integrity(path) == []
    return len(data)


@pytest.mark.parametrize("at", ["artifact:before_rename", "artifact:after_rename"])
def test_an_append_killed_among_its_artifacts_did_not_happen_and_can_be_done(tmp_path: Path, at: str) -> None:
    said, status = play(tmp_path / "store", "killed", at)

    assert (len(said), status) == (ACKNOWLEDGED, -signal.SIGKILL)
    assert asyncio.run(appends_in(tmp_path / "store")) == ACKNOWLEDGED

    async def main() -> None:
        store = await open_sqlite(tmp_path / "store", settings=IN_FILES)
        assert await store.artifacts.scan("", 100) == sorted(large(n).id for n in range(ACKNOWLEDGED))
        [head] = await store.events.heads([A])
        await append(store, onto(head, A, b"4"), blobs=[large(4)])
        assert await store.artifacts.get([large(4).id]) == [large(4).content]
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("trouble", "code", "survives"),
    [
        ("no_space", "disk_full", True),
        ("failing_write", "outcome_unknown", False),
        ("failing_sync", "outcome_unknown", False),
    ],
)
def test_a_failing_disk_is_told_and_never_hidden(tmp_path: Path, trouble: str, code: str, survives: bool) -> None:
    said, status = play(tmp_path / "store", "failing_disk", trouble)

    assert (said, status) == ([code, "appended" if survives else "store_closed"], 0)
    held = asyncio.run(appends_in(tmp_path / "store"))
    # What nobody knows may have happened or not; what is known is so.
    assert held in ((ACKNOWLEDGED + 1,) if survives else (ACKNOWLEDGED, ACKNOWLEDGED + 1))


def test_a_disk_that_takes_no_more_ends_a_writer_and_leaves_a_whole_store(tmp_path: Path) -> None:
    said, status = play(tmp_path / "store", "limited")

    assert status == 0
    assert said[-1] in ("outcome_unknown", "disk_full")
    assert len(said) > ACKNOWLEDGED
    assert asyncio.run(appends_in(tmp_path / "store")) in (len(said) - 1, len(said))


# What the processes do


async def killed(path: Path, at: str) -> None:
    """Append and say so, until the fifth append reaches a point."""
    reached = 0

    def die_there(point: str) -> None:
        nonlocal reached
        reached += point == at
        if reached > ACKNOWLEDGED:
            os.kill(os.getpid(), signal.SIGKILL)

    store = await open_sqlite(path, settings=IN_FILES, faults=die_there)
    for n in range(ACKNOWLEDGED + 1):
        [head] = await store.events.heads([A])
        await append(store, onto(head, A, b"%d" % n), blobs=[large(n)])
        print(n, flush=True)


class Disk(apsw.VFS):
    """The system's files, but for what `trouble` does to the write-ahead log."""

    trouble = ""

    def __init__(self) -> None:
        super().__init__("failing", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return DiskFile(name, flags)


class DiskFile(apsw.VFSFile):
    """One file of a `Disk`."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self.is_log = bool(flags[0] & apsw.SQLITE_OPEN_WAL)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self.is_log and Disk.trouble == "no_space":
            raise apsw.FullError("no space is left")
        if self.is_log and Disk.trouble == "failing_write":
            raise apsw.IOError("the disk does not write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self.is_log and Disk.trouble == "failing_sync":
            raise apsw.IOError("the disk does not sync")
        super().xSync(flags)


async def failing_disk(path: Path, trouble: str) -> None:
    """Append while the disk fails, and once more when it is well again; say what came of each."""
    disk = Disk()
    store = await open_sqlite(path)
    for n in range(ACKNOWLEDGED):
        await grow(store, A, b"%d" % n)
    Disk.trouble = trouble
    print(await outcome_of(store))
    Disk.trouble = ""
    print(await outcome_of(store))
    await store.close()
    disk.unregister()


async def outcome_of(store: SqliteStore) -> str:
    [head] = await store.events.heads([A])
    [outcome] = await store.events.append([Append([onto(head, A, b"%d" % head.seq)])])
    return outcome.code if isinstance(outcome, InterlockError) else "appended"


async def limited(path: Path) -> None:
    """Append until no file may grow any more; say what came of the last append."""
    store = await open_sqlite(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    while (outcome := await outcome_of(store)) == "appended":
        print(outcome)
    print(outcome, flush=True)


if __name__ == "__main__":
    roles: dict[str, Callable[..., Coroutine[object, object, None]]] = {
        "killed": killed,
        "failing_disk": failing_disk,
        "limited": limited,
    }
    asyncio.run(roles[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:]))
