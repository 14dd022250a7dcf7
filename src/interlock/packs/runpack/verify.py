"""Proves a runpack offline: its files against its manifest, and everything that it says by deciding the run again.

What it does: reads a folder, checks digests and canonical bytes, makes what of the manifest follows from the files, and
decides the run again. What it does not do: it opens no store, contacts nobody, and believes nothing that can be told
otherwise.

Rules: the verdict is `pass` only if nothing is wrong; what this layout cannot show is listed with its reason and is no
fault; nothing may stand in the folder that the manifest does not name; who exported it, and when, is what it says of
itself, unless somebody signed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.gates.control.scenario import Scenario
from interlock.gates.records import (
    DecisionRecord,
    GateEvalRecord,
    PacketRecord,
    SubmissionRecord,
    ToolCallRecord,
    TriggerRecord,
)
from interlock.gates.redecide.again import redecide
from interlock.gates.redecide.logs import Known, Logs, NotRederivable
from interlock.gates.scenario.validate import validate
from interlock.gates.spec import ScenarioSpec
from interlock.gates.values import HashDigest, hash_of, read, wire
from interlock.packs.errors import (
    PACK_CONTENT_INVALID,
    PACK_FROM_FUTURE,
    PACK_MANIFEST_INVALID,
    PACK_MANIFEST_WRONG,
    PACK_MEMBER_EXTRA,
    PACK_MEMBER_MISSING,
    PACK_MEMBER_WRONG,
    RUNPACK_SCENARIO_WRONG,
)
from interlock.packs.report import Errors, PackError
from interlock.packs.runpack.codes import CODES
from interlock.packs.runpack.folder import RunpackFolder
from interlock.packs.runpack.model import (
    FILE_BYTES_MAX,
    FULL,
    HEAD,
    KINDS,
    LOGS,
    REPORT,
    SPEC,
    VERSION,
    ArtifactRecord,
    FileHash,
    Manifest,
    Report,
    anchors_of,
    artifact_of,
    head_of,
    root_of,
)
from interlock.packs.runpack.reference import checked

_LOG_RECORDS: tuple[Any, ...] = (
    list[TriggerRecord],
    list[GateEvalRecord],
    list[DecisionRecord],
    list[PacketRecord],
    list[SubmissionRecord],
    list[ToolCallRecord],
)
_JUDGED = (*KINDS, REPORT, FULL, HEAD)
_UNJUDGED = ("custom", "dispatch_log", "evidence_log")
"""Kinds of files that others may add; their digests alone are checked."""
SAID = NotRederivable("generated_at", "when and under which settings it was exported is what it says of itself", 1)


class RunpackVerdict(Struct, frozen=True):
    """What came out. `report` is that of the rules of seed 000; `errors` are ours, and they decide.

    `not_rederivable` is what this layout cannot show. `complete` is False where a fault kept the rest from being
    examined, or more is wrong than is listed.
    """

    errors: list[PackError]
    complete: bool
    not_rederivable: list[NotRederivable]
    report: Report
    manifest: Manifest | None
    manifest_name: str | None
    digest: str | None
    logs: Logs | None
    files: dict[str, bytes]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.errors


def verify_runpack(
    folder: RunpackFolder, *, manifest_name: str | None = None, keys: Mapping[str, bytes] | None = None
) -> RunpackVerdict:
    """Verify a runpack; `keys` are public keys of providers by the ids that evidence names them by."""
    return _Verification(folder, manifest_name, keys or {}).run()


class _Verification:
    def __init__(self, folder: RunpackFolder, manifest_name: str | None, keys: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._name = manifest_name
        self._keys = keys
        self._errors = Errors()
        self._report = Report("fail", 0, ["the manifest cannot be read"])
        self._manifest: Manifest | None = None
        self._digest: str | None = None
        self._logs: Logs | None = None
        self._open: list[NotRederivable] = []
        self._files: dict[str, bytes] = {}

    def run(self) -> RunpackVerdict:
        """Everything, as far as it can be read."""
        try:
            self._manifest = manifest = self._read_manifest()
            self._read_files(manifest)
            self._check_manifest(manifest)
            self._report = checked(manifest, self._content)
            self._check_report(manifest)
            self._decide_again(manifest)
        except InterlockError as fault:
            self._errors.fault(fault)
            self._errors.complete = False
        except Exception as fault:  # noqa: BLE001 - whatever hostile content does to a reader, it is no pass and no crash
            self._errors.add(PACK_CONTENT_INVALID, f"it cannot be read: {type(fault).__name__}")
            self._errors.complete = False
        return RunpackVerdict(
            self._errors.all,
            self._errors.complete,
            self._open,
            self._report,
            self._manifest,
            self._name,
            self._digest,
            self._logs,
            self._files,
        )

    def _read_manifest(self) -> Manifest:
        self._name = name = self._name or self._folder.manifest_name()
        if name is None:
            raise PACK_MANIFEST_INVALID.error("the folder has no manifest")
        content = self._folder.read(name)
        self._digest = hash_of(content).value
        try:
            manifest: Manifest = _record(content, Manifest, name)
        except InterlockError as fault:
            if _is_of_another_version(content):
                raise PACK_FROM_FUTURE.error("the manifest is of a version that this one does not read") from None
            raise PACK_MANIFEST_INVALID.error(fault.message, member=name) from None
        return manifest

    def _read_files(self, manifest: Manifest) -> None:
        """Read every file that is named, and name those that are not."""
        there = self._folder.names()
        named = [entry.path for entry in manifest.integrity.file_hashes]
        for path in sorted(set(there) - {*named, self._name}):
            self._errors.add(PACK_MEMBER_EXTRA, "the manifest does not name it", member=shown(path))
        for entry in manifest.integrity.file_hashes:
            try:
                content = self._folder.read(entry.path)
            except InterlockError as fault:
                self._errors.fault(fault)
                continue
            if entry.path in _JUDGED:
                self._files[entry.path] = content
            if hash_of(content) != entry.hash:
                self._errors.add(PACK_MEMBER_WRONG, "its bytes are not those of the manifest", member=shown(entry.path))

    def _content(self, path: str) -> bytes:
        """The bytes of a file; those that nothing judges are not kept."""
        return self._files[path] if path in self._files else self._folder.read(path)

    def _check_manifest(self, manifest: Manifest) -> None:
        """What of a manifest follows from the files, follows."""
        files = manifest.integrity.file_hashes
        paths = [entry.path for entry in files]
        if len(set(paths)) != len(paths):
            self._wrong("it names a file twice")
        if paths[: len(KINDS)] != list(KINDS):
            for path in KINDS.keys() - set(paths):
                self._errors.add(PACK_MEMBER_MISSING, "the manifest does not name it", member=path)
            self._wrong("the files that every runpack has do not come first, in their order")
        if manifest.integrity.root_hash != root_of(files):
            self._wrong("its root is not the digest of its list of files")
        if [(each.path, each.hash) for each in manifest.artifacts] != [(each.path, each.hash) for each in files]:
            self._wrong("its artifacts are not the files that it lists")
        for entry in manifest.artifacts:
            if not _is_as_known(entry):
                self._errors.add(PACK_MANIFEST_WRONG, "it is described as something else", member=shown(entry.path))
        if self._files.get(HEAD, wire(head_of(manifest))) != wire(head_of(manifest)):
            self._wrong("it says something else than the head of it that lies beside it")
        spec = self._files.get(SPEC)
        if spec is not None and hash_of(spec) != manifest.spec_hash:
            self._errors.add(RUNPACK_SCENARIO_WRONG, "its digest is not the one of the run's scenario", member=SPEC)

    def _wrong(self, what: str) -> None:
        self._errors.add(PACK_MANIFEST_WRONG, what, member=None if self._name is None else shown(self._name))

    def _check_report(self, manifest: Manifest) -> None:
        """A report that lies in the pack is the one that its other files have."""
        content = self._files.get(REPORT)
        if content is None:
            return
        before = [entry for entry in manifest.integrity.file_hashes if entry.path != REPORT]
        earlier = checked(_with_files(manifest, before), self._content)
        if content != wire(earlier):
            self._errors.add(PACK_MEMBER_WRONG, "it is not the report that the other files have", member=REPORT)

    def _decide_again(self, manifest: Manifest) -> None:
        """Hold the logs against the scenario, and the manifest against both."""
        if SPEC not in self._files or any(path not in self._files for path in LOGS):
            self._errors.complete = False
            return
        spec = _record(self._files[SPEC], ScenarioSpec, SPEC)
        validate(spec)
        logs = [_record(self._files[path], kind, path) for path, kind in zip(LOGS, _LOG_RECORDS, strict=True)]
        self._logs = found = Logs(manifest.tenant_id, manifest.namespace_id, manifest.run_id, *logs)
        if (spec.scenario_id, spec.namespace_id) != (manifest.scenario_id, manifest.namespace_id):
            self._wrong("it is of another scenario or namespace than its document")
        if spec.default_tenant_id not in (None, manifest.tenant_id):
            self._wrong("the document is for another tenant")
        scenario = Scenario(spec, HashDigest("sha256", hash_of(self._files[SPEC]).value))
        known = Known(anchors=anchors_of(manifest), keys=self._keys)
        again = redecide(scenario, found, known)
        for each in again.findings:
            log, _, place = each.place.partition("/")
            self._errors.add(CODES[each.kind], each.message, member=f"artifacts/{log}.json", seq=int(place))
        self._errors.complete = self._errors.complete and again.complete
        self._open = list(again.not_rederivable)
        if HEAD not in self._files:
            self._open.append(SAID)


def _record(content: bytes, kind: Any, member: str) -> Any:
    """The record in the bytes of a file, which are its one spelling. Raises: `pack_content_invalid`."""
    try:
        found = read(content, kind, bytes_max=FILE_BYTES_MAX)
        sound = wire(found) == content
    except InterlockError as fault:
        raise PACK_CONTENT_INVALID.error(f"it cannot be read: {fault.message}", member=member) from None
    if not sound:
        raise PACK_CONTENT_INVALID.error("its bytes are not the canonical ones of what it says", member=member)
    return found


class _Head(Struct):
    """As much of any version's manifest as says which version it is."""

    manifest_version: str


def _is_of_another_version(content: bytes) -> bool:
    try:
        return read(content, _Head, bytes_max=FILE_BYTES_MAX).manifest_version != VERSION
    except InterlockError:
        return False


def _is_as_known(entry: ArtifactRecord) -> bool:
    if entry.path in _JUDGED:
        return entry == artifact_of(entry.path, entry.hash)
    return entry.kind in _UNJUDGED and entry.artifact_id == entry.path


def _with_files(manifest: Manifest, files: list[FileHash]) -> Manifest:
    """The manifest as it was with these files alone."""
    integrity = replace(manifest.integrity, file_hashes=files, root_hash=root_of(files))
    return replace(manifest, integrity=integrity)
