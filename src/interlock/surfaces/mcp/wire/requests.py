"""What the reference's tools are asked: one record for each tool.

What it does: declares the arguments, member by member. What it does not do: it checks nothing but shapes.

Rules (seed 000): members that a record does not know are ignored; what is optional may also be null.
"""

from __future__ import annotations

from msgspec import Struct

from interlock.gates.evidence.records import EvidenceContext
from interlock.gates.records import (
    DataShapeRecord,
    FeedbackLevel,
    NextRequest,
    RunConfig,
    StatusRequest,
    SubmitRequest,
    TriggerEvent,
)
from interlock.gates.spec import EvidenceQuery, ScenarioSpec
from interlock.gates.values import NamespaceId, TenantId, Timestamp


class DefineScenario(Struct, frozen=True):
    """The scenario document."""

    spec: ScenarioSpec


class StartScenario(Struct, frozen=True):
    """What to start, with which run, and when."""

    scenario_id: str
    run_config: RunConfig
    started_at: Timestamp
    issue_entry_packets: bool


class ScenarioStatusCall(Struct, frozen=True):
    """Which run."""

    scenario_id: str
    request: StatusRequest


class ScenarioNextCall(Struct, frozen=True):
    """Who wants to go on in which run, and how much they want to be told."""

    scenario_id: str
    request: NextRequest
    feedback: FeedbackLevel | None = None


class ScenarioSubmitCall(Struct, frozen=True):
    """What is handed in to which run."""

    scenario_id: str
    request: SubmitRequest


class ScenarioTriggerCall(Struct, frozen=True):
    """What happened to which run."""

    scenario_id: str
    trigger: TriggerEvent


class QueryEvidence(Struct, frozen=True):
    """What is asked, and for whom."""

    query: EvidenceQuery
    context: EvidenceContext


class ExportRunpack(Struct, frozen=True):
    """Which run is exported, and to where."""

    scenario_id: str
    tenant_id: TenantId
    namespace_id: NamespaceId
    run_id: str
    generated_at: Timestamp
    include_verification: bool
    output_dir: str | None = None
    manifest_name: str | None = None


class VerifyRunpack(Struct, frozen=True):
    """Where the runpack is."""

    runpack_dir: str
    manifest_path: str


class Nothing(Struct, frozen=True):
    """No argument."""


class ProviderCall(Struct, frozen=True):
    """Which provider."""

    provider_id: str


class CheckCall(Struct, frozen=True):
    """Which check of which provider."""

    provider_id: str
    check_id: str


class RegisterSchema(Struct, frozen=True):
    """The data shape."""

    record: DataShapeRecord


class ListCall(Struct, frozen=True):
    """Which namespace, and which page: from `cursor` on, at most `limit` items (1 to 1000, by default 50)."""

    tenant_id: TenantId
    namespace_id: NamespaceId
    cursor: str | None = None
    limit: int | None = None


class SchemaCall(Struct, frozen=True):
    """Which data shape."""

    tenant_id: TenantId
    namespace_id: NamespaceId
    schema_id: str
    version: str


class SearchDocs(Struct, frozen=True):
    """What to look for, and how many sections to give at most (1 to 10, by default 3)."""

    query: str
    max_sections: int | None = None
