"""Answers one parsed command line: embedded, on the store that it means, or by the server that it names.

What it does: reads the values that the line names, opens the application where the verb needs one, or a client of the
server, and calls as the person at this machine, or as the declared principal that the line names. What it does not do:
it shows nothing and chooses no exit code.

Rules: nothing is opened, let alone created, for a call that cannot be accepted, but to say what could be; only a verb
that `creates` makes a store; verbs about the machine itself get no application, and a call that concerns no store gets
an empty one; a line for a server opens no store.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.principal import Principal
from interlock.journal.store_name import MEMORY
from interlock.surfaces.application import Application, Opened, ServerName
from interlock.surfaces.caller import Caller
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.cli.build import Invocation
from interlock.surfaces.cli.driving import driven
from interlock.surfaces.cli.edge import folder_of, looked_for, person, store_path
from interlock.surfaces.cli.following import Following
from interlock.surfaces.cli.hinting import hinted
from interlock.surfaces.cli.narrator import narrator_of
from interlock.surfaces.cli.presentation import presentation_of
from interlock.surfaces.cli.servers import meant_server
from interlock.surfaces.cli.values import read_values
from interlock.surfaces.cli.variables import AS_VARIABLE
from interlock.surfaces.client import Client, checked_input
from interlock.surfaces.errors import USAGE_INVALID
from interlock.surfaces.narration import Narrator

Service = TypeVar("Service")
NO_STORE = Path(MEMORY)
"""The store of a call that concerns none: what is opened leaves nothing behind."""


async def answer(invocation: Invocation, catalogue: Catalogue, application: Application) -> Struct:
    """The output of the invoked command. Raises: what reading, opening and the command raise."""
    server = meant_server(invocation, application, Path.cwd())
    if server is not None:
        return await _by_server(invocation, application, server)
    command = invocation.command
    if command.machine and os.environ.get(AS_VARIABLE):
        raise USAGE_INVALID.error(f"{command.name} is for the user of this machine alone: unset {AS_VARIABLE}")
    given = await _values(invocation, application)
    store = store_path(invocation.store, Path.cwd())
    if command.machine:
        places = {"store": str(store), "config": invocation.config}
        given |= {name: place for name, place in places.items() if name in _names(command.input) and place}
        services = _MachineServices(application, catalogue, narrator_of(as_json=invocation.json))
        # Standard output is for the answer alone: what a user's plan prints goes to standard error.
        with looked_for(store, Path.cwd(), named=bool(invocation.store)), redirect_stdout(sys.stderr):
            return await Client(catalogue, person(), services).call(command.name, given)
    checked = checked_input(command, given)
    if command.reads_store is not None and not command.reads_store(checked):
        store = NO_STORE
    create = command.creates
    folder = folder_of(Path(store)) if create and not invocation.store else nullcontext()
    with looked_for(store, Path.cwd(), named=bool(invocation.store)), folder, redirect_stdout(sys.stderr):
        async with application.open(store=store, config=_config(invocation), create=create) as opened:
            return await driven(opened.client(_caller(opened, invocation)), invocation, given)


def _caller(opened: Opened, invocation: Invocation) -> Principal:
    """Who calls. Raises: `principal_unknown`."""
    if invocation.acting_as is None:
        return person()
    from interlock.access.check import Access

    return opened.get(Access).declared(invocation.acting_as)


async def _by_server(invocation: Invocation, application: Application, server: ServerName) -> Struct:
    """The output of a command that a server runs, or drives while this line looks on."""
    command = invocation.command
    given: Mapping[str, object] = await _values(invocation, application)
    presentation = presentation_of(command.noun)
    if (read := presentation.sent.get(command.verb)) is not None:
        given = read(given)
    checked_input(command, given)
    progress = presentation.progress.get(command.verb)
    async with application.connect(application, server) as client:
        caller = client if progress is None else Following(client, command, progress)
        return await driven(caller, invocation, given)


async def _values(invocation: Invocation, application: Application) -> dict[str, object]:
    """The values of the line. Raises: what reading them raises, with what would fit as far as anybody can tell."""
    try:
        return read_values(invocation.command, invocation.given)
    except InterlockError as fault:
        raise await hinted(fault, invocation, looking(invocation, application)) from None


@asynccontextmanager
async def looking(invocation: Invocation, application: Application) -> AsyncIterator[Caller]:
    """A client of the server, or on the store, that a line means; for questions alone, so that no store is made."""
    server = meant_server(invocation, application, Path.cwd())
    if server is not None:
        async with application.connect(application, server) as client:
            yield client
        return
    store = store_path(invocation.store, Path.cwd())
    async with application.open(store=store, config=_config(invocation), create=False) as opened:
        yield opened.client(_caller(opened, invocation))


def _config(invocation: Invocation) -> Path | None:
    return Path(invocation.config) if invocation.config else None


def _names(record: type[Struct]) -> tuple[str, ...]:
    return record.__struct_encode_fields__


class _MachineServices:
    """What a verb about the machine itself may ask for: how to open the application, its catalogue, and a narrator."""

    def __init__(self, application: Application, catalogue: Catalogue, narrator: Narrator) -> None:
        self._services: tuple[object, ...] = (application, catalogue, narrator)

    def get(self, kind: type[Service]) -> Service:
        for service in self._services:
            if isinstance(service, kind):
                return service
        raise KeyError(kind.__name__)
