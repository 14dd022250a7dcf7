"""The layout of a runpack: its files in their order, its manifest, and its report.

What it does: declares the records of manifest and report, and computes what of a manifest follows from the files. What
it does not do: it reads and writes no file, and judges none.

Rules (seed 000): everything is RFC 8785 without a line feed behind it; the root is the digest of the list of files in
the order in which they were written; members that are absent are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from interlock.gates.evidence.config import AnchorRequirement
from interlock.gates.values import HashDigest, NamespaceId, TenantId, Timestamp, hash_of, wire

MANIFEST_NAMES: Final = ("manifest.json", "runpack.json")
"""What a manifest is called where nobody says otherwise: ours, and that of another program for this layout."""
VERSION: Final = "v1"
CONTENT_TYPE: Final = "application/json"
FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of one file."""
FILES_MAX: Final = 100
"""Files that a manifest may name."""

SPEC: Final = "artifacts/scenario_spec.json"
DECISIONS: Final = "artifacts/decisions.json"
GATES: Final = "artifacts/gate_evals.json"
REPORT: Final = "artifacts/verifier_report.json"
FULL: Final = "artifacts/interlock.pack"
"""Where the container of the run's events stands in a full export."""
HEAD: Final = "artifacts/manifest_head.json"
"""Where the manifest stands a second time in a full export, without what the files give: so that a digest holds it."""

ArtifactKind = Literal[
    "scenario_spec",
    "trigger_log",
    "gate_eval_log",
    "decision_log",
    "packet_log",
    "dispatch_log",
    "evidence_log",
    "submission_log",
    "tool_transcript",
    "verifier_report",
    "custom",
]
KINDS: Final[Mapping[str, ArtifactKind]] = {
    SPEC: "scenario_spec",
    "artifacts/triggers.json": "trigger_log",
    GATES: "gate_eval_log",
    DECISIONS: "decision_log",
    "artifacts/packets.json": "packet_log",
    "artifacts/submissions.json": "submission_log",
    "artifacts/tool_calls.json": "tool_transcript",
}
"""The files that every runpack has, in their order, and what each is."""
LOGS: Final = tuple(KINDS)[1:]


class FileHash(Struct, frozen=True):
    """A file and its digest."""

    path: str
    hash: HashDigest


class Integrity(Struct, frozen=True):
    """The files in the order in which they were written, and the digest of that list."""

    file_hashes: Annotated[list[FileHash], Meta(max_length=FILES_MAX)]
    root_hash: HashDigest


class ArtifactRecord(Struct, frozen=True):
    """A file, and what it is."""

    artifact_id: str
    kind: ArtifactKind
    path: str
    content_type: str | None
    hash: HashDigest
    required: bool


class Anchored(Struct, frozen=True):
    """What the anchor of evidence must be."""

    anchor_type: str
    required_fields: list[str]


class ProviderAnchor(Struct, frozen=True):
    """The anchor that the evidence of a provider must have."""

    provider_id: str
    requirement: Anchored


class AnchorPolicy(Struct, frozen=True):
    """The anchors that the installation asked for."""

    providers: list[ProviderAnchor]


class Security(Struct, frozen=True):
    """Under which settings the exporter says that it ran."""

    dev_permissive: bool
    namespace_authority: Literal["dg_registry", "assetcore_catalog"]


class Manifest(Struct, frozen=True):
    """What is in a runpack, and whose run it is."""

    manifest_version: Literal["v1"]
    generated_at: Timestamp
    scenario_id: str
    tenant_id: TenantId
    namespace_id: NamespaceId
    run_id: str
    spec_hash: HashDigest
    hash_algorithm: Literal["sha256"]
    verifier_mode: Literal["offline_strict", "offline_with_fetch"]
    integrity: Integrity
    artifacts: Annotated[list[ArtifactRecord], Meta(max_length=FILES_MAX)]
    anchor_policy: AnchorPolicy | UnsetType = UNSET
    security: Security | UnsetType = UNSET


class Head(Struct, frozen=True):
    """What of a manifest does not follow from the files."""

    manifest_version: str
    generated_at: Timestamp
    scenario_id: str
    tenant_id: int
    namespace_id: int
    run_id: str
    verifier_mode: str
    anchor_policy: AnchorPolicy | UnsetType = UNSET
    security: Security | UnsetType = UNSET


class Report(Struct, frozen=True):
    """What a verification by the rules of seed 000 says; `errors` are for people."""

    status: Literal["pass", "fail"]
    checked_files: int
    errors: list[str]


def integrity_of(files: Sequence[FileHash]) -> Integrity:
    """The list of files with its digest."""
    return Integrity(list(files), root_of(files))


def root_of(files: Sequence[FileHash]) -> HashDigest:
    """The digest of a list of files."""
    return hash_of(wire(list(files)))


def head_of(manifest: Manifest) -> Head:
    """What of a manifest does not follow from the files."""
    return Head(**{name: getattr(manifest, name) for name in Head.__struct_fields__})


def artifact_of(path: str, digest: HashDigest) -> ArtifactRecord:
    """The record of a file that this version knows."""
    if path in (FULL, HEAD):
        content_type = CONTENT_TYPE if path == HEAD else "application/x-tar"
        return ArtifactRecord(path, "custom", path, content_type, digest, required=False)
    kind: ArtifactKind = "verifier_report" if path == REPORT else KINDS[path]
    return ArtifactRecord(path, kind, path, CONTENT_TYPE, digest, required=True)


def policy_of(anchors: Sequence[AnchorRequirement]) -> AnchorPolicy | UnsetType:
    """The anchors as a manifest has them; absent where none is asked for."""
    if not anchors:
        return UNSET
    return AnchorPolicy(
        [
            ProviderAnchor(each.provider_id, Anchored(each.anchor_type, list(each.required_fields)))
            for each in sorted(anchors, key=lambda anchor: anchor.provider_id)
        ]
    )


def anchors_of(manifest: Manifest) -> dict[str, AnchorRequirement]:
    """The anchors that a manifest asks for, by provider."""
    policy = manifest.anchor_policy
    return {
        each.provider_id: AnchorRequirement(
            provider_id=each.provider_id,
            anchor_type=each.requirement.anchor_type,
            required_fields=tuple(each.requirement.required_fields),
        )
        for each in (policy.providers if isinstance(policy, AnchorPolicy) else ())
    }
