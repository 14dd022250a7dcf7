"""The verb `mcp`: a session over standard input and output, on one store.

What it does: takes the pipes, opens the application and what the front needs, and serves until the other side ends it.
What it does not do: it speaks neither protocol itself (`front`, `wire`).

Rules: standard output carries messages and nothing else from the first moment on; a store is made only for a session
that may write; who may start nothing has no file read or written and no code loaded, whoever runs the server; the SDK
is loaded for its own protocol alone.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from interlock.access.table import OPERATOR, VIEWER
from interlock.base.extras import install_advice
from interlock.base.part import Services
from interlock.base.principal import Principal, PrincipalKind
from interlock.gates.config import GatesSettings
from interlock.journal.store_name import store_name
from interlock.surfaces.application import Application, Opened
from interlock.surfaces.cli.edge import STORE_FOLDER, folder_of
from interlock.surfaces.errors import MCP_LIBRARY_ABSENT
from interlock.surfaces.mcp.pages import library_of
from interlock.surfaces.mcp.pipes import Drain, Source, taken
from interlock.surfaces.mcp.tools import Allowed, Toolbox, within
from interlock.surfaces.mcp.wire.documents import WireDocuments
from interlock.surfaces.mcp.wire.rpc import Rpc
from interlock.surfaces.mcp.wire.serve import serve_frames
from interlock.surfaces.mcp.wire.services import wire_services
from interlock.surfaces.mcp.wire.tools import WireTools


async def serve(
    application: Application,
    principal: Principal,
    *,
    store: str,
    config: str | None,
    wire: bool,
    allowed: Allowed,
) -> None:
    """Serve one session. Raises: as opening a store does, `mcp_library_absent`, `wire_frame_invalid`."""
    source, drain = taken()
    name = store_name(store)
    create = wire or allowed != "reads"
    made = isinstance(name, Path) and name.parent.name == STORE_FOLDER and create
    with folder_of(Path(name)) if made else nullcontext():
        async with application.open(store=name, config=Path(config) if config else None, create=create) as opened:
            if wire:
                await _wire(opened, principal, source, drain)
            else:
                await _official(application, opened, principal, allowed, source, drain)


async def _official(
    application: Application, opened: Opened, principal: Principal, allowed: Allowed, source: Source, drain: Drain
) -> None:
    front = _front()
    library = library_of(opened.get(GatesSettings).docs, warn)
    actor = acting(principal, allowed)
    toolbox = Toolbox(application.catalogue(), within(allowed, files=actor.kind is PrincipalKind.LOCAL))
    client = opened.client(actor)
    await front.serve_lines(front.Front(client, toolbox, library), source, drain)


def acting(principal: Principal, allowed: Allowed) -> Principal:
    """For whom commands act: for the user of this machine only where they may start what they want."""
    if allowed == "starts":
        return principal
    role = VIEWER if allowed == "reads" else OPERATOR
    return replace(principal, kind=PrincipalKind.LOCAL_DECLARED, roles=(role,))


async def _wire(opened: Opened, principal: Principal, source: Source, drain: Drain) -> None:
    await serve_frames(wire_rpc(opened, principal), source, drain)


def wire_rpc(services: Services, principal: Principal) -> Rpc:
    """What answers the requests of the wire, over whatever transport. Raises: `documents_unreadable`."""
    documents = wire_documents(services)
    return Rpc(WireTools(wire_services(services, documents, principal)), documents)


def wire_documents(services: Services) -> WireDocuments:
    """The documentation as the wire shows it. Raises: `documents_unreadable`."""
    settings = services.get(GatesSettings).docs
    return WireDocuments(library_of(settings, warn), settings)


def _front() -> Any:
    try:
        from interlock.surfaces.mcp import front
    except ImportError:
        raise MCP_LIBRARY_ABSENT.error(f"the MCP library is not installed. {install_advice('mcp')}") from None
    return front


def warn(words: str) -> None:
    """Say something to whoever runs the server."""
    sys.stderr.write(f"{words}\n")
