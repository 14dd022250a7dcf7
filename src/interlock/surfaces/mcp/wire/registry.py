"""The tools of evidence, providers, data shapes, runpacks and documentation on the reference's wire.

What it does: checks the namespace where there is one, calls the service, and gives its answer the wire's members. What
it does not do: it decides nothing.

Rules (seed 000): contracts are shown of providers that are not hidden, and up to a size; the cursor of data shapes is
the JSON text of the last one's id and version, and need not be of one that is there.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.gates.evidence.contracts import Registered
from interlock.gates.records import DataShapeRecord
from interlock.gates.shapes.kept import ShapeKey
from interlock.gates.values import wire
from interlock.surfaces.errors import CONTRACT_HIDDEN, WIRE_ANSWER_TOO_LARGE, WIRE_INPUT_INVALID
from interlock.surfaces.mcp.wire import requests as r
from interlock.surfaces.mcp.wire.answers import (
    CheckAnswer,
    ContractAnswer,
    EvidenceAnswer,
    Page,
    ProviderList,
    ProviderSummary,
    SchemaAnswer,
)
from interlock.surfaces.mcp.wire.scenarios import check_place, limit_of
from interlock.surfaces.mcp.wire.services import WireServices


class SchemaCursor(Struct, frozen=True):
    """The last data shape of a page."""

    schema_id: str
    version: str


async def query(services: WireServices, call: r.QueryEvidence) -> Any:
    """`evidence_query`."""
    services.evidence.offered.check(services.principal, call.query.provider_id)
    check_place(services, call.context.tenant_id, call.context.namespace_id)
    tenant = services.principal.tenant
    return EvidenceAnswer(await services.evidence.query(call.query, call.context, tenant=tenant))


async def providers(services: WireServices, _call: r.Nothing) -> Any:
    """`providers_list`."""
    contracts = [each.contract for each in services.evidence.contracts.all()]
    return ProviderList(
        [
            ProviderSummary(each.provider_id, each.transport, [check.check_id for check in each.checks])
            for each in contracts
        ]
    )


async def contract(services: WireServices, call: r.ProviderCall) -> Any:
    """`provider_contract_get`."""
    found = _shown(services, call.provider_id)
    return _bounded(services, ContractAnswer(call.provider_id, found.contract, found.hash, found.source))


async def check_schema(services: WireServices, call: r.CheckCall) -> Any:
    """`provider_check_schema_get`."""
    _not_blank("check_id", call.check_id)
    found = _shown(services, call.provider_id)
    check = services.evidence.contracts.check(call.provider_id, call.check_id).contract
    answer = CheckAnswer(
        provider_id=call.provider_id,
        check_id=check.check_id,
        params_required=check.params_required,
        params_schema=check.params_schema,
        result_schema=check.result_schema,
        allowed_comparators=check.allowed_comparators,
        determinism=check.determinism,
        anchor_types=check.anchor_types,
        content_types=check.content_types,
        examples=check.examples,
        contract_hash=found.hash,
    )
    return _bounded(services, answer)


def _shown(services: WireServices, provider_id: str) -> Registered:
    _not_blank("provider_id", provider_id)
    if not services.settings.provider_discovery.shows(provider_id):
        raise CONTRACT_HIDDEN.error("the contract of this provider is not shown")
    return services.evidence.contract(provider_id)


def _not_blank(name: str, value: str) -> None:
    if not value.strip():
        raise WIRE_INPUT_INVALID.error(f"{name} must be non-empty", place=name)


def _bounded(services: WireServices, answer: Struct) -> Any:
    """An answer that is not too large. Raises: `wire_answer_too_large`."""
    limit, size = services.settings.provider_discovery.max_response_bytes, len(wire(answer))
    if size > limit:
        raise WIRE_ANSWER_TOO_LARGE.error(f"provider discovery response exceeds size limit ({size} > {limit})")
    return answer


async def register(services: WireServices, call: r.RegisterSchema) -> Any:
    """`schemas_register`."""
    check_place(services, call.record.tenant_id, call.record.namespace_id)
    return SchemaAnswer(await services.shapes.register(call.record, services.principal))


async def shapes(services: WireServices, call: r.ListCall) -> Any:
    """`schemas_list`."""
    check_place(services, call.tenant_id, call.namespace_id)
    after = None if call.cursor is None else _place(call.cursor)
    page = await services.shapes.page(call.tenant_id, call.namespace_id, after, limit_of(call), services.principal)
    return Page(list(page.items), _cursor(page.items[-1]) if page.items else None)


async def shape(services: WireServices, call: r.SchemaCall) -> Any:
    """`schemas_get`."""
    check_place(services, call.tenant_id, call.namespace_id)
    key = ShapeKey(call.tenant_id, call.namespace_id, call.schema_id, call.version)
    return SchemaAnswer(await services.shapes.get(key, services.principal))


def _cursor(last: DataShapeRecord) -> str:
    return msgspec.json.encode(SchemaCursor(last.schema_id, last.version)).decode()


def _place(cursor: str) -> tuple[str, str]:
    try:
        found = msgspec.json.decode(cursor, type=SchemaCursor)
    except (msgspec.MsgspecError, InterlockError):
        raise WIRE_INPUT_INVALID.error("the cursor is none of ours", place="cursor") from None
    return found.schema_id, found.version


async def export(services: WireServices, call: r.ExportRunpack) -> Any:
    """`runpack_export`."""
    check_place(services, call.tenant_id, call.namespace_id)
    return await services.runpacks.export(call, principal=services.principal)


async def verify(services: WireServices, call: r.VerifyRunpack) -> Any:
    """`runpack_verify`."""
    return await services.runpacks.verify(call, principal=services.principal)


async def search(services: WireServices, call: r.SearchDocs) -> Any:
    """`decision_gate_docs_search`."""
    return services.documents.library.search(call.query, call.max_sections)
