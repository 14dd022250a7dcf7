"""Calls a verb, and keeps the person who waits for it informed about what it drives.

What it does: chooses the name of what is driven where the line gave none and says it once the call is accepted and
before it acts, has progress drawn on a terminal, says after an interruption what is kept, and names the command that
comes next. What it does not do: it knows no noun; all of that stands in the noun's presentation.

Rule: everything goes to standard error, and with `--json` nothing is said while the call runs.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Mapping

from msgspec import Struct

from interlock.base.errors import InterlockError, NotFound
from interlock.journal.store_name import shown_store, store_name
from interlock.surfaces.cli.build import AS_VARIABLE, Invocation
from interlock.surfaces.cli.calling import exited
from interlock.surfaces.cli.presentation import Progress, presentation_of
from interlock.surfaces.cli.report import Interrupted
from interlock.surfaces.cli.text import safe
from interlock.surfaces.client import Client


async def driven(client: Client, invocation: Invocation, given: Mapping[str, object]) -> Struct:
    """The output of the call. Raises: what the command raises; `Interrupted` where it drives something."""
    command = invocation.command
    progress = presentation_of(command.noun).progress.get(command.verb)
    if progress is None:
        return await client.call(command.name, given, command_id=invocation.command_id)
    key = given.get(progress.key) or (progress.fresh() if progress.fresh else "")
    given = {**given, progress.key: key}
    told = False

    def begun(name: str) -> None:
        nonlocal told
        if progress.fresh and not invocation.json and not told:
            _say(f"{command.noun} {name}")
        told = True

    try:
        if invocation.json or not (sys.stdout.isatty() and sys.stderr.isatty()):
            return await client.call(command.name, given, begun=begun)
        from interlock.surfaces.cli.progress import watched

        # What stands under the id before the call has been accepted may be another run.
        return await watched(client, command, given, progress, begun, lambda: told or progress.fresh is None)
    except asyncio.CancelledError:
        raise Interrupted(await _kept(client, invocation, progress, str(key))) from None
    except SystemExit as fault:
        raise exited(fault, await _kept(client, invocation, progress, str(key))) from None


def say_next(invocation: Invocation, output: Struct) -> None:
    """Name the command that a person needs after this output, if there is one."""
    command = invocation.command
    follow = presentation_of(command.noun).follow.get(command.verb)
    if follow is not None and (line := follow(output, invocation.given)):
        _say(f"next: {line}{_on_store(invocation)}")


async def _kept(client: Client, invocation: Invocation, progress: Progress, key: str) -> str:
    """What an interruption leaves: asked, because it may have come before anything was durable."""
    noun = invocation.command.noun
    try:
        await client.call(progress.query, {progress.asks: key})
    except NotFound:
        return f"no {noun} was begun"
    except InterlockError:
        return f"the {noun} may be kept: {progress.goes_on(key)}{_on_store(invocation)}"
    return f"the {noun} is kept: {progress.goes_on(key)}{_on_store(invocation)}"


def _on_store(invocation: Invocation) -> str:
    """The options without which another line would mean another store, or would be somebody else's."""
    named, acting_as = invocation.store, invocation.acting_as
    options = ""
    if named and named != os.environ.get("INTERLOCK_STORE"):
        options += f" --store {shlex.quote(shown_store(store_name(named)))}"
    if acting_as and acting_as != os.environ.get(AS_VARIABLE):
        options += f" --as {shlex.quote(acting_as)}"
    return options


def _say(line: str) -> None:
    sys.stderr.write(f"{safe(line)}\n")
    sys.stderr.flush()
