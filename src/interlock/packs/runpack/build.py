"""Makes the files of a runpack from the state of a run.

What it does: spells the seven files, the report and the manifest, byte for byte. What it does not do: it writes no file
(`folder`), and believes nothing but its arguments.

Rules (seed 000): the document must be the one that the run is of; the report speaks of the files that were there before
it, and the manifest is made anew with it; a file has at most 16 MiB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET, Struct, UnsetType

from interlock.gates.evidence.config import AnchorRequirement
from interlock.gates.records import RunState
from interlock.gates.spec import ScenarioSpec, spec_hash
from interlock.gates.values import HashDigest, Timestamp, hash_of, wire
from interlock.packs.errors import RUNPACK_SCENARIO_WRONG, RUNPACK_TOO_LARGE
from interlock.packs.runpack.model import (
    FILE_BYTES_MAX,
    FULL,
    HEAD,
    KINDS,
    MANIFEST_NAMES,
    REPORT,
    VERSION,
    FileHash,
    Manifest,
    Report,
    Security,
    artifact_of,
    head_of,
    integrity_of,
    policy_of,
)
from interlock.packs.runpack.reference import checked


class Wish(Struct, frozen=True, kw_only=True):
    """How a runpack is to be made. `report` adds that of a verification; `full` the container of the run's events."""

    generated_at: Timestamp
    report: bool = False
    manifest_name: str = MANIFEST_NAMES[0]
    anchors: Sequence[AnchorRequirement] = ()
    security: Security | UnsetType = UNSET
    full: bytes | None = None


class Built(Struct, frozen=True):
    """The files of a runpack in the order in which they are written, the manifest last."""

    files: dict[str, bytes]
    manifest: Manifest
    report: Report | None


def built(spec: ScenarioSpec, state: RunState, wish: Wish) -> Built:
    """The runpack of a run. Raises: `runpack_scenario_wrong`, `runpack_too_large`."""
    if spec_hash(spec) != state.spec_hash:
        raise RUNPACK_SCENARIO_WRONG.error("the run is of another scenario than this one")
    files = dict(zip(KINDS, map(wire, _contents(spec, state)), strict=True))
    manifest = _manifest(files, state, wish)
    if wish.full is not None:
        files |= {FULL: wish.full, HEAD: wire(head_of(manifest))}
        manifest = _manifest(files, state, wish)
    report = None
    if wish.report:
        report = checked(manifest, lambda path: files[path])
        files[REPORT] = wire(report)
        manifest = _manifest(files, state, wish)
    files[wish.manifest_name] = wire(manifest)
    for path, content in files.items():
        if len(content) > FILE_BYTES_MAX:
            raise RUNPACK_TOO_LARGE.error(f"{path} would have {len(content)} bytes, of {FILE_BYTES_MAX} at most")
    return Built(files, manifest, report)


def _contents(spec: ScenarioSpec, state: RunState) -> Sequence[object]:
    """What stands in the seven files, in their order."""
    return (
        spec,
        state.triggers,
        state.gate_evals,
        state.decisions,
        state.packets,
        state.submissions,
        state.tool_calls,
    )


def _manifest(files: Mapping[str, bytes], state: RunState, wish: Wish) -> Manifest:
    hashes: dict[str, HashDigest] = {path: hash_of(content) for path, content in files.items()}
    return Manifest(
        manifest_version=VERSION,
        generated_at=wish.generated_at,
        scenario_id=state.scenario_id,
        tenant_id=state.tenant_id,
        namespace_id=state.namespace_id,
        run_id=state.run_id,
        spec_hash=state.spec_hash,
        hash_algorithm="sha256",
        verifier_mode="offline_strict",
        integrity=integrity_of([FileHash(path, digest) for path, digest in hashes.items()]),
        artifacts=[artifact_of(path, digest) for path, digest in hashes.items()],
        anchor_policy=policy_of(wish.anchors),
        security=wish.security,
    )
