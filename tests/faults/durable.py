"""The two durable stores, so that a test about durability says once what must hold on both.

What it does: `Durable` gives names of stores that are not there yet, opens them, makes a `Case` on one, and puts an
older copy of one back. What it does not do: it knows no test; what is about the files of SQLite alone takes no
`Durable`.

Rules: on PostgreSQL nobody on another computer sees that an owner has died, so that a claim is short where a test does
not say how long it is; a sweep that tries every place on SQLite tries some on PostgreSQL, and every place by the
marker `slow`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlock.journal.ports import Store
from interlock.journal.store_name import StoreName, is_url
from interlock.stores.postgres import open_postgres
from interlock.stores.postgres.address import address_of
from interlock.stores.sqlite import open_sqlite
from tests.faults.halting import sql
from tests.faults.killing import Case, Zygote
from tests.postgres import fresh_schema

SQLITE, POSTGRESQL = "sqlite", "postgresql"
EVERY_PLACE = "postgresql, every place"
SHORT_CLAIM: Mapping[str, object] = {"claim_lease_ms": 150, "watch_interval_ms": 20}


@dataclass(frozen=True)
class Durable:
    """One of the durable stores; `url` is that of the server. `sampled` sweeps try some places alone."""

    url: str | None = None
    sampled: bool = False

    @property
    def on_files(self) -> bool:
        """Whether it is SQLite, where the kernel knows which owners live."""
        return self.url is None

    @property
    def points(self) -> list[str]:
        """Where a process can die in an append: before it is written, on its way, once it is committed."""
        return ["append:before", "append:before_commit" if self.on_files else "append:sent", "append:after_commit"]

    def stride(self, whole: int, sampled: int) -> int:
        """From which place of a sweep to go on to which: no multiple of three, or it meets one kind of point alone."""
        return sampled if self.sampled else whole

    def fresh(self, folder: Path, name: str = "store.db") -> StoreName:
        """The name of a store that is not there yet."""
        return folder / name if self.url is None else fresh_schema(self.url)

    def case(
        self,
        zygote: Zygote,
        folder: Path,
        plan: str,
        settings: Mapping[str, Mapping[str, object]] | None = None,
        run_id: str | None = None,
    ) -> Case:
        """A run on a store of its own. Side effect: the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        given = {section: dict(values) for section, values in (settings or {}).items()}
        if self.url is not None:
            given["engine"] = {**SHORT_CLAIM, **given.get("engine", {})}
        case = Case(zygote, folder, plan, settings=given, url=None if self.url is None else named(self.url))
        case.run_id = run_id or case.run_id
        return case


def named(url: str) -> str:
    """The URL of a store that is not there yet, whose sessions the server knows by a name of their own."""
    fresh = fresh_schema(url)
    return f"{fresh}&application_name={address_of(fresh).schema}"


async def open_named(name: StoreName, **options: Any) -> Store:
    """Open a store by its name, with the options that both openings have (`create`, `read_only`, `faults`)."""
    return await open_postgres(str(name), **options) if is_url(name) else await open_sqlite(Path(name), **options)


def keep(name: StoreName, folder: Path) -> Callable[[], None]:
    """Copy a store, a file while it is closed; what is returned puts the copy back, as who restores a backup does."""
    return keep_schema(str(name), folder.name) if is_url(name) else _keep_files(Path(name), folder)


def _files(path: Path) -> list[Path]:
    """The files of a store, without what tells which processes live."""
    return [each for each in path.parent.glob(f"{path.name}*") if each.is_file()]


def _keep_files(path: Path, folder: Path) -> Callable[[], None]:
    folder.mkdir()
    for file in _files(path):
        shutil.copy2(file, folder)

    def restore() -> None:
        for file in _files(path):
            file.unlink()
        for file in _files(folder / path.name):
            shutil.copy2(file, path.parent)

    return restore


def keep_schema(url: str, label: str) -> Callable[[], None]:
    """Copy a store in a database into another schema; what is returned puts the copy back."""
    schema = address_of(url).schema
    copy = f"{schema}_{label}"
    sql(url, f"CREATE SCHEMA {copy}")
    tables = [table for (table,) in sql(url, "SELECT tablename FROM pg_tables WHERE schemaname = ?", schema)]
    sequences = []
    for (name,) in sql(url, "SELECT sequencename FROM pg_sequences WHERE schemaname = ?", schema):
        [(value, called)] = sql(url, f"SELECT last_value, is_called FROM {schema}.{name}")
        sequences.append(f"SELECT setval('{schema}.{name}', {value}, {called})")
    statements = []
    for table in tables:
        sql(url, f"CREATE TABLE {copy}.{table} AS TABLE {schema}.{table}")
        columns = ", ".join(_columns(url, schema, table))
        statements += [
            f"DELETE FROM {schema}.{table}",
            f"INSERT INTO {schema}.{table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {copy}.{table}",
        ]

    def restore() -> None:
        sql(url, "; ".join([*statements, *sequences]))

    return restore


def _columns(url: str, schema: str, table: str) -> list[str]:
    rows = sql(
        url,
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = ? AND table_name = ? AND is_generated = 'NEVER' ORDER BY ordinal_position",
        schema,
        table,
    )
    return [column for (column,) in rows]
