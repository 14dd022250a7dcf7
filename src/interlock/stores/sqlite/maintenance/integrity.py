"""Whether the file of a store is sound, below what its events mean.

What it does: lets SQLite check its pages, and checks the schema, foreign keys, the density of feeds and
streams, and the files of large artifacts. What it does not do: it repairs nothing, and it verifies no chain,
index or view; that needs only the ports.

Rule: damage is a finding, not an error; only what cannot be looked at at all is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import apsw
from msgspec import Struct

from interlock.base.errors import Corruption, InterlockError
from interlock.journal.errors import STORE_CORRUPT, STORE_NOT_FOUND
from interlock.stores.files import ArtifactFiles
from interlock.stores.sqlite import schema
from interlock.stores.sqlite.connection import FAULTS, READ, connect, files_folder, tidy, translated
from interlock.stores.sqlite.log_check import check_log
from interlock.stores.sqlite.place import check_not_cut, settled
from interlock.stores.sqlite.settings import SqliteSettings
from interlock.stores.sqlite.statements import statements

_SQL = statements("integrity")
_ARTIFACTS = statements("artifacts")


class Finding(Struct, frozen=True):
    """One thing that is not as it must be: `place` names a table, partition, stream or artifact."""

    check: str
    place: str
    message: str


async def check_integrity(path: Path) -> list[Finding]:
    """Look through a whole store; empty if it is sound. Runs on a thread, beside readers and writers.

    Raises: `store_not_found`, `store_foreign`, `store_from_future`, `migration_changed`, `store_busy`, `store_linked`.
    """
    return await asyncio.to_thread(_check, settled(Path(path)))


def _check(path: Path) -> list[Finding]:
    findings: list[Finding] = []
    try:
        with open_existing(path) as connection:
            for finding in _all(path, connection):
                findings.append(finding)  # noqa: PERF402 — what was found before an error must be kept
    except (*FAULTS, Corruption) as fault:
        error = fault if isinstance(fault, Corruption) else translated(fault, path)
        if error.kind is not STORE_CORRUPT:
            raise error from fault
        findings.append(Finding("file", path.name, error.message))
    return findings


@contextmanager
def open_existing(path: Path) -> Iterator[apsw.Connection]:
    """A connection that reads a whole store of this version, and leaves nothing beside it.

    Raises: what `check_integrity` names; `store_corrupt` for a damaged file or log.
    """
    check_not_cut(path)
    if not path.is_file():
        raise STORE_NOT_FOUND.error(f"there is no store at {path}")
    with ExitStack() as opened:
        opened.callback(tidy, path)
        connection = opened.enter_context(closing(connect(path, READ, SqliteSettings())))
        try:
            check_log(path, connection)
            if schema.is_new(connection):
                raise STORE_NOT_FOUND.error(f"{path.name} is empty: it holds no store")
            schema.pending(connection)
        except FAULTS as fault:
            raise translated(fault, path) from fault
        yield connection


def _all(path: Path, connection: apsw.Connection) -> Iterator[Finding]:
    yield from _pages(connection)
    yield from _schema(path, connection)
    for table, row, parent, _ in connection.execute(_SQL["foreign_keys"]):
        yield Finding("foreign_keys", str(table), f"row {row} names nothing in {parent}")
    yield from _density(connection)
    yield from _files(ArtifactFiles(files_folder(path)), connection)


def _schema(path: Path, connection: apsw.Connection) -> Iterator[Finding]:
    for check in (schema.check_schema, schema.store_id):
        try:
            check(connection)
        except Corruption as fault:
            yield Finding("schema", path.name, fault.message)


def _pages(connection: apsw.Connection) -> Iterator[Finding]:
    for (line,) in connection.execute(_SQL["pages"]):
        if line != "ok":
            yield Finding("pages", "database", str(line))


def _density(connection: apsw.Connection) -> Iterator[Finding]:
    for partition, count, first, last in connection.execute(_SQL["feed_holes"]):
        yield Finding("feed", str(partition), f"{count} events stand at positions {first} to {last}")
    for stream, head, count, first, last in connection.execute(_SQL["stream_holes"]):
        yield Finding("stream", str(stream), f"its head is {head}, but {count} events stand at {first} to {last}")
    for (stream,) in connection.execute(_SQL["heads_astray"]):
        yield Finding("stream", str(stream), "its head has another digest than its last event")


def _files(files: ArtifactFiles, connection: apsw.Connection) -> Iterator[Finding]:
    for (identity,) in connection.execute(_ARTIFACTS["artifacts_in_files"]):
        try:
            files.read(str(identity))
        except InterlockError as fault:
            yield Finding("artifact", str(identity), fault.message)
