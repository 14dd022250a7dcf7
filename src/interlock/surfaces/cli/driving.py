"""Calls a verb, and keeps the person who waits for it informed about what it drives.

What it does: chooses the name of what is driven where the line gave none and says it once the call is accepted and
before it acts, has progress drawn on a terminal, says after an interruption what is kept, and names the command that
comes next. What it does not do: it knows no noun; all of that stands in the noun's presentation.

Rule: everything goes to standard error, and with `--json` nothing is said while the call runs.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Mapping

from msgspec import Struct

from interlock.base.errors import Category, InterlockError, NotFound
from interlock.journal.store_name import shown_store, store_name
from interlock.surfaces.caller import Caller
from interlock.surfaces.cli.build import Invocation
from interlock.surfaces.cli.calling import exited
from interlock.surfaces.cli.following import Following
from interlock.surfaces.cli.presentation import Progress, presentation_of
from interlock.surfaces.cli.report import Interrupted
from interlock.surfaces.cli.text import safe
from interlock.surfaces.cli.variables import AS_VARIABLE, PROFILE_VARIABLE, SERVER_VARIABLE, STORE_VARIABLE, is_on_line


async def driven(client: Caller, invocation: Invocation, given: Mapping[str, object]) -> Struct:
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
    except InterlockError as fault:
        # A server that is away, or a way to it that is broken, stops nothing that it has begun.
        if told and isinstance(client, Following) and fault.category is Category.UNAVAILABLE and not invocation.json:
            _say(f"the {command.noun} goes on without you: {_look(invocation, progress, str(key))}")
        raise


def say_next(invocation: Invocation, output: Struct, *, far: bool = False) -> None:
    """Name the command that a person needs after this output, if there is one; `far` if a server has answered."""
    command, presentation = invocation.command, presentation_of(invocation.command.noun)
    follow = presentation.follow.get(command.verb)
    if far:
        follow = presentation.follow_afar.get(command.verb, follow)
    if follow is not None and (line := follow(output, invocation.given)):
        _say(f"next: {line}{_place(invocation)}")


async def _kept(client: Caller, invocation: Invocation, progress: Progress, key: str) -> str:
    """What an interruption leaves: asked, because it may have come before anything was durable."""
    noun, place = invocation.command.noun, _place(invocation)
    far = isinstance(client, Following)
    line = _look(invocation, progress, key) if far else f"{progress.goes_on(key)}{place}"
    try:
        await client.call(progress.query, {progress.asks: key})
    except NotFound:
        return f"the {noun} may yet begin: {line}" if far else f"no {noun} was begun"
    except InterlockError:
        return f"the {noun} may {'go on' if far else 'be kept'}: {line}"
    return f"the {noun} {'goes on without you' if far else 'is kept'}: {line}"


def _look(invocation: Invocation, progress: Progress, key: str) -> str:
    """The line that shows how it stands."""
    return f"interlock {progress.query.replace('.', ' ')} {key}{_place(invocation)}"


def _place(invocation: Invocation) -> str:
    """The options without which another line would mean another place, or would be somebody else's."""
    acting = f" --as {shlex.quote(str(invocation.acting_as))}" if is_on_line(invocation.acting_as, AS_VARIABLE) else ""
    return _where(invocation) + acting


def _where(invocation: Invocation) -> str:
    if is_on_line(invocation.server, SERVER_VARIABLE):
        return f" --server {shlex.quote(str(invocation.server))}"
    if is_on_line(invocation.profile, PROFILE_VARIABLE):
        return f" --profile {shlex.quote(str(invocation.profile))}"
    if is_on_line(invocation.store, STORE_VARIABLE):
        return f" --store {shlex.quote(shown_store(store_name(str(invocation.store))))}"
    return ""


def _say(line: str) -> None:
    sys.stderr.write(f"{safe(line)}\n")
    sys.stderr.flush()
