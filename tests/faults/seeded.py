"""Runs one deterministic plan in this process and prints what must be the same in every other.

It prints one JSON object: every snapshot id and every data digest, by type of event, but for what names the owner.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from msgspec import Struct

from interlock import App, Context, DomainEvent, Io, IoCall, Plan, Recorder, RetryPolicy, StateFailure
from interlock.engine import events as e
from interlock.journal.store_name import StoreName, store_name
from interlock.testing.app import read_run

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
WORDS = ["İstanbul", "straße", "Ωmega", "ﬀ", "z\u0301", "naïve", "𝛑", "\ue000", "a", "B", "_", "10", "9"]
plan = Plan("seeded")


class Found(Struct, frozen=True):
    """What a state returns, as a record."""

    counts: dict[str, int]
    words: frozenset[str]


@plan.state
async def gather(words: list[str]) -> Found:
    return Found({word: len(word) for word in set(words)}, frozenset(words))


@plan.state(side_effects="read_only_io", retry=RetryPolicy.fixed(2))
async def ask(ctx: Context, io: Io, gather: Found) -> Any:
    for word in gather.words:
        ctx.write(f"word {word}", {key: gather.counts[key] for key in gather.counts})
    request = {"kind": "call_function_v1", "function": "echo", "input": dict.fromkeys(gather.words, 1.5)}
    answer = (await io.call(IoCall("python", request, "asked"))).response
    if await io.get_recorded_fact("tried") is None:
        await io.record_value("tried", sorted(gather.words))
        raise StateFailure("not_yet", "it works the second time", retryable=True, details=answer)
    return answer


@plan.state(after=[ask])
async def tell(ctx: Context, rec: Recorder, gather: Found) -> int:
    await rec.emit_many([DomainEvent("told", {word: [1e21, 1e-7, -0.0, word]}) for word in sorted(gather.words)])
    await rec.artifact("Output", "\n".join(sorted(gather.words)).encode(), gather.counts)
    return len(await ctx.dump())


async def main(store: StoreName) -> dict[str, object]:
    async with App.open(store, functions={"echo": lambda given: given}) as app:
        result = await app.runs.start(plan, {"words": WORDS}, run_id=RUN)
        events = await read_run(app, RUN)
    told = [(each.envelope.type, each.envelope.data_digest) for each in events]
    snapshots = [r.context_snapshot_id for each in events if isinstance(r := each.record, e.StateCompleted)]
    return {
        "phase": result.phase,
        "snapshots": snapshots,
        "digests": [each for each in told if each[0] != "engine.owner_claimed"],
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(store_name(sys.argv[1])))))
