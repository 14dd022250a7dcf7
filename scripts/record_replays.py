"""Record runs that every later version must replay identically.

Run it as `python -m scripts.record_replays` when a version is released. It writes one file for each run of
`tests/histories/replay/plans.py` into the folder of the version.

Rule: a file that is there is never written again; what was recorded once is the proof.
"""

from __future__ import annotations

import sys

import msgspec

from interlock import __version__
from interlock.testing.loop import run
from tests.histories.replay.plans import LIVES
from tests.histories.replay.recorded import FOLDER, History, take


def main() -> int:
    """Record what is not recorded yet, and return the exit code."""
    folder = FOLDER / __version__
    folder.mkdir(exist_ok=True)
    for name in LIVES:
        path = folder / f"{name}.json"
        if not path.exists():
            content = msgspec.json.encode(run(_recorded(name)))
            path.write_bytes(msgspec.json.format(content, indent=1) + b"\n")
            print(f"{path.relative_to(FOLDER)}: {path.stat().st_size} bytes")
    return 0


async def _recorded(name: str) -> History:
    return await take(await LIVES[name](), name, __version__)


if __name__ == "__main__":
    sys.exit(main())
