"""The client of a server for the command line.

What it does: opens a client for the server or the profile that a line names, with the token of the environment. What it
does not do: it reads no line.

Rule: the variable `INTERLOCK_TOKEN` is a token that is given; where a profile has its own, that of the profile is sent.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from interlock.base.secrets import Secret
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
    if server.url is None and load_profiles(os.environ).token_of(server.profile) is not None:
        given = None
    token = Secret(given) if given else None
    async with AsyncClient(server.url, token, server.profile, application=application) as client:
        yield client


def default_profile() -> str | None:
    """The profile that is meant where no line and no folder says another place. Raises: `profile…`."""
    return load_profiles(os.environ).default
