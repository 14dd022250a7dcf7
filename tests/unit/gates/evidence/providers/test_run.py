"""Runs of the journal, as evidence: real runs of a real application."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec import UNSET

from interlock import App, Io, Plan
from interlock.base.errors import InterlockError
from interlock.gates.evidence.port import Answered
from interlock.gates.evidence.providers.run import RunProvider
from interlock.journal.journal import Journal
from interlock.testing import loop
from tests.simulation.crashes import RUN_ID
from tests.unit.engine.secret_lives import CANARY, KEY, VARIABLE, lived
from tests.unit.engine.secret_lives import ask as asked
from tests.unit.gates.evidence.asking import cause_of, context, query, value_of

PLAN = Plan("build")
NOBODY = "00000000-0000-4000-8000-000000000000"


@PLAN.state
async def checks(io: Io, failed: int) -> object:
    await io.record_value("scan", {"findings": failed})
    await io.now("begun")
    return {"failed": failed}


def get(check: str, /, tenant: str = "default", params: Any = None, **more: Any) -> tuple[Answered, str, int]:
    """The answer for a run that has ended well, its id, and the time of its last event."""

    async def run() -> tuple[Answered, str, int]:
        async with App.open() as app:
            result = await app.runs.start(PLAN, {"failed": 2})
            assert result.phase == "completed"
            provider = RunProvider(app.runs.read, app.get(Journal).store.artifacts)
            given = {"run_id": result.run_id} | more if params is None else params
            answered = await provider.query(query("run", check, given), context(), tenant=tenant)
            await provider.close()
            return answered, result.run_id, (await app.runs.read.state(result.run_id)).at_ms

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("check", "params", "value"),
    [
        ("status", {}, "completed"),
        ("output", {"step": "checks"}, {"failed": 2}),
        ("fact", {"key": "scan"}, {"findings": 2}),
    ],
)
def test_what_a_run_came_to_is_evidence_as_old_as_its_last_event(
    check: str, params: dict[str, Any], value: Any
) -> None:
    answered, run_id, at_ms = get(check, **params)

    assert value_of(answered) == value
    assert answered.observed_ms == at_ms
    assert answered.result.evidence_ref is not None
    assert answered.result.evidence_ref.uri == f"interlock+run://{run_id}"
    assert answered.result.evidence_anchor is not None
    assert json.loads(answered.result.evidence_anchor.anchor_value)["run_id"] == run_id
    assert [call.namespace for call in answered.calls] == ["journal"]


@pytest.mark.parametrize(("check", "params"), [("output", {"step": "none"}), ("fact", {"key": "none"})])
def test_what_is_not_there_is_no_value(check: str, params: dict[str, Any]) -> None:
    answered, _, at_ms = get(check, **params)

    assert (answered.result.value, answered.result.error, answered.observed_ms) == (None, None, at_ms)


def test_a_fact_that_is_no_json_is_an_error() -> None:
    answered, _, _ = get("fact", key="time:build.checks.main:begun")

    assert cause_of(answered) == "fact_payload_invalid"


def test_a_secret_fact_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY.hex())

    async def only(io: Io) -> None:
        await io.call(asked())

    world = lived(only)

    async def of_the_fact() -> Answered:
        process = world.process()
        provider = RunProvider(process.runs.read, process.store.artifacts)
        asked_for = query("run", "fact", {"run_id": RUN_ID, "key": "leased"})
        return await provider.query(asked_for, context(), tenant="default")

    answered = loop.run(of_the_fact())

    assert cause_of(answered) == "fact_is_secret"
    assert CANARY not in repr(answered)


@pytest.mark.parametrize(
    ("run_id", "code"), [(NOBODY, "run_not_found"), ("../../secret", "id_invalid"), ("", "id_invalid")]
)
def test_a_run_that_is_not_there_is_an_error(run_id: str, code: str) -> None:
    assert cause_of(get("status", params={"run_id": run_id})[0]) == code


def test_a_run_of_another_tenant_is_not_there() -> None:
    assert cause_of(get("status", tenant="other")[0]) == "run_not_found"


def test_params_that_are_none_are_refused() -> None:
    for params in (UNSET, {"run_id": 1}):
        with pytest.raises(InterlockError, match=r"params_(missing|invalid)"):
            get("status", params=params)
