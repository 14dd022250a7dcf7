"""The tools of scenarios on the reference's wire, over the control of runs.

What it does: checks the namespace, calls the service, and gives its answer the wire's members. What it does not do: it
decides nothing.

Rules (seed 000): a scenario that is defined is a conflict, also for the same document; feedback is read from the gates
that were evaluated for the caller's own trigger; a page has a token wherever it has an item.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from interlock.gates.control.admission import admitted
from interlock.gates.control.asserted import PrecheckRequest
from interlock.gates.control.errors import SCENARIO_CONFLICT
from interlock.gates.control.feedback import feedback_of, granted
from interlock.gates.control.namespaces import check_namespace
from interlock.gates.control.reading import Answered
from interlock.gates.evidence.disclosure import redacted
from interlock.gates.evidence.records import EvidenceResult
from interlock.gates.records import GateEvalRecord, Submitted, TriggerResult
from interlock.gates.spec import ScenarioSpec
from interlock.surfaces.errors import WIRE_INPUT_INVALID
from interlock.surfaces.mcp.wire import requests as r
from interlock.surfaces.mcp.wire.answers import DefinedScenario, NextAnswer, Page
from interlock.surfaces.mcp.wire.services import WireServices

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 1000


def check_place(services: WireServices, tenant_id: int | None, namespace_id: int) -> None:
    """Refuse a namespace that may not be used. Raises: `namespace_denied`."""
    check_namespace(services.settings.namespace, tenant_id, namespace_id)


def limit_of(call: r.ListCall) -> int:
    """The number of items of a page. Raises: `wire_input_invalid`."""
    limit = LIMIT_DEFAULT if call.limit is None else call.limit
    if not 1 <= limit <= LIMIT_MAX:
        raise WIRE_INPUT_INVALID.error(f"limit must be between 1 and {LIMIT_MAX}", place="limit")
    return limit


async def define(services: WireServices, call: r.DefineScenario) -> Any:
    """`scenario_define`."""
    spec = call.spec
    check_place(services, spec.default_tenant_id, spec.namespace_id)
    normal = admitted(spec, services.evidence.contracts, services.settings.validation)
    defined = await services.definitions.define(normal.spec, principal=services.principal)
    if not defined.fresh:
        raise SCENARIO_CONFLICT.error("scenario already defined")
    return DefinedScenario(defined.scenario_id, defined.spec_hash)


async def start(services: WireServices, call: r.StartScenario) -> Any:
    """`scenario_start`."""
    config = call.run_config
    check_place(services, config.tenant_id, config.namespace_id)
    return await services.runs.start(
        call.scenario_id,
        config,
        call.started_at,
        issue_entry_packets=call.issue_entry_packets,
        principal=services.principal,
    )


async def status(services: WireServices, call: r.ScenarioStatusCall) -> Any:
    """`scenario_status`."""
    check_place(services, call.request.tenant_id, call.request.namespace_id)
    return await services.runs.status(call.scenario_id, call.request, principal=services.principal)


async def next_step(services: WireServices, call: r.ScenarioNextCall) -> Any:
    """`scenario_next`."""
    request = call.request
    check_place(services, request.tenant_id, request.namespace_id)
    answered = await services.runs.next(call.scenario_id, request, principal=services.principal)
    grant = granted(services.settings.feedback.scenario_next, call.feedback, services.caller)
    gates = [gate for gate in answered.gates if gate.trigger_id == request.trigger_id]
    spec = await _spec(services, call)
    feedback = feedback_of(grant, call.feedback, gates, lambda gate: _redacted(services, spec, gate))
    return NextAnswer(answered.decision, answered.packets, answered.status, feedback)


async def trigger(services: WireServices, call: r.ScenarioTriggerCall) -> Any:
    """`scenario_trigger`."""
    check_place(services, call.trigger.tenant_id, call.trigger.namespace_id)
    return _result(await services.runs.trigger(call.scenario_id, call.trigger, principal=services.principal))


async def submit(services: WireServices, call: r.ScenarioSubmitCall) -> Any:
    """`scenario_submit`."""
    check_place(services, call.request.tenant_id, call.request.namespace_id)
    record = await services.runs.submit(call.scenario_id, call.request, principal=services.principal)
    return Submitted(record)


async def listed(services: WireServices, call: r.ListCall) -> Any:
    """`scenarios_list`."""
    check_place(services, call.tenant_id, call.namespace_id)
    items = await services.definitions.listed(
        call.namespace_id, call.tenant_id, call.cursor or "", limit_of(call), principal=services.principal
    )
    return Page(list(items), items[-1].scenario_id if items else None)


async def precheck(services: WireServices, call: PrecheckRequest) -> Any:
    """`precheck`."""
    check_place(services, call.tenant_id, call.namespace_id)
    return await services.prechecks.precheck(call, principal=services.principal)


def _result(answered: Answered) -> TriggerResult:
    return TriggerResult(answered.decision, answered.packets, answered.status)


async def _spec(services: WireServices, call: r.ScenarioNextCall) -> ScenarioSpec:
    request = call.request
    found = await services.definitions.find(
        request.namespace_id, call.scenario_id, request.tenant_id, principal=services.principal
    )
    return found.spec


def _redacted(services: WireServices, spec: ScenarioSpec, gate: GateEvalRecord) -> GateEvalRecord:
    """A gate's record as it may be shown: evidence without raw values, unless these are disclosed."""
    providers = {each.condition_id: each.query.provider_id for each in spec.conditions}

    def shown(condition_id: str, result: EvidenceResult) -> EvidenceResult:
        if result.error is not None:
            result = replace(result, value=None, content_type=None, evidence_hash=None)
        return redacted(result, raw=services.evidence.shows_raw(providers[condition_id]))

    evidence = [replace(each, result=shown(each.condition_id, each.result)) for each in gate.evidence]
    return replace(gate, evidence=evidence)
