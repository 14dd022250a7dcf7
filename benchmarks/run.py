"""Runs every workload of ours in turn and prints one JSON object; `python benchmarks/run.py W1 W9` runs some.

With `--postgres` some are run on PostgreSQL, too, each right after its run on SQLite, so that their ratio stands
whatever the load: on the server whose URL `INTERLOCK_TEST_POSTGRES` holds, or on one that is started for it.

With `--write` it runs all of them, stores the object in `benchmarks/results.json`, writes the table of the page on
performance anew and prints that instead. Rule: what is stored comes from one go on one machine, never from several.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import apsw

WORKLOADS = {
    "raw": "raw_limits",
    "W1": "w1_sequence",
    "W2": "w2_crowd",
    "W2f": "w2f_branches",
    "W2w": "w2w_waits",
    "W2t": "w2t_tenants",
    "W3": "w3_cold",
    "W4": "w4_kill",
    "W5": "w5_long",
    "W6": "w6_gates",
    "W9": "w9_canonical",
    "W11": "w11_http",
    "budget": "budget",
}
PACKAGES = ("interlock", "apsw", "msgspec", "orjson", "psycopg", "rfc8785")
HERE = Path(__file__).resolve().parent
ON_POSTGRES = ("W1", "W2", "W3", "W5")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure, and print JSON.")
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"some of {', '.join(WORKLOADS)}; default: all"
    )
    parser.add_argument("--write", action="store_true", help="store the results and print a table")
    parser.add_argument("--postgres", action="store_true", help="measure on PostgreSQL, too")
    given = parser.parse_args()
    unknown = [name for name in given.workloads if name not in WORKLOADS]
    if unknown or (given.write and given.workloads):
        parser.error(f"no such workload: {', '.join(unknown)}" if unknown else "--write takes all workloads")
    workloads = given.workloads or list(WORKLOADS)
    if given.postgres or given.write:
        with server() as url:
            figures = measured(workloads, url)
    else:
        figures = measured(workloads, None)
    if not given.write:
        print(json.dumps(figures, indent=2))
        return
    (HERE / "results.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    subprocess.run([sys.executable, HERE.parent / "scripts" / "results.py"], check=True)


def measured(workloads: list[str], url: str | None) -> dict[str, object]:
    """When, where and with what, and the figures of each workload; those on PostgreSQL apart."""
    figures = conditions()
    on_postgres: dict[str, object] = {}
    for name in workloads:
        print(f"{name} …", file=sys.stderr, flush=True)
        figures[name] = measured_alone(name, {})
        if url is not None and name in ON_POSTGRES:
            print(f"{name} on PostgreSQL …", file=sys.stderr, flush=True)
            on_postgres[name] = measured_alone(name, {"BENCH_POSTGRES": url})
    return {**figures, "postgres": on_postgres} if on_postgres else figures


def measured_alone(name: str, more: dict[str, str]) -> object:
    """The figures of one workload in a process of its own: memory and warm caches must not touch the next."""
    code = f"import json, {WORKLOADS[name]} as w; print(json.dumps(w.run()))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=HERE, env={**os.environ, **more}, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server with its own settings: `fsync` is on."""
    sys.path.insert(0, str(HERE.parent))
    from tests.postgres import shared

    yield from shared()


def conditions() -> dict[str, object]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "cores": os.cpu_count(),
            "load_before": round(os.getloadavg()[0], 1),
            "platform": f"{platform.system()} {platform.machine()}",
            "processor": processor(),
        },
        "versions": {
            "Python": platform.python_version(),
            "SQLite": apsw.sqlite_lib_version(),
            **{name: version(name) for name in PACKAGES},
        },
    }


def processor() -> str:
    """The processor's name where the system tells it."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


if __name__ == "__main__":
    main()
