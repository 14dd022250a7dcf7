"""Whether a line is for a server, and for which.

What it does: reads that from the line, else from the environment, else from the default profile. What it does not do:
it reaches no server.

Rules: the line wins over the environment, and both over the default, which counts only where no folder upwards has a
store; two places on one line, or in one environment, are refused; a verb about files of this machine never leaves it,
unless it carries them; one that needs no store does so only where the line itself says it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.surfaces.application import Application, ServerName
from interlock.surfaces.cli.build import Invocation
from interlock.surfaces.cli.edge import store_home
from interlock.surfaces.cli.variables import (
    AS_VARIABLE,
    CONFIG_VARIABLE,
    PROFILE_VARIABLE,
    SERVER_VARIABLE,
    STORE_VARIABLE,
    is_on_line,
)
from interlock.surfaces.errors import USAGE_INVALID

_EMBEDDED_ONLY: Final = {"store": STORE_VARIABLE, "config": CONFIG_VARIABLE}
"""Options that mean nothing to a server, each with its variable."""


def meant_server(invocation: Invocation, application: Application, folder: Path) -> ServerName | None:
    """The server that a line is for; None where it is for a store. Raises: `usage_invalid`, `profile…`."""
    command = invocation.command
    if (command.machine or command.local) and not command.carries:
        return None
    if command.machine:
        return _of_line(invocation)
    found = _named(invocation)
    if found is None and not invocation.store and store_home(folder) is None:
        default = application.default_profile()
        found = None if default is None else ServerName(None, default, f"the default profile {shown(default)}")
    if found is not None and invocation.acting_as:
        raise _acting()
    return found


def _of_line(invocation: Invocation) -> ServerName | None:
    """The server of a verb that needs none: its options take nothing from the environment."""
    found = _one(invocation.server, invocation.profile, "--server and --profile")
    if found is not None and os.environ.get(AS_VARIABLE):
        raise _acting()
    return found


def _acting() -> InterlockError:
    # A server knows who asks by the token; to drop the option in silence would give the line more power.
    return USAGE_INVALID.error(f"--as, or {AS_VARIABLE}, is for a store of this machine: a server goes by the token")


def _named(invocation: Invocation) -> ServerName | None:
    """The server that the line or its environment names; None where that is a store, or nothing."""
    server, profile = invocation.server, invocation.profile
    on_line = _one(
        server if is_on_line(server, SERVER_VARIABLE) else None,
        profile if is_on_line(profile, PROFILE_VARIABLE) else None,
        "--server and --profile",
    )
    if on_line is not None:
        _refuse_embedded(invocation)
        return on_line
    if is_on_line(invocation.store, STORE_VARIABLE):
        return None
    found = _one(server, profile, f"{SERVER_VARIABLE} and {PROFILE_VARIABLE}")
    if found is not None:
        found = replace(found, by=SERVER_VARIABLE if server else f"{PROFILE_VARIABLE}: {found.by}")
    if found is not None and invocation.store:
        raise USAGE_INVALID.error(f"the environment names a server and, in {STORE_VARIABLE}, a store: keep one of them")
    return found


def _one(server: str | None, profile: str | None, names: str) -> ServerName | None:
    if server and profile:
        raise USAGE_INVALID.error(f"{names} both name a server: keep one of them")
    by = f"the profile {shown(profile)}" if profile else None
    return ServerName(server, profile, by) if server or profile else None


def _refuse_embedded(invocation: Invocation) -> None:
    for name, variable in _EMBEDDED_ONLY.items():
        if is_on_line(getattr(invocation, name), variable):
            raise USAGE_INVALID.error(
                f"--{name} is for a store of this machine, and --server or --profile for a server"
            )
