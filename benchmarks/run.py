"""Runs every workload of ours in turn and prints one JSON object; `python benchmarks/run.py W1 W9` runs some."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

WORKLOADS = {
    "raw": "raw_limits",
    "W1": "w1_sequence",
    "W2": "w2_crowd",
    "W3": "w3_cold",
    "W5": "w5_long",
    "W9": "w9_canonical",
    "budget": "budget",
}
HERE = Path(__file__).parent


def main() -> None:
    wanted = sys.argv[1:] or list(WORKLOADS)
    figures: dict[str, object] = {
        "machine": {"python": platform.python_version(), "cores": os.cpu_count(), "platform": platform.machine()}
    }
    for name in wanted:
        print(f"{name} …", file=sys.stderr, flush=True)
        # A process each: peak memory and warm caches of one workload must not touch the next.
        code = f"import json, {WORKLOADS[name]} as w; print(json.dumps(w.run()))"
        done = subprocess.run([sys.executable, "-c", code], cwd=HERE, check=True, capture_output=True, text=True)
        figures[name] = json.loads(done.stdout)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
