"""What this machine can do at most: SQLite alone, with nothing of ours between.

What it does: commits rows of the size of one append (two events of about 300 bytes), one a commit and a
thousand a commit, durably (WAL, `synchronous=FULL`), and prints JSON. What it does not do: it judges nothing;
other benchmarks put their figures beside these.

Rule: the file lies in a new folder below the current temporary folder, on the disk that the stores would use.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import apsw

ROW_BYTES = 700
SINGLE_COMMITS = 2000
BATCHES = 30
BATCH_ROWS = 1000
ROUNDS = 3


def run() -> dict[str, float]:
    """Rows a second, the median of some rounds: `single_commits_per_s` and `batched_rows_per_s`."""
    single, batched = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="interlock-raw-") as folder:
            connection = _database(Path(folder) / "raw.db")
            single.append(_single_commits(connection))
            batched.append(_batches(connection))
            connection.close()
    return {
        "single_commits_per_s": round(statistics.median(single)),
        "batched_rows_per_s": round(statistics.median(batched)),
    }


def _database(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.execute("CREATE TABLE row (no INTEGER PRIMARY KEY, content BLOB NOT NULL)")
    return connection


def _single_commits(connection: apsw.Connection) -> float:
    row = (os.urandom(ROW_BYTES),)
    begin = time.perf_counter()
    for _ in range(SINGLE_COMMITS):
        connection.execute("INSERT INTO row (content) VALUES (?)", row)
    return SINGLE_COMMITS / (time.perf_counter() - begin)


def _batches(connection: apsw.Connection) -> float:
    rows = [(os.urandom(ROW_BYTES),) for _ in range(BATCH_ROWS)]
    begin = time.perf_counter()
    for _ in range(BATCHES):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO row (content) VALUES (?)", rows)
        connection.execute("COMMIT")
    return BATCHES * BATCH_ROWS / (time.perf_counter() - begin)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
