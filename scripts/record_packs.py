"""Record packs that every later version must still verify.

Run it as `python -m scripts.record_packs` when a version is released, or when `VIEWS_VERSION` rises. It writes one
signed pack for each run of `tests/histories/packs/lives.py` into the folder of the version.

Rule: a file that is there is never written again; what was recorded once is the proof.
"""

from __future__ import annotations

import sys

from interlock import __version__
from tests.histories.packs.lives import FOLDER, LIVES, record


def main() -> int:
    """Record what is not recorded yet, and return the exit code."""
    folder = FOLDER / __version__
    folder.mkdir(exist_ok=True)
    for name in LIVES:
        path = folder / f"{name}.pack"
        if not path.exists():
            record(name, path)
            print(f"{path.relative_to(FOLDER)}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
