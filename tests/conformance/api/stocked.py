"""A store with something of everything, and the server on it: what the fuzzing of the API meets.

What it does: makes the data that answers are made of, and starts `interlock serve`. What it does not do: it asks the
server nothing.

Rules: names are those of `fuzz.toml`; of the tokens that are made, the fuzzing hears only of the one that it does not
use.
"""

from __future__ import annotations

import json
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlock.app import App
from interlock.base.principal import local_principal
from tests.surfaces.process import PRODUCT, SECONDS_MAX
from tests.surfaces.talking import prepare

ADA = local_principal("ada")
HOUR_MS = 3_600_000
RUNS = {
    "01890a5d-ac96-774b-bcce-b302099a8051": "plans.py:ask_only",
    "01890a5d-ac96-774b-bcce-b302099a8052": "plans.py:ask_only",
    "01890a5d-ac96-774b-bcce-b302099a8053": "plans.py:ask_only",
    "01890a5d-ac96-774b-bcce-b302099a8054": "plans.py:flaky",
    "01890a5d-ac96-774b-bcce-b302099a8055": "plans.py:nap",
    "01890a5d-ac96-774b-bcce-b302099a8056": "broken.py:broken",
}
"""Runs that wait, wait to try again, have completed and have failed."""

ROLES = ("viewer", "operator", "admin")

SETTINGS = """
[plans.offered]
ask = "plans.py:ask_only"
nap = "plans.py:nap"
"""
BROKEN = """
from interlock import Plan, StateFailure

broken = Plan("broken")


@broken.state
async def fail(folder: str) -> str:
    raise StateFailure("net_down", "no answer")
"""
SPEC: dict[str, Any] = {
    "scenario_id": "wheel",
    "namespace_id": 1,
    "spec_version": "1",
    "stages": [
        {
            "stage_id": "window",
            "entry_packets": [],
            "gates": [{"gate_id": "opened", "requirement": {"Condition": "after"}}],
            "advance_to": {"kind": "terminal"},
            "on_timeout": "fail",
        }
    ],
    "conditions": [
        {
            "condition_id": "after",
            "query": {"provider_id": "time", "check_id": "after", "params": {"timestamp": "2100-01-01T00:00:00Z"}},
            "comparator": "equals",
            "expected": True,
            "policy_tags": [],
        }
    ],
    "policies": [],
    "schemas": [],
}
SHAPE = {
    "tenant_id": 1,
    "namespace_id": 1,
    "schema_id": "report",
    "version": "1",
    "schema": {"type": "object"},
    "created_at": {"kind": "logical", "value": 1},
    "description": "A report.",
}


@dataclass(frozen=True)
class Stocked:
    """A folder with a store: the tokens that ask, by their role, and the id of one that may be revoked."""

    folder: Path
    tokens: dict[str, str]
    spare: str


async def stock(folder: Path) -> Stocked:
    """Fill a store in `folder`."""
    prepare(folder)
    (folder / "broken.py").write_text(BROKEN, encoding="utf-8")
    (folder / "interlock.toml").write_text(SETTINGS, encoding="utf-8")
    async with App.open(folder / "store.db") as app:
        client = app.client(ADA)

        async def call(command: str, **given: Any) -> Any:
            return await client.call(command, given)

        await _runs(folder, call)
        await call("scenario.define", spec=SPEC)
        await call("scenario.start", scenario="wheel", run="release-1")
        await call("scenario.trigger", scenario="wheel", run="release-1", id="build-7")
        await call("shape.register", record=SHAPE)
        for name in ("build", "test"):
            await app.leases.acquire(
                "deploy/production", holder=name, request_id=name, lease_ms=HOUR_MS, capacity=1, principal=ADA
            )
        await call("subscription.add", name="audit", sink="log")
        await call("filter.save", name="stuck", state="parked")
        asking = {role: (await call("token.new", name=role, role=[role])).token for role in ROLES}
        spare = await call("token.new", name="spare", role=["admin"])
    return Stocked(folder, asking, spare.id)


async def _runs(folder: Path, call: Any) -> None:
    for run_id, plan in RUNS.items():
        await call("run.start", plan=f"{folder}/{plan}", run_id=run_id, input={"folder": str(folder)})
    await call("run.batch", action="retry", batch_id="again", failed_with="net_down", reason="again")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of `interlock serve` on the store of a folder; what it wrote to its log must be nothing."""
    line = [*PRODUCT, "serve", "--port", "0", "--store", "store.db", "--json"]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, stderr=log, bufsize=0)
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], SECONDS_MAX)[0], "the server is silent"
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=SECONDS_MAX)
