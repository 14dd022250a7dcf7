"""Scenario documents: the shapes of seed 000, field by field.

What it does: declares `ScenarioSpec` and its parts, and the hash that names a scenario. What it does not do: it checks
no reference between parts (`scenario.validate`), and nothing but shapes.

Members that the contract does not have: `on_hold`, `auto_tick`, `max_age_ms`; a document without them has the hash that
it has elsewhere.

Rules: `expected` that is absent is written as null, while `params` and `trust` that are absent are left out: hashes
rest on it. `policies` and `schemas` document; nothing resolves them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import force_setattr

from interlock.gates.logic.tree import Requirement
from interlock.gates.values import HashDigest, NamespaceId, TenantId, Timestamp, hash_of, wire

Lane = Literal["verified", "asserted"]
Comparator = Literal[
    "equals",
    "not_equals",
    "greater_than",
    "greater_than_or_equal",
    "less_than",
    "less_than_or_equal",
    "lex_greater_than",
    "lex_greater_than_or_equal",
    "lex_less_than",
    "lex_less_than_or_equal",
    "contains",
    "in_set",
    "deep_equals",
    "deep_not_equals",
    "exists",
    "not_exists",
]
"""In the order that provider contracts keep."""
GateOutcome = Literal["true", "false", "unknown"]


class TrustRequirement(Struct, frozen=True):
    """The lane that evidence must come from at least."""

    min_lane: Lane


class Linear(Struct, frozen=True, tag="linear", tag_field="kind"):
    """On to the next stage of the list; after the last one, the end."""


class Fixed(Struct, frozen=True, tag="fixed", tag_field="kind"):
    """On to a named stage."""

    stage_id: str


class BranchRule(Struct, frozen=True):
    """Where it goes on if a gate has this outcome."""

    gate_id: str
    outcome: GateOutcome
    next_stage_id: str


class Branch(Struct, frozen=True, tag="branch", tag_field="kind"):
    """On to where the first rule that fits leads, else to `default`."""

    branches: list[BranchRule]
    default: str | None = None


class Terminal(Struct, frozen=True, tag="terminal", tag_field="kind"):
    """The end."""


AdvanceTo = Linear | Fixed | Branch | Terminal


class TimeoutSpec(Struct, frozen=True):
    """When a stage has lasted too long, in the unit of its time. The tags are kept and never evaluated."""

    timeout_ms: Annotated[int, Meta(ge=0)]
    policy_tags: list[str]


OnTimeout = Literal["fail", "advance_with_flag", "alternate_branch"]


class GateSpec(Struct, frozen=True):
    """What must hold for a stage to open. `trust` tightens the lane for this gate."""

    gate_id: str
    requirement: Requirement
    trust: TrustRequirement | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        """An absent member is left out, however it was spelled."""
        if self.trust is None:
            force_setattr(self, "trust", UNSET)


class EvidenceQuery(Struct, frozen=True):
    """What is asked of a provider."""

    provider_id: str
    check_id: str
    params: Any | UnsetType = UNSET

    def __post_init__(self) -> None:
        """An absent member is left out, however it was spelled."""
        if self.params is None:
            force_setattr(self, "params", UNSET)


class ConditionSpec(Struct, frozen=True):
    """A leaf of requirements: what is asked, and how the answer is compared.

    Evidence that was observed more than `max_age_ms` before the trigger is unknown.
    """

    condition_id: str
    query: EvidenceQuery
    comparator: Comparator
    policy_tags: list[str]
    expected: Any = None
    trust: TrustRequirement | UnsetType | None = UNSET
    max_age_ms: Annotated[int, Meta(ge=1)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        """An absent member is left out, however it was spelled."""
        if self.trust is None:
            force_setattr(self, "trust", UNSET)


class ContentRef(Struct, frozen=True):
    """Content that lies elsewhere."""

    uri: str
    content_hash: HashDigest
    encryption: str | None = None


class JsonPayload(Struct, frozen=True, tag="json", tag_field="kind"):
    """A payload that is a JSON value."""

    value: Any


class BytesPayload(Struct, frozen=True, tag="bytes", tag_field="kind"):
    """A payload of bytes, as the list of their values."""

    bytes: list[Annotated[int, Meta(ge=0, le=255)]]


class ExternalPayload(Struct, frozen=True, tag="external", tag_field="kind"):
    """A payload that is named by its digest."""

    content_ref: ContentRef


Payload = JsonPayload | BytesPayload | ExternalPayload


class PacketSpec(Struct, frozen=True):
    """What is disclosed when a stage is entered. `expiry` is handed on and never enforced."""

    packet_id: str
    schema_id: str
    content_type: str
    visibility_labels: list[str]
    policy_tags: list[str]
    payload: Payload
    expiry: Timestamp | None = None


class StageSpec(Struct, frozen=True):
    """A stage: what is disclosed on the way in, what must hold, and where it leads.

    With `on_hold: branch`, a branch is also taken by gates that do not hold; with `auto_tick`, the end of the stage's
    time makes its own tick.
    """

    stage_id: str
    entry_packets: list[PacketSpec]
    gates: list[GateSpec]
    advance_to: AdvanceTo
    on_timeout: OnTimeout
    timeout: TimeoutSpec | None = None
    on_hold: Literal["hold", "branch"] | UnsetType = UNSET
    auto_tick: bool | UnsetType = UNSET


class PolicyRef(Struct, frozen=True):
    """A policy that the scenario speaks of."""

    policy_id: str
    description: str | None = None


class SchemaRef(Struct, frozen=True):
    """A schema that the scenario speaks of."""

    schema_id: str
    version: str | None = None
    uri: str | None = None


class ScenarioSpec(Struct, frozen=True):
    """A scenario document."""

    scenario_id: str
    namespace_id: NamespaceId
    spec_version: str
    stages: list[StageSpec]
    conditions: list[ConditionSpec]
    policies: list[PolicyRef]
    schemas: list[SchemaRef]
    default_tenant_id: TenantId | None = None


def spec_hash(spec: ScenarioSpec) -> HashDigest:
    """The digest that names a scenario: that of its canonical bytes."""
    return hash_of(wire(spec))
