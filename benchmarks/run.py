"""Runs every workload of ours in turn and prints one JSON object; `python benchmarks/run.py W1 W9` runs some.

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
    "W3": "w3_cold",
    "W4": "w4_kill",
    "W5": "w5_long",
    "W9": "w9_canonical",
    "budget": "budget",
}
PACKAGES = ("interlock", "apsw", "msgspec", "orjson", "rfc8785")
HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure, and print JSON.")
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"some of {', '.join(WORKLOADS)}; default: all"
    )
    parser.add_argument("--write", action="store_true", help="store the results and print a table")
    given = parser.parse_args()
    unknown = [name for name in given.workloads if name not in WORKLOADS]
    if unknown or (given.write and given.workloads):
        parser.error(f"no such workload: {', '.join(unknown)}" if unknown else "--write takes all workloads")
    figures = measured(given.workloads or list(WORKLOADS))
    if not given.write:
        print(json.dumps(figures, indent=2))
        return
    (HERE / "results.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    subprocess.run([sys.executable, HERE.parent / "scripts" / "results.py"], check=True)


def measured(workloads: list[str]) -> dict[str, object]:
    """When, where and with what, and the figures of each workload."""
    figures = conditions()
    for name in workloads:
        print(f"{name} …", file=sys.stderr, flush=True)
        # A process each: peak memory and warm caches of one workload must not touch the next.
        code = f"import json, {WORKLOADS[name]} as w; print(json.dumps(w.run()))"
        done = subprocess.run([sys.executable, "-c", code], cwd=HERE, check=True, stdout=subprocess.PIPE, text=True)
        figures[name] = json.loads(done.stdout)
    return figures


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
