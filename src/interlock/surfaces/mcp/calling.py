"""Runs the command of a tool, and reports how far it is while it runs.

What it does: calls the client, watches what a command drives by the same query as the command line, and lets go of the
call where whoever asked no longer wants it. What it does not do: it knows no library of the protocol, and shows no
error.

Rules: nothing is asked for progress that nobody wants; a query that fails ends the reports and not the call; the code
of a plan never ends the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from interlock.base.errors import InterlockError, NotFound
from interlock.base.part import Command
from interlock.surfaces.cli.calling import exited
from interlock.surfaces.cli.presentation import Progress, Step, presentation_of
from interlock.surfaces.client import Client
from interlock.surfaces.mcp.tools import without_command_id

POLL_SECONDS: Final = 0.25
_OVER: Final = {"done", "skipped"}
Report = Callable[[int, int, str], Awaitable[None]]
"""Told how many steps are over, of how many, and what is under way."""


async def called(client: Client, command: Command, arguments: Mapping[str, Any], report: Report | None) -> Struct:
    """The output of a tool's command. Raises: what the command raises, and `program_exited`."""
    given, command_id = without_command_id(command, arguments)
    progress = presentation_of(command.noun).progress.get(command.verb)
    try:
        if report is None or progress is None:
            return await client.call(command.name, given, command_id=command_id)
        return await _watched(client, command, given, command_id, progress, report)
    except SystemExit as fault:
        raise exited(fault) from None


async def _watched(
    client: Client, command: Command, given: Mapping[str, Any], command_id: Any, progress: Progress, report: Report
) -> Struct:
    begun: list[str] = []
    call = asyncio.ensure_future(client.call(command.name, given, command_id=command_id, begun=begun.append))
    try:
        told: tuple[int, int, str] | None = None
        while not call.done():
            await asyncio.wait({call}, timeout=POLL_SECONDS)
            try:
                found = await _standing(client, progress, begun[0]) if begun else None
            except NotFound:
                continue
            except InterlockError:
                break
            if found is not None and found != told:
                told = found
                await report(*found)
        await asyncio.wait({call})
    except BaseException:
        call.cancel()
        await asyncio.wait({call})  # what it holds is released before anybody is answered
        raise
    return call.result()


async def _standing(client: Client, progress: Progress, key: str) -> tuple[int, int, str]:
    """How far something is: steps that are over, all that are known, and the first that is not over."""
    steps = progress.steps(await client.call(progress.query, {progress.asks: key}))
    over = sum(step.mark in _OVER for step in steps)
    current = next((step for step in steps if step.mark not in _OVER), None)
    return over, len(steps), f"{key}: {'done' if current is None else _words(current)}"


def _words(step: Step) -> str:
    return f"{step.name} {step.mark}" + (f" ({step.note})" if step.note else "")
