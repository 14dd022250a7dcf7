"""What the reference's tools answer, where no record of gates is the answer itself.

What it does: declares the answers, member by member. What it does not do: it makes none.

Rule (seed 000): members stand as the contract has them; only those that are marked optional there are left out.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from interlock.gates.evidence.contracts import CheckExample, ContractSource, ProviderContract
from interlock.gates.evidence.records import Determinism, EvidenceResult
from interlock.gates.records import DataShapeRecord, DecisionRecord, Feedback, PacketRecord, RunStatus
from interlock.gates.spec import Comparator
from interlock.gates.values import HashDigest


class DefinedScenario(Struct, frozen=True):
    """A scenario that is defined."""

    scenario_id: str
    spec_hash: HashDigest


class NextAnswer(Struct, frozen=True):
    """What a call of `scenario_next` came to."""

    decision: DecisionRecord
    packets: list[PacketRecord]
    status: RunStatus
    feedback: Feedback | UnsetType = UNSET


class EvidenceAnswer(Struct, frozen=True):
    """Evidence, as far as it may be shown."""

    result: EvidenceResult


class ProviderSummary(Struct, frozen=True):
    """A provider in the list."""

    provider_id: str
    transport: str
    checks: list[str]


class ProviderList(Struct, frozen=True):
    """The providers that can be asked."""

    providers: list[ProviderSummary]


class ContractAnswer(Struct, frozen=True):
    """The contract of a provider."""

    provider_id: str
    contract: ProviderContract
    contract_hash: HashDigest
    source: ContractSource
    version: str | None = None


class CheckAnswer(Struct, frozen=True):
    """What a check takes and gives."""

    provider_id: str
    check_id: str
    params_required: bool
    params_schema: Any
    result_schema: Any
    allowed_comparators: list[Comparator]
    determinism: Determinism
    anchor_types: list[str]
    content_types: list[str]
    examples: list[CheckExample]
    contract_hash: HashDigest


class SchemaAnswer(Struct, frozen=True):
    """A data shape."""

    record: DataShapeRecord


class Page(Struct, frozen=True):
    """A page of a list; the token is there for every page that has items, also for the last one."""

    items: list[Any]
    next_token: str | None
