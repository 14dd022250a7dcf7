"""Run state: the records of a scenario's run, as clients and packs see them.

What it does: declares the shapes of seed 000 for runs, triggers, decisions, packets, submissions and tool calls.
What it does not do: it is no stream's event (`control.events`) and decides nothing.

Rules: every member is written, also where it is null; logs are in the order in which things happened; sequence numbers
begin at 1 in each log.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import force_setattr

from interlock.gates.evidence.records import EvidenceResult
from interlock.gates.logic.status import Status
from interlock.gates.spec import Payload
from interlock.gates.values import HashDigest, NamespaceId, TenantId, Timestamp

TriggerKind = Literal["agent_request_next", "tick", "external_event", "backend_event"]
RunStatus = Literal["active", "completed", "failed"]


class AgentTarget(Struct, frozen=True, tag="agent", tag_field="kind"):
    """An agent."""

    agent_id: str


class SessionTarget(Struct, frozen=True, tag="session", tag_field="kind"):
    """A session."""

    session_id: str


class ExternalTarget(Struct, frozen=True, tag="external", tag_field="kind"):
    """Another system, and what of it."""

    system: str
    target: str


class ChannelTarget(Struct, frozen=True, tag="channel", tag_field="kind"):
    """A channel."""

    channel: str


DispatchTarget = AgentTarget | SessionTarget | ExternalTarget | ChannelTarget


class RunConfig(Struct, frozen=True):
    """What a run is started with."""

    tenant_id: TenantId
    namespace_id: NamespaceId
    run_id: str
    scenario_id: str
    dispatch_targets: list[DispatchTarget]
    policy_tags: list[str]


class TriggerEvent(Struct, frozen=True):
    """Something that makes a stage be looked at."""

    trigger_id: str
    tenant_id: TenantId
    namespace_id: NamespaceId
    run_id: str
    kind: TriggerKind
    time: Timestamp
    source_id: str
    payload: Payload | None = None
    correlation_id: str | None = None


class TriggerRecord(Struct, frozen=True):
    """A trigger at its place."""

    seq: int
    event: TriggerEvent


class Traced(Struct, frozen=True):
    """A leaf that was visited, and what it was."""

    condition_id: str
    status: Status


class GateEvaluation(Struct, frozen=True):
    """What a gate is, and what each of its leaves was, in the order of the tree."""

    gate_id: str
    status: Status
    trace: list[Traced]


class EvidenceRecord(Struct, frozen=True):
    """The evidence of a condition, and what its comparator made of it."""

    condition_id: str
    status: Status
    result: EvidenceResult


class GateEvalRecord(Struct, frozen=True):
    """A gate as it was evaluated for a trigger; the evidence stands in the order of its conditions' bytes."""

    trigger_id: str
    stage_id: str
    evaluation: GateEvaluation
    evidence: list[EvidenceRecord]


class SafeSummary(Struct, frozen=True):
    """What may be said of a stage that did not open: never a value of evidence."""

    status: str
    unmet_gates: list[str]
    retry_hint: str
    policy_tags: list[str]


class Started(Struct, frozen=True, tag="start", tag_field="kind"):
    """The first stage was entered, with its packets."""

    stage_id: str


class Completed(Struct, frozen=True, tag="complete", tag_field="kind"):
    """The last stage has opened."""

    stage_id: str


class Advanced(Struct, frozen=True, tag="advance", tag_field="kind"):
    """A stage has opened, or its time has passed."""

    from_stage: str
    to_stage: str
    timeout: bool


class Held(Struct, frozen=True, tag="hold", tag_field="kind"):
    """Something is missing."""

    summary: SafeSummary


class Failed(Struct, frozen=True, tag="fail", tag_field="kind"):
    """The run has failed."""

    reason: str


DecisionOutcome = Started | Completed | Advanced | Held | Failed


class DecisionRecord(Struct, frozen=True):
    """What was decided for a trigger, in the stage in which it was decided."""

    decision_id: str
    seq: int
    trigger_id: str
    stage_id: str
    decided_at: Timestamp
    outcome: DecisionOutcome
    correlation_id: str | None = None


class Visibility(Struct, frozen=True):
    """To whom a packet may be shown."""

    labels: list[str]
    policy_tags: list[str]


class PacketEnvelope(Struct, frozen=True):
    """A packet without its content."""

    scenario_id: str
    run_id: str
    stage_id: str
    packet_id: str
    schema_id: str
    content_type: str
    content_hash: HashDigest
    visibility: Visibility
    issued_at: Timestamp
    expiry: Timestamp | None = None
    correlation_id: str | None = None


class DispatchReceipt(Struct, frozen=True):
    """That a packet was handed over to a target."""

    dispatch_id: str
    target: DispatchTarget
    receipt_hash: HashDigest
    dispatched_at: Timestamp
    dispatcher: str


class PacketRecord(Struct, frozen=True):
    """A packet that was issued, and to whom."""

    envelope: PacketEnvelope
    payload: Payload
    receipts: list[DispatchReceipt]
    decision_id: str


class SubmissionRecord(Struct, frozen=True):
    """What somebody handed in."""

    submission_id: str
    run_id: str
    payload: Payload
    content_type: str
    content_hash: HashDigest
    submitted_at: Timestamp
    correlation_id: str | None = None


class ProviderMissing(Struct, frozen=True, tag="provider_missing", tag_field="kind"):
    """Providers that the scenario needs and nobody has."""

    missing_providers: list[str]
    required_capabilities: list[str]
    blocked_by_policy: bool


class Message(Struct, frozen=True, tag="message", tag_field="kind"):
    """Words."""

    info: str


class ToolCallError(Struct, frozen=True):
    """How a call failed."""

    code: str
    message: str
    details: ProviderMissing | Message | None = None


class ToolCallRecord(Struct, frozen=True):
    """A call that was made, by the digests of what was asked and answered."""

    call_id: str
    method: str
    request_hash: HashDigest
    response_hash: HashDigest
    called_at: Timestamp
    correlation_id: str | None = None
    error: ToolCallError | None = None


class RunState(Struct, frozen=True):
    """A run with all its logs."""

    tenant_id: TenantId
    namespace_id: NamespaceId
    run_id: str
    scenario_id: str
    spec_hash: HashDigest
    current_stage_id: str
    stage_entered_at: Timestamp
    status: RunStatus
    dispatch_targets: list[DispatchTarget]
    triggers: list[TriggerRecord]
    gate_evals: list[GateEvalRecord]
    decisions: list[DecisionRecord]
    packets: list[PacketRecord]
    submissions: list[SubmissionRecord]
    tool_calls: list[ToolCallRecord]


class StatusRequest(Struct, frozen=True):
    """Asks how a run stands."""

    run_id: str
    tenant_id: TenantId
    namespace_id: NamespaceId
    requested_at: Timestamp
    correlation_id: str | None = None


class ScenarioStatus(Struct, frozen=True):
    """How a run stands; the summary only if the last decision holds it."""

    run_id: str
    scenario_id: str
    current_stage_id: str
    status: RunStatus
    last_decision: DecisionRecord | None
    issued_packet_ids: list[str]
    safe_summary: SafeSummary | None


class NextRequest(Struct, frozen=True):
    """An agent asks to go on."""

    run_id: str
    tenant_id: TenantId
    namespace_id: NamespaceId
    trigger_id: str
    agent_id: str
    time: Timestamp
    correlation_id: str | None = None


class TriggerResult(Struct, frozen=True):
    """What a trigger came to: the decision, the packets that it issued, and how the run stands."""

    decision: DecisionRecord
    packets: list[PacketRecord]
    status: RunStatus


class SubmitRequest(Struct, frozen=True):
    """Somebody hands something in."""

    run_id: str
    tenant_id: TenantId
    namespace_id: NamespaceId
    submission_id: str
    payload: Payload
    content_type: str
    submitted_at: Timestamp
    correlation_id: str | None = None


class Submitted(Struct, frozen=True):
    """What was handed in, as it is kept."""

    record: SubmissionRecord


class Prechecked(Struct, frozen=True):
    """What a decision would be, with nothing read and nothing written."""

    decision: DecisionOutcome
    gate_evaluations: list[GateEvaluation]


FeedbackLevel = Literal["summary", "trace", "evidence"]


class Feedback(Struct, frozen=True):
    """What is told beside a decision, as far as the caller may know."""

    level: FeedbackLevel
    denied_reason: str | UnsetType = UNSET
    gate_evaluations: list[GateEvaluation] | UnsetType = UNSET
    gate_records: list[GateEvalRecord] | UnsetType = UNSET


class SigningMetadata(Struct, frozen=True):
    """Who signed a shape; kept, not verified. An absent algorithm is left out."""

    key_id: str
    signature: str
    algorithm: str | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        """An absent member is left out, however it was spelled."""
        if self.algorithm is None:
            force_setattr(self, "algorithm", UNSET)


class DataShapeRecord(Struct, frozen=True):
    """A JSON Schema under an id and a version. It never changes. Absent signing metadata is left out."""

    tenant_id: TenantId
    namespace_id: NamespaceId
    schema_id: Annotated[str, Meta(min_length=1)]
    version: Annotated[str, Meta(min_length=1)]
    schema: Any
    created_at: Timestamp
    description: str | None = None
    signing: SigningMetadata | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        """An absent member is left out, however it was spelled."""
        if self.signing is None:
            force_setattr(self, "signing", UNSET)
