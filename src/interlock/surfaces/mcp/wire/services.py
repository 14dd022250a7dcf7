"""What the reference's tools work with, and who calls them.

What it does: puts the services of a session together. What it does not do: it opens none.

Rule: whoever speaks on standard input is the principal `stdio` of the contract, and local.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from interlock.base.part import Services
from interlock.base.principal import Principal
from interlock.gates.config import GatesSettings
from interlock.gates.control.asserted import Prechecks
from interlock.gates.control.definitions import Definitions
from interlock.gates.control.feedback import Caller
from interlock.gates.control.service import ScenarioRuns
from interlock.gates.evidence.query import Evidence
from interlock.gates.shapes.registry import Shapes
from interlock.journal.journal import Journal
from interlock.surfaces.mcp.wire.documents import WireDocuments
from interlock.surfaces.mcp.wire.runpacks import FolderRunpacks

STDIO: Final = Caller("stdio", local=True)


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
    runpacks: FolderRunpacks
    caller: Caller = STDIO


def wire_services(
    services: Services, documents: WireDocuments, principal: Principal, caller: Caller = STDIO
) -> WireServices:
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
        caller=caller,
        runpacks=FolderRunpacks(
            services.get(Journal),
            services.get(Definitions),
            dev_permissive=services.get(GatesSettings).dev.permissive,
        ),
    )
