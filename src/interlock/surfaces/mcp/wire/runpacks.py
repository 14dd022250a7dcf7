"""Runpacks on the reference's wire, over the packs of runs.

What it does: writes a run into the folder that is named, and reports on one that was written anywhere. What it does not
do: it derives and decides nothing itself.

Rules (seed 000): without other storage a folder has to be named; the report is that of the contract, while `pack
verify` says everything that can be proved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from interlock.base.errors import InterlockError
from interlock.base.principal import Principal
from interlock.gates.control.definitions import Definitions
from interlock.gates.control.errors import SCENARIO_RUN_NOT_FOUND
from interlock.gates.control.reading import RunReading
from interlock.gates.values import read
from interlock.journal.journal import Journal
from interlock.packs.errors import PACK_MANIFEST_INVALID
from interlock.packs.runpack.build import Wish
from interlock.packs.runpack.folder import RunpackFolder
from interlock.packs.runpack.full import Place, export_runpack
from interlock.packs.runpack.model import FILE_BYTES_MAX, MANIFEST_NAMES, Manifest, Report, Security
from interlock.packs.runpack.reference import checked
from interlock.packs.survey import Wanted
from interlock.surfaces.errors import RUNPACKS_ABSENT
from interlock.surfaces.mcp.wire.requests import ExportRunpack, VerifyRunpack


class Exported(Struct, frozen=True):
    """A runpack that was written."""

    manifest: Manifest
    report: Report | None
    storage_uri: str | UnsetType = UNSET


class Verified(Struct, frozen=True):
    """What a verification says."""

    report: Report
    status: str


class FolderRunpacks:
    """Runpacks in folders of this machine."""

    def __init__(self, journal: Journal, definitions: Definitions, *, dev_permissive: bool) -> None:
        self._journal = journal
        self._definitions = definitions
        self._security = Security(dev_permissive, "dg_registry")

    async def export(self, request: ExportRunpack, *, principal: Principal) -> Any:
        """Write a run. Raises: `scenario_not_found`, `runpacks_absent`, `scenario_run_not_found`, or as exports do."""
        await self._definitions.find(request.namespace_id, request.scenario_id, request.tenant_id, principal=principal)
        if request.output_dir is None:
            raise RUNPACKS_ABSENT.error("output_dir is required when runpack storage is not configured")
        named = (request.namespace_id, request.scenario_id, request.tenant_id, request.run_id)
        if not await RunReading(self._journal).is_of(principal.tenant, *named):
            raise SCENARIO_RUN_NOT_FOUND.error("there is no such run")
        run = f"{request.tenant_id}:{request.namespace_id}:{request.run_id}"
        wish = Wish(
            generated_at=request.generated_at,
            report=request.include_verification,
            manifest_name=request.manifest_name or MANIFEST_NAMES[0],
            security=self._security,
        )
        wanted = Wanted(principal.tenant, run, kind="scenario_run")
        made = await export_runpack(self._journal, wanted, Place(Path(request.output_dir)), wish)
        return Exported(made.manifest, made.report)

    async def verify(self, request: VerifyRunpack, *, principal: Principal) -> Any:
        """Report on a folder. Raises: `pack_not_found`, `pack_unreadable`, `pack_manifest_invalid`."""
        del principal
        with RunpackFolder(Path(request.runpack_dir)) as folder:
            content = folder.read(request.manifest_path)
            try:
                manifest = read(content, Manifest, bytes_max=FILE_BYTES_MAX)
            except InterlockError:
                raise PACK_MANIFEST_INVALID.error("invalid manifest") from None
            report = checked(manifest, folder.read)
        return Verified(report, report.status)
