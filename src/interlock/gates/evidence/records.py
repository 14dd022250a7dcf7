"""The shapes of evidence: a question's context, and what comes back.

What it does: declares the records of seed 000. What it does not do: it asks nobody and believes nothing.

Rule: every member is written, also where it is null: these records are hashed and exported.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from interlock.gates.spec import Lane
from interlock.gates.values import HashDigest, NamespaceId, TenantId, Timestamp, Value

Determinism = Literal["deterministic", "time_dependent", "external"]


class EvidenceContext(Struct, frozen=True):
    """For whom and when evidence is asked for. The time is the trigger's, never a clock's."""

    tenant_id: TenantId
    namespace_id: NamespaceId
    run_id: str
    scenario_id: str
    stage_id: str
    trigger_id: str
    trigger_time: Timestamp
    correlation_id: str | None = None


class EvidenceError(Struct, frozen=True):
    """Why there is no evidence."""

    code: str
    message: str
    details: Any = None


class EvidenceRef(Struct, frozen=True):
    """Where the evidence can be looked up."""

    uri: str


class EvidenceAnchor(Struct, frozen=True):
    """What the evidence is tied to."""

    anchor_type: str
    anchor_value: str


class EvidenceSignature(Struct, frozen=True):
    """A provider's signature over the evidence's hash."""

    scheme: str
    key_id: str
    signature: list[Annotated[int, Meta(ge=0, le=255)]]


class EvidenceResult(Struct, frozen=True):
    """What a provider answered: a value, or an error, or neither."""

    value: Value | None = None
    lane: Lane = "verified"
    error: EvidenceError | None = None
    evidence_hash: HashDigest | None = None
    evidence_ref: EvidenceRef | None = None
    evidence_anchor: EvidenceAnchor | None = None
    signature: EvidenceSignature | None = None
    content_type: str | None = None


def failed(code: str, message: str, details: Any = None) -> EvidenceResult:
    """Evidence that is an error."""
    return EvidenceResult(error=EvidenceError(code, message, details))
