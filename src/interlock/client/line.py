"""The client of a server for the command line.

What it does: opens a client for the server or the profile that a line names, with the token of the environment, and
says of an error of the way there what named the server, or where the token was from. What it does not do: it reads no
line.

Rule: the variable `INTERLOCK_TOKEN` is a token that is given; where a profile has its own, that of the profile is sent.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from interlock.base.errors import InterlockError
from interlock.base.secrets import Secret
from interlock.client.errors import CLIENT_CONNECT_FAILED
from interlock.client.profiles import load_profiles
from interlock.surfaces.application import Application, ServerName

if TYPE_CHECKING:
    from interlock.client.remote import AsyncClient

TOKEN_VARIABLE = "INTERLOCK_TOKEN"  # noqa: S105 - the name of a variable


@asynccontextmanager
async def connect(application: Application, server: ServerName) -> AsyncIterator[AsyncClient]:
    """A client of the server that a line means."""
    from interlock.client.remote import AsyncClient

    given = os.environ.get(TOKEN_VARIABLE)
    source = f"the variable {TOKEN_VARIABLE}" if given else "the file that the server has left for its user"
    if server.url is None and load_profiles(os.environ).token_of(server.profile) is not None:
        given, source = None, "`token` of the profile"
    token = Secret(given) if given else None
    async with AsyncClient(server.url, token, server.profile, application=application) as client:
        try:
            yield client
        except InterlockError as fault:
            raise _placed(fault, server, source) from None


def _placed(fault: InterlockError, server: ServerName, token_source: str) -> InterlockError:
    """The error with what a person cannot see on the line: what named the server, or the token."""
    from interlock.access.errors import TOKEN_INVALID

    if fault.kind is CLIENT_CONNECT_FAILED and server.by is not None:
        named = f" (from {server.by})"
    elif fault.kind is TOKEN_INVALID:
        named = f" (it is from {token_source})"
    else:
        return fault
    return fault.kind.error(f"{fault.message}{named}", **fault.details).advising(fault.advice)


def default_profile() -> str | None:
    """The profile that is meant where no line and no folder says another place. Raises: `profile…`."""
    return load_profiles(os.environ).default


def profiles() -> Mapping[str, str]:
    """The server of each profile, by its name. Raises: `profile…`."""
    return {name: each.server for name, each in load_profiles(os.environ).by_name.items()}
