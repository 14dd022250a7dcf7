"""The application, as a surface that starts it sees it.

What it does: declares `Application`, the things that a command line needs of the whole product: its parts (cheap,
for help and completion), how to open it on a store, and how to reach a server that has opened it. What it does not
do: it adds no parts and opens nothing itself.

Rule: surfaces stand below the application, so they find it by name; nothing heavy is imported before it is
needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from interlock.base.part import Part, Services
from interlock.base.principal import Principal
from interlock.journal.store_name import StoreName
from interlock.surfaces.caller import Caller
from interlock.surfaces.catalogue import Catalogue

if TYPE_CHECKING:
    from interlock.surfaces.client import Client

_HOME = "interlock.app"
_CLIENT = "interlock.client.line"


class Opened(Services, Protocol):
    """An application that runs on a store, with its services."""

    def client(self, principal: Principal) -> Client:
        """A client that acts for `principal` and for nobody else."""
        ...


class Opener(Protocol):
    """Opens the application on a store, and closes it in the end."""

    def __call__(self, *, store: StoreName, config: Path | None, create: bool) -> AbstractAsyncContextManager[Opened]:
        """`config` names the settings file (None: the usual places); a missing store is made if `create`."""
        ...


@dataclass(frozen=True, slots=True)
class ServerName:
    """Which server is meant: by its address, or by a profile; neither is the default profile.

    `by` says what named it where that is not the line itself, for whoever wonders.
    """

    url: str | None
    profile: str | None
    by: str | None = field(default=None, compare=False)


class Connector(Protocol):
    """Reaches a server, and lets go of it in the end."""

    def __call__(self, application: Application, server: ServerName) -> AbstractAsyncContextManager[Caller]:
        """A client whose commands are those of `application`."""
        ...


def _connected(application: Application, server: ServerName) -> AbstractAsyncContextManager[Caller]:
    connect: Connector = import_module(_CLIENT).connect
    return connect(application, server)


def _profiles() -> Mapping[str, str]:
    found: Mapping[str, str] = import_module(_CLIENT).profiles()
    return found


def _default_profile() -> str | None:
    found: str | None = import_module(_CLIENT).default_profile()
    return found


@dataclass(frozen=True, slots=True)
class Application:
    """What a surface needs in order to show and to start the product.

    `parts` is cheap: it imports no library of a store, a network or a screen.
    """

    parts: Callable[[], Sequence[Part]]
    open: Opener
    connect: Connector = _connected
    default_profile: Callable[[], str | None] = _default_profile
    profiles: Callable[[], Mapping[str, str]] = _profiles

    def catalogue(self) -> Catalogue:
        """The commands of every part, in their order."""
        return Catalogue(command for part in self.parts() for command in part.commands)


def load() -> Application:
    """The application of this product: `APPLICATION` of its topmost module."""
    found: Application = import_module(_HOME).APPLICATION
    return found
