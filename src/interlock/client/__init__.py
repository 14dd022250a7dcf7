"""A server of Interlock, called from Python: the commands of the catalogue, over HTTP.

`AsyncClient` and `Client` (for programs without an event loop) have the commands, inputs, outputs and errors that an
application on a store of this machine has. The names below are loaded when they are first used.

Example:
    with Client("https://interlock.example", token="…") as client:
        run = client.call("run.status", {"run": run_id})
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlock.client.remote import AsyncClient
    from interlock.client.retrying import Retrying
    from interlock.client.stream import ServerEvent
    from interlock.client.sync import Client

_HOME = {
    "AsyncClient": "interlock.client.remote",
    "Client": "interlock.client.sync",
    "Retrying": "interlock.client.retrying",
    "ServerEvent": "interlock.client.stream",
}

__all__ = ["AsyncClient", "Client", "Retrying", "ServerEvent"]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'interlock.client' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return list(__all__)
