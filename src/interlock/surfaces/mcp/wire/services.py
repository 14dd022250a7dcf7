"""What the reference's tools work with, and who calls them.

What it does: declares the services of a session, and the port of runpacks. What it does not do: it opens none.

Rule: whoever speaks on standard input is the principal `stdio` of the contract, and local.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from interlock.base.part import Services
from interlock.base.principal import Principal
from interlock.gates.config import GatesSettings
from interlock.gates.control.asserted import Prechecks
from interlock.gates.control.definitions import Definitions
from interlock.gates.control.feedback import Caller
from interlock.gates.control.service import ScenarioRuns
from interlock.gates.evidence.query import Evidence
from interlock.gates.shapes.registry import Shapes
from interlock.surfaces.errors import RUNPACKS_ABSENT
from interlock.surfaces.mcp.wire.documents import WireDocuments
from interlock.surfaces.mcp.wire.requests import ExportRunpack, VerifyRunpack

STDIO: Final = Caller("stdio", local=True)


class Runpacks(Protocol):
    """Writes runs as folders, and proves such folders."""

    async def export(self, request: ExportRunpack, /, *, principal: Principal) -> Any:
        """Write a run: `manifest`, `report` or null, and `storage_uri` where it is not a folder."""
        ...

    async def verify(self, request: VerifyRunpack, /, *, principal: Principal) -> Any:
        """Prove a folder: `report` and `status`."""
        ...


class NoRunpacks:
    """Where nothing writes runpacks."""

    async def export(self, _request: ExportRunpack, *, principal: Principal) -> Any:
        """Refuse. Raises: `runpacks_absent`."""
        del principal
        raise RUNPACKS_ABSENT.error("runpacks are not available here")

    async def verify(self, _request: VerifyRunpack, *, principal: Principal) -> Any:
        """Refuse. Raises: `runpacks_absent`."""
        del principal
        raise RUNPACKS_ABSENT.error("runpacks are not available here")


NO_RUNPACKS: Final = NoRunpacks()


@dataclass(frozen=True)
class WireServices:
    """The services of a session of the wire."""

    settings: GatesSettings
    definitions: Definitions
    runs: ScenarioRuns
    evidence: Evidence
    shapes: Shapes
    prechecks: Prechecks
    documents: WireDocuments
    principal: Principal
    caller: Caller = STDIO
    runpacks: Runpacks = NO_RUNPACKS


def wire_services(services: Services, documents: WireDocuments, principal: Principal) -> WireServices:
    """The services of a session, of those of an application."""
    return WireServices(
        settings=services.get(GatesSettings),
        definitions=services.get(Definitions),
        runs=services.get(ScenarioRuns),
        evidence=services.get(Evidence),
        shapes=services.get(Shapes),
        prechecks=services.get(Prechecks),
        documents=documents,
        principal=principal,
    )
