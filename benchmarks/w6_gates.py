"""W6: what a call of a scenario costs, in process: starts and triggers of eight callers, a thousand on one run.

Prints JSON. The scenario is one stage with one gate over `time.after`, as small as one can be. It judges nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

from workloads import fresh_app, median

from interlock import App
from interlock.base.principal import local_principal
from interlock.gates.records import RunConfig, TriggerEvent
from interlock.gates.scenario.normalise import normalise
from interlock.gates.values import Logical

ADA = local_principal("bench")
CALLERS, RUNS = 8, 2_000
TRIGGERS = 1_000
CONDITION = {
    "condition_id": "after",
    "query": {"provider_id": "time", "check_id": "after", "params": {"timestamp": 0}},
    "comparator": "equals",
    "expected": True,
    "policy_tags": [],
}


def document(name: str, requirement: object) -> bytes:
    stage = {
        "stage_id": "stage-1",
        "entry_packets": [],
        "gates": [{"gate_id": "gate-time", "requirement": requirement}],
        "advance_to": {"kind": "terminal"},
        "timeout": None,
        "on_timeout": "fail",
    }
    spec = {"scenario_id": name, "namespace_id": 1, "spec_version": "1", "stages": [stage]}
    return json.dumps({**spec, "conditions": [CONDITION], "policies": [], "schemas": []}).encode()


async def started(app: App, scenario: str, run: str, at: int) -> None:
    config = RunConfig(1, 1, run, scenario, [], [])
    await app.scenarios.start(scenario, config, Logical(at), issue_entry_packets=False, principal=ADA)


async def triggered(app: App, scenario: str, run: str, number: int) -> str:
    event = TriggerEvent(f"t{number}", 1, 1, run, "external_event", Logical(number + 1), "bench")
    return (await app.scenarios.trigger(scenario, event, principal=ADA)).status


async def crowd(app: App) -> float:
    """Pairs of start and trigger a second."""

    async def caller(number: int) -> None:
        for run in range(number, RUNS, CALLERS):
            await started(app, "opens", f"r{run}", run)
            if await triggered(app, "opens", f"r{run}", run) != "completed":
                raise RuntimeError("the gate did not open")

    began = time.perf_counter()
    await asyncio.gather(*map(caller, range(CALLERS)))
    return RUNS / (time.perf_counter() - began)


async def series(app: App) -> list[float]:
    """Seconds of each of a thousand triggers on one run, which stays closed."""
    await started(app, "stays", "one", 0)
    seconds = []
    for number in range(TRIGGERS):
        began = time.perf_counter()
        if await triggered(app, "stays", "one", number) != "active":
            raise RuntimeError("the gate opened")
        seconds.append(time.perf_counter() - began)
    return seconds


async def measured(workload: Callable[[App], Awaitable[object]]) -> object:
    async with fresh_app() as app:
        for name, requirement in (("opens", {"Condition": "after"}), ("stays", {"Not": {"Condition": "after"}})):
            await app.definitions.define(normalise(document(name, requirement)).spec, principal=ADA)
        return await workload(app)


def run() -> dict[str, float]:
    pairs = asyncio.run(measured(crowd))
    seconds = asyncio.run(measured(series))
    assert isinstance(pairs, float)  # noqa: S101 - what it returns
    assert isinstance(seconds, list)  # noqa: S101 - what it returns
    first, last = median(seconds[:100]), median(seconds[-100:])
    return {
        "pairs_per_second": round(pairs, 1),
        "trigger_ms_first_hundred": round(first * 1000, 3),
        "trigger_ms_last_hundred": round(last * 1000, 3),
        "last_to_first": round(last / first, 3),
    }


if __name__ == "__main__":
    print(json.dumps(run()))
