"""Fan-out over files: four states at once take the digests of a folder's files, and one joins what they found.

    RUN=e5000000-0000-4000-8000-000000000005
    mkdir -p papers
    for n in 1 2 3 4 5 6 7 8 9; do echo "paper $n" > papers/$n.txt; done
    interlock run start examples/fan_out_over_files.py:plan --input '{"folder": "papers"}' --run-id $RUN --concurrency 4
    interlock run graph $RUN

Each lane starts from what its predecessors wrote and from nothing else, so the result is that of one lane after the
other. If it is killed, `interlock run resume` goes on where it was: lanes that had ended do not run again. From Python:
`app.runs.start(plan, …, config=RunConfig(execution_mode=FanOutJoin.of(4)))`.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from interlock import Context, Plan, Recorder

plan = Plan("digests", version="1")
LANES = 4


@plan.state
async def listed(folder: str) -> list[str]:
    """Name the files once: who comes later counts for another run."""
    return sorted(str(path) for path in await asyncio.to_thread(lambda: list(Path(folder).rglob("*"))))


def lane(number: int) -> Callable[..., Awaitable[dict[str, str]]]:
    """A state that takes every fourth file."""

    async def digests(listed: list[str]) -> dict[str, str]:
        return await asyncio.to_thread(digests_of, [Path(name) for name in listed[number::LANES]])

    return digests


def digests_of(files: list[Path]) -> dict[str, str]:
    """The SHA-256 of each file."""
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


for place in range(LANES):
    plan.state(name=f"lane_{place}")(lane(place))


@plan.state(after=[f"lane_{place}" for place in range(LANES)])
async def joined(ctx: Context, rec: Recorder) -> dict[str, object]:
    """Put the lanes together, as one artifact with its digest."""
    found: dict[str, str] = {}
    for number in range(LANES):
        found |= await ctx.require(f"lane_{number}", dict[str, str])
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(found.items())).encode()
    return {"files": len(found), "artifact": await rec.artifact("Output", lines, {"name": "SHA256SUMS"})}
