"""Exports a run: its pack is written from one moment of the store.

What it does: cuts the feed at one place, surveys the run up to there into a spool, and assembles the container. What it
does not do: it signs nothing (`sign`), and exports nothing that is damaged.

Rules: a pack depends on the events of its run and on nothing else: not on the store, the clock, the machine or what
other runs do; it is complete and durable before it has its name.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from interlock import __version__
from interlock.base import ids
from interlock.base.errors import InterlockError
from interlock.engine.errors import RUN_NOT_FOUND
from interlock.engine.events import RUN
from interlock.gates.control.errors import SCENARIO_RUN_NOT_FOUND
from interlock.gates.control.keys import SCENARIO_RUN
from interlock.journal.journal import Journal
from interlock.journal.ports import EMPTY, Artifacts
from interlock.journal.streams import stream_id
from interlock.journal.verify.report import Progress
from interlock.packs.errors import PACK_STORE_DAMAGED, PACK_UNWRITABLE
from interlock.packs.manifest import FORMAT, VIEWS_VERSION, ArtifactsEntry, Maker, Manifest, ViewsEntry
from interlock.packs.runpack.survey import ScenarioSurvey
from interlock.packs.spool import Spool, new_file
from interlock.packs.survey import Sink, Survey, Surveyed, Wanted

NODES_AT_ONCE = 256
"""Nodes of maps that are read at once; they are small. Other artifacts may be large, and are read one by one."""


class Made(Struct, frozen=True):
    """A pack that was written: its size, its digest, and its manifest."""

    bytes: int
    digest: str
    manifest: Manifest


class ArtifactSpool(Spool):
    """A spool that fetches the artifacts itself."""

    def __init__(
        self, folder: Path, source: Artifacts, progress: Progress | None = None, bytes_max: int | None = None
    ) -> None:
        super().__init__(folder, bytes_max)
        self._source = source
        self._progress = progress

    async def artifacts(self, nodes: set[bytes], others: set[bytes]) -> ArtifactsEntry:
        """Spool everything that was reached, in the order of ids."""
        wanted = sorted(nodes | others)
        at = 0
        while at < len(wanted):
            batch = wanted[at : at + 1]
            while len(batch) < NODES_AT_ONCE and at + len(batch) < len(wanted) and batch[-1] in nodes:
                batch.append(wanted[at + len(batch)])
                if batch[-1] not in nodes:
                    break
            for artifact, content in zip(batch, await self._source.get([b.hex() for b in batch]), strict=True):
                self.artifact(artifact, content)
            at += len(batch)
            if self._progress is not None:
                self._progress("artifacts", at, len(wanted))
        return self.artifacts_entry()


async def export(
    journal: Journal, wanted: Wanted, out: Path, *, force: bool = False, progress: Progress | None = None
) -> Made:
    """Write the pack of a run to `out`.

    Raises: `run_not_found`, `scenario_run_not_found`, `pack_exists` unless `force`, `pack_unwritable`,
    `pack_store_damaged`, `pack_too_large`.
    """
    wanted = await cut(journal, wanted)
    if not out.parent.is_dir():
        raise PACK_UNWRITABLE.error("there is no folder for it")
    with new_file(out, force=force) as file:
        try:
            with ArtifactSpool(out.parent, journal.store.artifacts, progress) as spool:
                manifest = await spooled(journal, wanted, spool, progress)
                size, digest = spool.assemble(file, manifest)
        except OSError as fault:
            raise PACK_UNWRITABLE.error(f"the pack cannot be written: {fault.strerror}") from None
    return Made(size, digest, manifest)


async def spooled(journal: Journal, wanted: Wanted, spool: ArtifactSpool, progress: Progress | None = None) -> Manifest:
    """Take what was cut into a spool that fetches artifacts; the manifest of the pack that it will be.

    Raises: `pack_store_damaged`, `pack_too_large`, and what a file that cannot be written raises.
    """
    return manifest_of(await sound(survey_of(journal, wanted, spool, progress)), wanted)


async def cut(journal: Journal, wanted: Wanted) -> Wanted:
    """What to walk, up to this moment of the store. Raises: `run_not_found`, `scenario_run_not_found`."""
    until = await journal.store.events.position(wanted.tenant)  # the partition of a run is its tenant
    kind, run_id, absent = SCENARIO_RUN, wanted.run_id, SCENARIO_RUN_NOT_FOUND
    if wanted.kind == "run":
        kind, run_id, absent = RUN, ids.run_id(run_id), RUN_NOT_FOUND
    if await journal.store.events.heads([stream_id(wanted.tenant, kind, run_id)]) == [EMPTY]:
        raise absent.error("there is no such run", run_id=run_id)
    return replace(wanted, run_id=run_id, until_position=until)


def survey_of(journal: Journal, wanted: Wanted, sink: Sink, progress: Progress | None = None) -> Survey:
    """The walk over what is wanted."""
    return (Survey if wanted.kind == "run" else ScenarioSurvey)(journal, wanted, sink, progress)


async def sound(survey: Survey) -> Surveyed:
    """What a walk came to. Raises: `pack_store_damaged` where it found damage; as `Survey.run`."""
    try:
        return await survey.run()
    finally:
        _refuse_damage(survey)  # it says more than what the damage stopped


def manifest_of(surveyed: Surveyed, wanted: Wanted) -> Manifest:
    """The manifest of what was surveyed, made by this version."""
    return Manifest(
        artifacts=surveyed.artifacts,
        children="included" if wanted.children else "left_out",
        created_by=Maker("interlock", __version__),
        format=FORMAT,
        left_out=tuple(surveyed.left_out),
        members=tuple(surveyed.members),
        root=surveyed.root,
        runs=tuple(surveyed.runs),
        streams=tuple(surveyed.streams),
        unsealed=surveyed.unsealed,
        views=ViewsEntry(contract=wanted.contract, version=VIEWS_VERSION),
    )


def _refuse_damage(survey: Survey) -> None:
    report = survey.examination.report()
    if report.findings:
        first = report.findings[0]
        fault: InterlockError = PACK_STORE_DAMAGED.error(
            f"the run is damaged: {first.kind} at {first.place}", place=first.place, findings=len(report.findings)
        )
        raise fault
