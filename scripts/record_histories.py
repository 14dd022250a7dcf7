"""Record what today's version writes: the histories that every later version must be able to read.

Run it as `python -m scripts.record_histories` when a version is released, or an event type gets a new version. It
writes one file for each run of `tests/histories/plans.py` into the folder of the version.

Rule: a file that is there is never written again; what was recorded once is the proof.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

import msgspec

from interlock import __version__
from interlock.testing.loop import run
from tests.histories.plans import LIVES
from tests.histories.recorded import FOLDER, History, take
from tests.simulation.crashes import World


def main() -> int:
    """Record what is not recorded yet, and return the exit code."""
    folder = FOLDER / __version__
    folder.mkdir(exist_ok=True)
    for name, live in LIVES.items():
        path = folder / f"{name}.json"
        if not path.exists():
            content = msgspec.json.encode(run(_recorded(live)))
            path.write_bytes(msgspec.json.format(content, indent=1) + b"\n")
            print(f"{path.relative_to(FOLDER)}: {path.stat().st_size} bytes")
    return 0


async def _recorded(live: Callable[[], Awaitable[World]]) -> History:
    return await take(await live(), __version__)


if __name__ == "__main__":
    sys.exit(main())
