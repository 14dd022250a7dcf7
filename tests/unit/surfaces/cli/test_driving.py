"""What people are told of a call that drives: its name, what an interruption leaves, and what comes next."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Struct

from interlock.base.errors import Category, ErrorCode
from interlock.base.part import Effect
from interlock.base.principal import local_principal
from interlock.engine.reports.records import RunResult
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.cli.build import Invocation
from interlock.surfaces.cli.driving import driven, say_next
from interlock.surfaces.cli.report import Interrupted
from interlock.surfaces.client import Client
from tests.surfaces.toy import Nothing, StartInput, StatusInput, command

ABSENT = ErrorCode("absent", Category.NOT_FOUND, "Look elsewhere.")
BROKEN = ErrorCode("broken", Category.CORRUPT, "Restore a backup.")


async def _plain(_ctx: object, given: Nothing) -> Nothing:
    return given


async def _forever(_ctx: object, _given: StartInput) -> RunResult:
    await asyncio.sleep(1000)
    raise AssertionError


def invocation(verb: Any, *, store: str | None = None) -> Invocation:
    return Invocation(verb, {}, store, None, json=False)


def client(*commands: Any) -> Client:
    return Client(Catalogue(commands), local_principal("ada"), services=SimpleNamespace())


def start_verb() -> Any:
    return command(
        "start", noun="run", input=StartInput, handler=_forever, effect=Effect.STARTS, example="interlock run start"
    )


def interrupted(answer: Struct | None, fault: ErrorCode | None = None, store: str | None = None) -> str:
    """What is said where the call is cancelled and the query then gives `answer` or `fault`."""

    async def status(_ctx: object, _given: StatusInput) -> Struct | None:
        if fault is not None:
            raise fault.error("no")
        return answer

    verb = start_verb()
    asked = command("status", noun="run", input=StatusInput, handler=status, example="interlock run status")

    async def main() -> str:
        call = asyncio.create_task(
            driven(client(verb, asked), invocation(verb, store=store), {"plan": "p", "run_id": "r-1"})
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(Interrupted) as caught:
            await call
        return str(caught.value)

    return asyncio.run(main())


def test_a_verb_that_drives_nothing_is_simply_called(capfd: pytest.CaptureFixture[str]) -> None:
    verb = command("go", handler=_plain, effect=Effect.STARTS)

    assert asyncio.run(driven(client(verb), invocation(verb), {})) == Nothing()
    assert capfd.readouterr().err == ""


def test_an_interruption_names_the_command_that_goes_on() -> None:
    assert interrupted(Nothing()) == "the run is kept: interlock run resume r-1"


def test_the_command_names_the_store_that_the_line_named() -> None:
    assert interrupted(Nothing(), store="my store.db") == (
        "the run is kept: interlock run resume r-1 --store 'my store.db'"
    )


def test_an_interruption_before_the_start_promises_nothing() -> None:
    assert interrupted(None, ABSENT) == "no run was begun"


def test_an_interruption_that_cannot_be_looked_into_says_so() -> None:
    assert interrupted(None, BROKEN) == "the run may be kept: interlock run resume r-1"


@pytest.mark.parametrize(
    ("phase", "detached", "told"),
    [
        ("failed", False, "next: interlock run why r-1\n"),
        ("running", False, "next: interlock run why r-1\n"),
        ("running", True, "next: interlock run resume r-1\n"),
        ("completed", False, "next: interlock run output r-1\n"),
        ("cancelled", False, ""),
    ],
)
def test_who_has_a_run_that_wants_something_is_told_what_comes_next(
    capfd: pytest.CaptureFixture[str], phase: str, detached: bool, told: str
) -> None:
    say_next(invocation(start_verb()), RunResult("r-1", phase, None, None, detached=detached))

    assert capfd.readouterr().err == told
