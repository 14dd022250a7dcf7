"""Exports a run: its pack is written from one moment of the store.

What it does: cuts the feed at one place, surveys the run up to there into a spool, and assembles the container. What it
does not do: it signs nothing (`sign`), and exports nothing that is damaged.

Rules: a pack depends on the events of its run and on nothing else: not on the store, the clock, the machine or what
other runs do; it is complete and durable before it has its name.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from interlock import __version__
from interlock.base import ids
from interlock.base.errors import InterlockError
from interlock.engine.errors import RUN_NOT_FOUND
from interlock.engine.events import RUN
from interlock.journal.journal import Journal
from interlock.journal.ports import EMPTY, Artifacts
from interlock.journal.streams import stream_id
from interlock.journal.verify.report import Progress
from interlock.packs.errors import PACK_STORE_DAMAGED, PACK_UNWRITABLE
from interlock.packs.manifest import FORMAT, VIEWS_VERSION, ArtifactsEntry, Maker, Manifest, ViewsEntry
from interlock.packs.spool import Spool, new_file
from interlock.packs.survey import Survey, Surveyed, Wanted

NODES_AT_ONCE = 256
"""Nodes of maps that are read at once; they are small. Other artifacts may be large, and are read one by one."""


class Made(Struct, frozen=True):
    """A pack that was written: its size, its digest, and its manifest."""

    bytes: int
    digest: str
    manifest: Manifest


class ArtifactSpool(Spool):
    """A spool that fetches the artifacts itself."""

    def __init__(self, folder: Path, source: Artifacts, progress: Progress | None) -> None:
        super().__init__(folder)
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

    Raises: `run_not_found`, `pack_exists` unless `force`, `pack_unwritable`, `pack_store_damaged`, `pack_too_large`.
    """
    run_id = ids.run_id(wanted.run_id)
    stream = stream_id(wanted.tenant, RUN, run_id)
    until = await journal.store.events.position(wanted.tenant)  # the partition of a run is its tenant
    if await journal.store.events.heads([stream]) == [EMPTY]:
        raise RUN_NOT_FOUND.error("there is no such run", run_id=run_id)
    wanted = Wanted(wanted.tenant, run_id, wanted.children, wanted.contract, until)
    if not out.parent.is_dir():
        raise PACK_UNWRITABLE.error("there is no folder for it")
    with new_file(out, force=force) as file:
        try:
            with ArtifactSpool(out.parent, journal.store.artifacts, progress) as spool:
                survey = Survey(journal, wanted, spool, progress)
                try:
                    surveyed = await survey.run()
                finally:
                    _refuse_damage(survey)  # it says more than what the damage stopped
                manifest = manifest_of(surveyed, wanted)
                size, digest = spool.assemble(file, manifest)
        except OSError as fault:
            raise PACK_UNWRITABLE.error(f"the pack cannot be written: {fault.strerror}") from None
    return Made(size, digest, manifest)


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
        unsealed=tuple(run.run_id for run in surveyed.runs if run.status is None),
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
