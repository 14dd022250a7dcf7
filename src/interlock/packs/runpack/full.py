"""Full runpacks: with the container of the run's events, which proves what the other files cannot.

What it does: writes the runpack of a run of a store, with its container if that is asked for, and holds the files of
one against the container that lies in it. What it does not do: it decides nothing itself; the walk over the container
does.

Rules: what is exported was decided again before, so that no damaged run leaves its store; container and files are one
moment of the store; with a container nothing of the run is left to belief but what the container leaves open.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from interlock.base.errors import InterlockError
from interlock.gates.redecide.logs import NotRederivable
from interlock.gates.values import read
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.packs.container import FileSource
from interlock.packs.content import ContainerCheck, Content, Progress
from interlock.packs.errors import PACK_MANIFEST_WRONG, PACK_MEMBER_WRONG, PACK_UNWRITABLE
from interlock.packs.export import ArtifactSpool, cut, manifest_of, sound
from interlock.packs.manifest import RUNPACK
from interlock.packs.report import Errors
from interlock.packs.runpack.build import Built, Wish, built
from interlock.packs.runpack.folder import RunpackFolder, write_folder
from interlock.packs.runpack.model import FULL, KINDS, Manifest, head_of
from interlock.packs.runpack.survey import ScenarioSurvey
from interlock.packs.runpack.verify import RunpackVerdict, verify_runpack
from interlock.packs.survey import Wanted
from interlock.packs.verify import judge


class Place(Struct, frozen=True):
    """Where a runpack is to stand; `force` lets it take the place of another."""

    folder: Path
    force: bool = False


async def export_runpack(
    journal: Journal, wanted: Wanted, place: Place, wish: Wish, *, full: bool = False, progress: Progress | None = None
) -> Built:
    """Write the runpack of a run; its anchors are those of the rules that the run recorded.

    Raises: `scenario_run_not_found`, `pack_exists`, `pack_unwritable`, `pack_store_damaged`, `pack_too_large`,
    `runpack_too_large`.
    """
    wanted = await cut(journal, wanted)
    if not place.folder.parent.is_dir():
        raise PACK_UNWRITABLE.error("there is no folder for it")
    try:
        with ArtifactSpool(place.folder.parent, journal.store.artifacts, progress) as spool:
            survey = ScenarioSurvey(journal, wanted, spool, progress)
            surveyed = await sound(survey)
            container = io.BytesIO()
            if full:
                spool.assemble(container, manifest_of(surveyed, wanted))
    except OSError as fault:
        raise PACK_UNWRITABLE.error(f"the pack cannot be written: {fault.strerror}") from None
    lived = survey.found
    wish = replace(wish, anchors=lived.anchors, full=container.getvalue() if full else None)
    made = built(lived.scenario.spec, lived.state, wish)
    write_folder(place.folder, made.files, force=place.force)
    return made


async def verify_folder(
    path: Path,
    catalogue: EventCatalogue,
    *,
    manifest_name: str | None = None,
    keys: dict[str, bytes] | None = None,
    progress: Progress | None = None,
) -> RunpackVerdict:
    """Verify a runpack, and the container in it where there is one. Raises: `pack_not_found`, `pack_unreadable`."""
    with RunpackFolder(path) as folder:
        verdict = verify_runpack(folder, manifest_name=manifest_name, keys=keys)
    if verdict.manifest is None or FULL not in verdict.files:
        return verdict
    source = FileSource(_in_memory(verdict.files[FULL]))
    errors = Errors()
    try:
        left_open = await _held_against(source, verdict, verdict.manifest, catalogue, errors, progress)
    finally:
        source.close()
    found = [replace(each, member=f"{FULL}/{each.member}" if each.member else FULL) for each in errors.all]
    return replace(
        verdict,
        errors=[*verdict.errors, *found],
        complete=verdict.complete and errors.complete,
        not_rederivable=verdict.not_rederivable if errors else list(left_open),
    )


def _in_memory(content: bytes) -> int:
    """A file of the bytes that were hashed, whatever has become of the folder since."""
    file = os.memfd_create("runpack", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(file), "wb") as out:
        out.write(content)
    return file


async def _held_against(
    source: FileSource,
    verdict: RunpackVerdict,
    manifest: Manifest,
    catalogue: EventCatalogue,
    errors: Errors,
    progress: Progress | None,
) -> tuple[NotRederivable, ...]:
    """Verify the container, and hold the files against what follows from it; return what is left open."""
    content = ContainerCheck(source, errors, progress).run()
    if content is None:
        errors.complete = False
        return ()
    errors.streams_in({entry.stream: entry.member for entry in content.manifest.streams})
    _, left_open = await judge(content, catalogue, errors, progress)
    _compare(content, verdict, manifest, errors)
    return left_open


def _compare(content: Content, verdict: RunpackVerdict, manifest: Manifest, errors: Errors) -> None:
    """The files of the folder are those that the events give."""
    run_id = f"{manifest.tenant_id}:{manifest.namespace_id}:{manifest.run_id}"
    root = content.manifest.root
    if (root.kind, root.id) != ("scenario_run", run_id):
        errors.add(PACK_MANIFEST_WRONG, "the container is of another run than the runpack")
    for path in KINDS:
        if _derived(content, path) != verdict.files.get(path):
            errors.add(PACK_MEMBER_WRONG, f"the events give another {path}", member=f"{RUNPACK}/{path}")
    derived = _derived(content, "manifest.json")
    if derived is not None and _asked(derived) != head_of(manifest).anchor_policy:
        errors.add(PACK_MANIFEST_WRONG, "the anchors are not those that the recorded rules ask for")


def _derived(content: Content, path: str) -> bytes | None:
    """A file of the folder that follows from the events of a container."""
    name = f"{RUNPACK}/{path}"
    place = content.places.get(name)
    return None if place is None else content.read(name, 0, place.size)


def _asked(derived: bytes) -> object:
    """The anchors of a manifest that follows from events; what cannot be read asks for nothing that there is."""
    try:
        return read(derived, Manifest, bytes_max=len(derived)).anchor_policy
    except InterlockError:
        return None
