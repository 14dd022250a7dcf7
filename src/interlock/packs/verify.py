"""Proves a pack offline: no store, no network, no clock, and no word of it believed.

What it does: reads every byte of the container, walks what it holds with the checks that examine a store, makes the
manifest and the views anew and compares them, and looks at the signature. What it does not do: it runs no code of a
plan, writes nothing, and contacts nobody.

Rules: the verdict is `pass` only if nothing at all is wrong; what is erased, left out or not ended is said and is no
fault; a pack that nobody signed passes unless somebody's signature is demanded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from interlock.base.clock import SystemClock, SystemEntropy
from interlock.base.errors import InterlockError
from interlock.gates.redecide.logs import NotRederivable
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.packs.container import MANIFEST, FileSource
from interlock.packs.content import ContainerCheck, Content, Progress, opened
from interlock.packs.errors import (
    PACK_CONTENT_INVALID,
    PACK_MANIFEST_WRONG,
    PACK_MEMBER_EXTRA,
    PACK_MEMBER_MISSING,
    PACK_VIEW_WRONG,
)
from interlock.packs.export import survey_of
from interlock.packs.manifest import (
    RUNPACK,
    VIEWS,
    VIEWS_VERSION,
    ArtifactsEntry,
    Manifest,
    MemberEntry,
    artifact_member,
)
from interlock.packs.report import Errors, PackError
from interlock.packs.sign import Signature, check_signature, statement
from interlock.packs.store import PackStore
from interlock.packs.survey import Surveyed, Wanted


class Verdict(Struct, frozen=True):
    """What came out: `manifest` and `digest` are None where the pack cannot be read that far.

    `complete` is False where a fault kept the rest from being examined, or more is wrong than is listed.
    `views_compared` is False where views were not made anew: a fault was in the way, or another version drew them, of
    which the digests alone were checked.
    """

    errors: list[PackError]
    complete: bool
    signature: Signature
    digest: str | None
    bytes: int
    manifest: Manifest | None
    views_compared: bool
    not_rederivable: tuple[NotRederivable, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.errors


class _Digests:
    """A member that is only hashed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, content: bytes) -> None:
        self._digest.update(content)
        self._size += len(content)

    def close(self) -> MemberEntry:
        return MemberEntry(self._size, self._digest.hexdigest(), self._name)


class _Compared:
    """A sink that keeps digests, and names artifacts that nothing reaches."""

    def __init__(self, content: Content, errors: Errors) -> None:
        self._content = content
        self._errors = errors
        self.unreached: list[str] = []

    def member(self, name: str, channel: str) -> _Digests:  # noqa: ARG002 - nothing is kept
        return _Digests(name)

    async def artifacts(self, nodes: set[bytes], others: set[bytes]) -> ArtifactsEntry:
        places = self._content.artifacts
        for at in range(len(places)):
            artifact = places[at]
            if artifact not in nodes and artifact not in others:
                self.unreached.append(artifact.hex())
        return self._content.manifest.artifacts  # held against the container before


async def verify(
    place: Path | int,
    catalogue: EventCatalogue,
    *,
    trusted: Sequence[str] | None = None,
    signature: Path | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Verify the pack at a path, a file or a folder, or in a file that is open, which is closed then.

    `trusted` are ids of keys: then one of them must have signed. `signature` is where the signature stands, if it is
    not beside the pack. Raises: `pack_not_found`, `pack_unreadable`; everything else is an error of the verdict.
    """
    errors = Errors()
    source = opened(place) if isinstance(place, Path) else FileSource(place)
    beside = place if isinstance(place, Path) else None
    try:
        content = ContainerCheck(source, errors, progress).run()
        compared = False
        left_open: tuple[NotRederivable, ...] = ()
        if content is None:
            errors.complete = False  # nothing behind the fault was looked at
        else:
            errors.streams_in({entry.stream: entry.member for entry in content.manifest.streams})
            compared, left_open = await judge(content, catalogue, errors, progress)
        said = None if content is None else statement(content.manifest.root.id, content.digest, content.manifest_digest)
        signed = check_signature(beside, said, errors, trusted=trusted, signature=signature)
    finally:
        source.close()
    return Verdict(
        errors.all,
        errors.complete,
        signed,
        None if content is None else content.digest,
        0 if content is None else content.bytes,
        None if content is None else content.manifest,
        compared,
        left_open,
    )


async def judge(
    content: Content, catalogue: EventCatalogue, errors: Errors, progress: Progress | None
) -> tuple[bool, tuple[NotRederivable, ...]]:
    """Walk what a pack holds and compare; return whether its views could be made anew, and what is left open."""
    manifest = content.manifest
    journal = Journal(PackStore(content), catalogue, SystemClock(), SystemEntropy())
    sink = _Compared(content, errors)
    root = manifest.root
    wanted = Wanted(root.tenant, root.id, manifest.children == "included", manifest.views.contract, kind=root.kind)
    survey = survey_of(journal, wanted, sink, progress)
    try:
        surveyed = await survey.run()
    except InterlockError as fault:
        errors.fault(fault)
        errors.complete = False
        return False, ()
    except Exception as fault:  # noqa: BLE001 - whatever hostile content does to a reader, it is no pass and no crash
        errors.add(PACK_CONTENT_INVALID, f"it cannot be read: {type(fault).__name__}", member=MANIFEST)
        errors.complete = False
        return False, ()
    report = survey.examination.report()
    for finding in report.findings:
        errors.finding(finding)
    errors.complete = errors.complete and report.complete and not surveyed.unjudged
    _compare(manifest, surveyed, errors)
    if not surveyed.unjudged:
        for artifact in sink.unreached:
            errors.add(PACK_MEMBER_EXTRA, "nothing in the pack names it", member=artifact_member(artifact))
    return manifest.views.version == VIEWS_VERSION and not surveyed.unjudged, surveyed.not_rederivable


def _compare(manifest: Manifest, surveyed: Surveyed, errors: Errors) -> None:
    """Hold what the manifest says against what the events say."""
    _compare_streams(manifest, surveyed, errors)
    found = {run.run_id: run for run in surveyed.runs}
    said = {run.run_id: run for run in manifest.runs}
    for run_id in said.keys() | found.keys():
        if run_id not in surveyed.unjudged and said.get(run_id) != found.get(run_id):
            errors.add(PACK_MANIFEST_WRONG, f"what it says of run {run_id} is not what the events say", member=MANIFEST)
    if surveyed.unjudged:
        return  # the rest rests on the runs that cannot be judged
    order = tuple(run.run_id for run in surveyed.runs) == tuple(run.run_id for run in manifest.runs)
    if manifest.unsealed != surveyed.unsealed or manifest.left_out != tuple(surveyed.left_out) or not order:
        errors.add(PACK_MANIFEST_WRONG, "the runs that it lists are not those of the events", member=MANIFEST)
    _compare_views(manifest, surveyed, errors)


def _compare_streams(manifest: Manifest, surveyed: Surveyed, errors: Errors) -> None:
    found = {entry.stream: entry for entry in surveyed.streams}
    said = {entry.stream: entry for entry in manifest.streams}
    for stream, entry in said.items():
        if stream in found and found[stream] != entry:
            what = "the manifest says otherwise how many events it has, how many are erased, or where it ends"
            errors.add(PACK_MANIFEST_WRONG, what, member=entry.member, stream=stream)
        elif stream not in found and not surveyed.unjudged:
            errors.add(PACK_MEMBER_EXTRA, "no run of the pack has this stream", member=entry.member, stream=stream)
    for stream in found.keys() - said.keys():
        errors.add(PACK_MANIFEST_WRONG, "the manifest does not name this stream", member=MANIFEST, stream=stream)


def _compare_views(manifest: Manifest, surveyed: Surveyed, errors: Errors) -> None:
    """Every view is what the events give; of views that another version drew, there are as many as there should be."""
    found = {entry.name: entry for entry in surveyed.members}
    said = {entry.name: entry for entry in manifest.members}
    for name in sorted(said.keys() - found.keys()):
        errors.add(PACK_MEMBER_EXTRA, "nothing in the pack gives rise to it", member=name)
    for name in sorted(found.keys() - said.keys()):
        errors.add(PACK_MEMBER_MISSING, "the manifest does not name it", member=name)
    for name in sorted(said.keys() & found.keys()):
        is_view = name.startswith(f"{VIEWS}/")
        if said[name] == found[name] or (is_view and manifest.views.version != VIEWS_VERSION):
            continue
        kind = PACK_VIEW_WRONG if is_view or name.startswith(f"{RUNPACK}/") else PACK_MANIFEST_WRONG
        errors.add(kind, "it is not what the events give", member=name)
