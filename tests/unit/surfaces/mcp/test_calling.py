"""Calls of tools: progress while they run, what ends the reports, and what a cancelled call leaves behind."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.part import CallContext, Command, Effect
from interlock.base.principal import local_principal
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.cli.presentation import Presentation, Progress, Step
from interlock.surfaces.client import Client
from interlock.surfaces.errors import COMMAND_UNKNOWN, PROGRAM_FAULT
from interlock.surfaces.mcp import calling
from interlock.surfaces.mcp.calling import called

STEPS = [Step("pack", "done"), Step("ship", "waiting", "for a person"), Step("tell", "skipped")]


class Given(Struct, frozen=True, forbid_unknown_fields=True):
    """What is driven."""

    run: str = "r1"


class Told(Struct, frozen=True):
    """How it stands."""

    words: str


Handler = Callable[[CallContext, Any], Awaitable[Told]]


def client(drive: Handler, status: Handler) -> tuple[Client, Command]:
    def command(verb: str, handler: Handler, effect: Effect) -> Command:
        return Command("ship", verb, Given, Told, handler, "Do.", f"interlock ship {verb}", "p", effect)

    driving = command("drive", drive, Effect.STARTS)
    catalogue = Catalogue([driving, command("status", status, Effect.READS)])
    return Client(catalogue, local_principal("ada"), None), driving  # type: ignore[arg-type]


async def standing(_ctx: CallContext, _given: Given) -> Told:
    return Told("under way")


@pytest.fixture(autouse=True)
def _watched(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress("run", "ship.status", "run", lambda _told: STEPS, str)
    monkeypatch.setattr(calling, "presentation_of", lambda _noun: Presentation(progress={"drive": progress}))
    monkeypatch.setattr(calling, "POLL_SECONDS", 0.001)


def driven(drive: Handler, status: Handler = standing) -> tuple[Struct, list[tuple[int, int, str]]]:
    """The output of the call, and what was reported meanwhile."""
    reports: list[tuple[int, int, str]] = []

    async def report(*said: Any) -> None:
        reports.append(said)

    served, command = client(drive, status)
    return asyncio.run(called(served, command, {}, report)), reports


async def some_time(ctx: CallContext, given: Given) -> Told:
    ctx.begun(given.run)
    for _ in range(50):
        await asyncio.sleep(0.001)
    return Told("done")


def test_progress_is_reported_once_for_each_change() -> None:
    assert driven(some_time) == (Told("done"), [(2, 3, "r1: ship waiting (for a person)")])


def test_a_call_that_nobody_watches_asks_for_nothing() -> None:
    async def unasked(_ctx: CallContext, _given: Given) -> Told:
        raise AssertionError("nobody wants to know")

    served, command = client(some_time, unasked)
    assert asyncio.run(called(served, command, {}, None)) == Told("done")


def test_what_is_over_or_has_not_begun_reports_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "STEPS", [Step("pack", "done")])
    assert driven(some_time)[1] == [(1, 1, "r1: done")]

    async def silent(_ctx: CallContext, _given: Given) -> Told:
        await asyncio.sleep(0.02)
        return Told("done")

    assert driven(silent) == (Told("done"), [])


@pytest.mark.parametrize("code", ["run_not_found", "program_fault"])
def test_a_query_that_fails_never_fails_the_call(code: str) -> None:
    from interlock.engine.errors import RUN_NOT_FOUND

    async def failing(_ctx: CallContext, _given: Given) -> Told:
        raise {"run_not_found": RUN_NOT_FOUND, "program_fault": PROGRAM_FAULT}[code].error("no")

    assert driven(some_time, failing) == (Told("done"), [])


def test_an_error_of_the_call_is_that_of_the_tool() -> None:
    async def refusing(_ctx: CallContext, _given: Given) -> Told:
        raise COMMAND_UNKNOWN.error("no")

    with pytest.raises(InterlockError) as refused:
        driven(refusing)
    assert refused.value.code == "command_unknown"


def test_code_that_ends_the_process_ends_the_call_alone() -> None:
    async def ending(_ctx: CallContext, _given: Given) -> Told:
        sys.exit(3)

    served, command = client(ending, standing)
    with pytest.raises(InterlockError) as refused:
        asyncio.run(called(served, command, {}, None))
    assert refused.value.code == "program_exited"


def test_a_cancelled_call_has_let_go_before_anybody_is_answered() -> None:
    left: list[str] = []

    async def holding(ctx: CallContext, given: Given) -> Told:
        ctx.begun(given.run)
        try:
            await asyncio.sleep(60)
        finally:
            left.append("let go")
        return Told("done")

    async def cancelled() -> None:
        served, command = client(holding, standing)

        async def report(*_said: Any) -> None:
            pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(called(served, command, {}, report), 0.05)

    asyncio.run(cancelled())
    assert left == ["let go"]
