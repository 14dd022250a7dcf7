"""What a torture left behind, read without the product: rows of SQLite or PostgreSQL, and the logs of the outside.

What it does: reads a whole store with the database's own driver, and the logs line by line, into plain records. What
it does not do: it judges nothing (`prove`).

Rule: nothing here or in `prove` and its neighbours `story`, `units` knows a line of the product: the format of the
journal is told once more, from the page that fixes it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PLACES = 2**40
"""A place is the number of a partition times this, plus the position in it."""


@dataclass(frozen=True)
class Entry:
    """One stored event, exactly as it lies there."""

    stream: str
    seq: int
    partition: str
    position: int
    digest: str
    envelope: bytes
    data: bytes | None
    salt: bytes

    def altered(self, **changes: Any) -> Entry:
        """The same with other members."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Activation:
    """Who has a stream, or when it wants somebody."""

    stream: str
    due_ms: int | None
    owner: str | None


@dataclass(frozen=True)
class Timer:
    """A timer that is set."""

    timer_id: str
    stream: str
    due_ms: int


@dataclass
class Evidence:
    """A store and the logs beside it. `entries` are in the order of the feed; `artifacts` are ids with their SHA-256.

    `deaths` says at which time of the monotonic clock a process was killed.
    """

    entries: list[Entry]
    heads: dict[str, tuple[int, str]]
    counters: dict[str, int]
    artifacts: dict[str, str]
    activations: list[Activation]
    timers: list[Timer]
    effects: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    deaths: dict[int, int] = field(default_factory=dict)


def read(store: str, folder: Path, deaths: dict[int, int]) -> Evidence:
    """Everything that a store and its folder hold."""
    found = _postgres(store) if "://" in store else _sqlite(Path(store))
    found.effects, found.units, found.told = (_lines(folder / f"{log}.log") for log in ("effects", "units", "told"))
    found.deaths = dict(deaths)
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def _sqlite(path: Path) -> Evidence:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=20)
    try:
        connection.execute("BEGIN")
        evidence = _evidence(connection.execute)
        for identity, content in connection.execute("SELECT id, content FROM artifact"):
            evidence.artifacts[identity] = _digest(_of_file(path, identity) if content is None else content)
    finally:
        connection.close()
    for file in Path(f"{path}.artifacts").glob("??/*"):
        if not file.name.startswith("."):
            evidence.artifacts.setdefault(file.name, _digest(file.read_bytes()))
    return evidence


def _of_file(path: Path, identity: str) -> bytes:
    file = Path(f"{path}.artifacts") / identity[:2] / identity
    return file.read_bytes() if file.exists() else b""


def _postgres(url: str) -> Evidence:
    import psycopg

    parts = urlsplit(url)
    [schema] = parse_qs(parts.query)["schema"]
    with psycopg.connect(parts._replace(query="").geturl(), options=f"-c search_path={schema}") as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        evidence = _evidence(connection.execute)
        for number, position in connection.execute("SELECT id, position FROM partition"):
            evidence.counters[number] = position
        parts_of: dict[bytes, bytes] = {}
        for identity, content in connection.execute("SELECT id, content FROM artifact_part ORDER BY id, no"):
            parts_of[identity] = parts_of.get(identity, b"") + content
        for identity, content in connection.execute("SELECT id, content FROM artifact"):
            held = parts_of.get(identity, b"") if content is None else content
            evidence.artifacts[bytes(identity).hex()] = _digest(held)
    return evidence


def _evidence(execute: Any) -> Evidence:
    """What both databases keep in tables of the same names."""
    partitions: dict[int, str] = dict(execute("SELECT no, id FROM partition").fetchall())
    streams: dict[int, str] = {}
    heads: dict[str, tuple[int, str]] = {}
    for number, name, seq, digest in execute("SELECT no, id, seq, digest FROM stream").fetchall():
        streams[number] = name
        heads[name] = (seq, bytes(digest).hex())
    entries = [
        Entry(
            streams.get(stream, "?"),
            seq,
            partitions.get(place // PLACES, "?"),
            place % PLACES,
            bytes(digest).hex(),
            bytes(envelope),
            None if data is None else bytes(data),
            bytes(salt),
        )
        for place, stream, seq, digest, envelope, data, salt in execute(
            "SELECT place, stream, seq, digest, envelope, data, salt FROM event ORDER BY place"
        ).fetchall()
    ]
    activations = [Activation(*row) for row in execute("SELECT stream, due_ms, owner FROM activation").fetchall()]
    timers = [
        Timer(name if isinstance(name, str) else bytes(name).decode(), stream, due_ms)
        for name, stream, due_ms in execute("SELECT id, stream, due_ms FROM timer").fetchall()
    ]
    counters = {name: sum(each.partition == name for each in entries) for name in partitions.values()}
    return Evidence(entries, heads, counters, {}, activations, timers)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
