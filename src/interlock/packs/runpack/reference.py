"""The verification that seed 000 describes: digests of files, their list, and the shape of the decisions.

What it does: gives the report of that verification, as other programs for this layout give it. What it does not do: it
decides nothing again; `verify` does, and its verdict is the one that counts.

Rule: what cannot be read is an error of the report and raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from interlock.base.errors import InterlockError
from interlock.gates.evidence.trust import anchor_fault
from interlock.gates.records import DecisionRecord, GateEvalRecord
from interlock.gates.spec import ScenarioSpec
from interlock.gates.values import hash_of, read
from interlock.packs.runpack.model import (
    DECISIONS,
    FILE_BYTES_MAX,
    GATES,
    SPEC,
    Manifest,
    Report,
    anchors_of,
    root_of,
)

ReadFile = Callable[[str], bytes]
"""The bytes of a file of the runpack. Raises: `InterlockError`, `KeyError`."""


def checked(manifest: Manifest, read_file: ReadFile) -> Report:
    """The report of a runpack."""
    errors: list[str] = []
    count = 0
    for entry in manifest.integrity.file_hashes:
        try:
            content = read_file(entry.path)
        except (InterlockError, KeyError) as fault:
            errors.append(f"artifact read failed for {entry.path}: {_why(fault)}")
            continue
        count += 1
        if hash_of(content) != entry.hash:
            errors.append(f"hash mismatch for {entry.path}")
    if root_of(manifest.integrity.file_hashes) != manifest.integrity.root_hash:
        errors.append("root hash mismatch")
    for check in (_decisions(read_file), _anchors(manifest, read_file)):
        try:
            errors += check
        except (InterlockError, KeyError) as fault:
            errors.append(f"a log cannot be read: {_why(fault)}")
    return Report("fail" if errors else "pass", count, errors)


def _why(fault: InterlockError | KeyError) -> str:
    return fault.message if isinstance(fault, InterlockError) else "it is not there"


def _decisions(read_file: ReadFile) -> Iterator[str]:
    seen: set[str] = set()
    for decision in read(read_file(DECISIONS), list[DecisionRecord], bytes_max=FILE_BYTES_MAX):
        if decision.trigger_id in seen:
            yield f"duplicate decision for trigger {decision.trigger_id}"
            return
        seen.add(decision.trigger_id)


def _anchors(manifest: Manifest, read_file: ReadFile) -> Iterator[str]:
    anchors = anchors_of(manifest)
    if not anchors:
        return
    spec = read(read_file(SPEC), ScenarioSpec, bytes_max=FILE_BYTES_MAX)
    providers = {each.condition_id: each.query.provider_id for each in spec.conditions}
    for gate in read(read_file(GATES), list[GateEvalRecord], bytes_max=FILE_BYTES_MAX):
        for record in gate.evidence:
            provider = providers.get(record.condition_id)
            if provider is None:
                yield f"evidence for a condition that is not defined: {record.condition_id}"
            elif provider in anchors and record.result.error is None:
                fault = anchor_fault(record.result.evidence_anchor, anchors[provider])
                if fault is not None:
                    yield f"anchor of {record.condition_id} for trigger {gate.trigger_id}: {fault}"
