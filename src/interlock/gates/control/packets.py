"""Entry packets: what is disclosed when a stage is entered, and the receipts of it.

What it does: makes the envelopes of a stage's packets, asks the disclosure policy for each target, and makes receipts.
What it does not do: it sends nothing; a subscription does, once the decision is durable.

Rules (seed 000): a packet that may not go to one target goes to none, and the error names the first refusal; the hash
of JSON is that of its canonical bytes, the hash of bytes theirs, and of what lies elsewhere the one that is declared.
"""

from __future__ import annotations

from collections.abc import Sequence

from interlock.gates.control.policy import DisclosurePolicy, refusal
from interlock.gates.records import DispatchReceipt, DispatchTarget, PacketEnvelope, PacketRecord, Visibility
from interlock.gates.spec import BytesPayload, ExternalPayload, JsonPayload, PacketSpec, Payload, StageSpec
from interlock.gates.values import HashDigest, Timestamp, hash_of, wire

DISPATCHER = "mcp"


def payload_hash(payload: Payload) -> HashDigest:
    """The hash of a payload's content."""
    match payload:
        case JsonPayload(value):
            return hash_of(wire(value))
        case BytesPayload(content):
            return hash_of(bytes(content))
        case ExternalPayload(reference):
            return reference.content_hash


def issue(
    stage: StageSpec,
    *,
    scenario_id: str,
    run_id: str,
    targets: Sequence[DispatchTarget],
    policy: DisclosurePolicy,
    issued_at: Timestamp,
    correlation_id: str | None,
    decision_id: str,
) -> list[PacketRecord]:
    """The packets of a stage, with a receipt for each target. Raises: `policy_denied`, `policy_failed`."""
    records = []
    for packet in stage.entry_packets:
        envelope = _envelope(packet, stage.stage_id, scenario_id, run_id, issued_at, correlation_id)
        receipts = [_receipt(envelope, target, policy) for target in targets]
        records.append(PacketRecord(envelope, packet.payload, receipts, decision_id))
    return records


def _envelope(
    packet: PacketSpec, stage_id: str, scenario_id: str, run_id: str, issued_at: Timestamp, correlation_id: str | None
) -> PacketEnvelope:
    return PacketEnvelope(
        scenario_id=scenario_id,
        run_id=run_id,
        stage_id=stage_id,
        packet_id=packet.packet_id,
        schema_id=packet.schema_id,
        content_type=packet.content_type,
        content_hash=payload_hash(packet.payload),
        visibility=Visibility(packet.visibility_labels, packet.policy_tags),
        issued_at=issued_at,
        expiry=packet.expiry,
        correlation_id=correlation_id,
    )


def _receipt(envelope: PacketEnvelope, target: DispatchTarget, policy: DisclosurePolicy) -> DispatchReceipt:
    refused = refusal(policy, envelope, target)
    if refused is not None:
        raise refused
    return DispatchReceipt(
        f"{DISPATCHER}-{envelope.packet_id}", target, hash_of(wire(envelope)), envelope.issued_at, DISPATCHER
    )
