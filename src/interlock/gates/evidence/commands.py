"""The verbs about evidence: what providers can be asked, and what one answers now.

What it does: lists and shows contracts, and asks one check for a person. What it does not do: nothing that is asked
here belongs to a run, and nothing is recorded.

Rules: raw values are shown only where the configuration and the provider allow it; else their hash stands for them.
Who is not the user of this machine has only those asked that are offered (`offered`).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct

from interlock.base.part import CallContext, Command, Effect
from interlock.gates.evidence.contracts import CheckContract, ProviderContract
from interlock.gates.evidence.query import Evidence
from interlock.gates.evidence.records import EvidenceContext, EvidenceResult
from interlock.gates.spec import EvidenceQuery
from interlock.gates.values import HashDigest, NamespaceId, TenantId, UnixMillis
from interlock.journal.journal import Journal

ProviderName = Annotated[str, Meta(min_length=1, max_length=255, description="The provider's id.")]
CheckName = Annotated[str, Meta(min_length=1, max_length=255, description="The check's id.")]
NOBODY = "evidence-query"


class QueryInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to ask."""

    provider: ProviderName
    check: CheckName
    params: Annotated[Raw | None, Meta(description="The check's parameters, as JSON.")] = None
    tenant: Annotated[TenantId, Meta(description="The tenant's number.")] = 1
    namespace: Annotated[NamespaceId, Meta(description="The namespace's number.")] = 1


class QueryAnswer(Struct, frozen=True):
    """What the provider answered, as far as it may be shown."""

    provider: str
    check: str
    result: EvidenceResult


class ListProviders(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All providers."""


class ProviderRow(Struct, frozen=True):
    """A provider in the list."""

    provider: str
    transport: str
    checks: list[str]
    name: str


class ProviderList(Struct, frozen=True):
    """The providers of this installation."""

    items: list[ProviderRow]


class ProviderInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which provider."""

    provider: ProviderName


class ProviderReport(Struct, frozen=True):
    """A provider's contract."""

    provider: str
    name: str
    description: str
    source: str
    contract_hash: HashDigest
    checks: list[CheckContract]
    contract: ProviderContract


async def _query(ctx: CallContext, given: QueryInput) -> QueryAnswer:
    evidence = ctx.services.get(Evidence)
    evidence.offered.check(ctx.principal, given.provider)
    params = UNSET if given.params is None else msgspec.json.decode(given.params)
    context = EvidenceContext(
        tenant_id=given.tenant,
        namespace_id=given.namespace,
        run_id=NOBODY,
        scenario_id=NOBODY,
        stage_id=NOBODY,
        trigger_id=NOBODY,
        trigger_time=UnixMillis(ctx.services.get(Journal).now_ms()),
    )
    query = EvidenceQuery(given.provider, given.check, params)
    result = await evidence.query(query, context, tenant=ctx.principal.tenant)
    return QueryAnswer(given.provider, given.check, result)


async def _list(ctx: CallContext, _given: ListProviders) -> ProviderList:
    rows = [
        ProviderRow(
            each.contract.provider_id,
            each.contract.transport,
            [check.check_id for check in each.contract.checks],
            each.contract.name,
        )
        for each in ctx.services.get(Evidence).contracts.all()
    ]
    return ProviderList(rows)


async def _show(ctx: CallContext, given: ProviderInput) -> ProviderReport:
    found = ctx.services.get(Evidence).contract(given.provider)
    contract = found.contract
    return ProviderReport(
        contract.provider_id,
        contract.name,
        contract.description,
        found.source,
        found.hash,
        contract.checks,
        contract,
    )


COMMANDS = (
    Command(
        "evidence",
        "query",
        QueryInput,
        QueryAnswer,
        _query,
        "Ask one check of a provider now.",
        "interlock evidence query time after --params '{\"timestamp\": 0}'",
        "evidence.query",
        Effect.READS,
        positional=("provider", "check"),
        reads_store=lambda given: given.provider == "run",
    ),
    Command(
        "provider",
        "list",
        ListProviders,
        ProviderList,
        _list,
        "List the providers of evidence.",
        "interlock provider list",
        "provider.read",
        Effect.READS,
        reads_store=lambda _given: False,
    ),
    Command(
        "provider",
        "show",
        ProviderInput,
        ProviderReport,
        _show,
        "Show what a provider can be asked.",
        "interlock provider show time",
        "provider.read",
        Effect.READS,
        positional=("provider",),
        reads_store=lambda _given: False,
    ),
)
