"""When nothing more comes of a run by itself, as a driver in the foreground sees it."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from interlock.engine.reports.details import ChildReport, WaitReport
from interlock.engine.reports.records import RunReport, Waiting
from interlock.engine.reports.settled import GENERATIONS_MAX, SAT_OUT_MS_MAX, is_settled
from tests.surfaces.toy import report

NOW_MS = 1_000_000


def run(kind: str | None = None, until_ms: int | None = None, phase: str = "running", child: str = "") -> RunReport:
    waits = [WaitReport("s", "child:one", "child", "", 0, None, None, None)] if child else []
    return replace(
        report("r", "p", 1),
        phase=phase,
        waiting=None if kind is None else Waiting(kind, "s", 0, until_ms),
        waits=waits,
        children=[ChildReport(child, "s", "one", "running")] if child else [],
    )


def settled(found: RunReport, **others: RunReport) -> bool:
    async def ask(run_id: str) -> RunReport:
        return others[run_id]

    return asyncio.run(is_settled(found, ask, NOW_MS))


@pytest.mark.parametrize("phase", ["completed", "failed", "cancelled"])
def test_what_has_ended_is_settled(phase: str) -> None:
    assert settled(run(phase=phase))


@pytest.mark.parametrize("kind", [None, "queued"])
def test_what_is_driven_or_will_be_is_not(kind: str | None) -> None:
    assert not settled(run(kind))


@pytest.mark.parametrize("kind", ["suspended", "parked", "paused", "backoff"])
def test_what_waits_for_somebody_or_for_a_later_time_is_settled(kind: str) -> None:
    assert settled(run(kind))
    assert settled(run(kind, NOW_MS + SAT_OUT_MS_MAX + 1))
    assert settled(run(kind, NOW_MS)) == (kind == "parked")


def test_what_waits_for_a_child_is_settled_when_the_child_is() -> None:
    parent = run("suspended", child="c")

    assert not settled(parent, c=run())
    assert settled(parent, c=run("suspended"))
    assert not settled(parent, c=run("suspended", child="d"), d=run("queued"))


def test_generations_are_bounded() -> None:
    asked: list[str] = []

    async def ask(run_id: str) -> RunReport:
        asked.append(run_id)
        return run("suspended", child="c")

    assert asyncio.run(is_settled(run("suspended", child="c"), ask, NOW_MS))
    assert len(asked) == GENERATIONS_MAX
