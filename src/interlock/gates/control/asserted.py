"""Prechecks over data that a caller asserts: what a stage would come to if they were true.

What it does: finds shape and scenario, holds the data against the one and the conditions against both, and evaluates
the stage. What it does not do: it asks no provider, and neither reads a run nor writes anything.

Rules (seed 000): the shape comes first, then the data, then the scenario, the tenant, the types; asserted evidence is
of the lane `asserted`, so that what needs verified evidence stays unknown; a scenario that comes with the request is
held to the same rules as one that is defined.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from interlock.base.principal import Principal
from interlock.engine.answer_schema import validator
from interlock.gates.config import ValidationSettings
from interlock.gates.control.admission import admitted, check_binding
from interlock.gates.control.definitions import Definitions
from interlock.gates.control.errors import PAYLOAD_UNFIT, PRECHECK_INVALID, TENANT_DENIED
from interlock.gates.control.precheck import precheck
from interlock.gates.control.scenario import Scenario
from interlock.gates.evidence.query import Evidence
from interlock.gates.evidence.records import EvidenceResult
from interlock.gates.records import Prechecked
from interlock.gates.shapes.kept import ShapeKey
from interlock.gates.shapes.registry import Shapes
from interlock.gates.spec import ScenarioSpec
from interlock.gates.values import JsonValue, NamespaceId, TenantId


class DataShapeRef(Struct, frozen=True):
    """Which data shape."""

    schema_id: str
    version: str


class PrecheckRequest(Struct, frozen=True):
    """Asks what a stage would come to; the scenario by its id, or as a document, or both where they agree."""

    tenant_id: TenantId
    namespace_id: NamespaceId
    data_shape: DataShapeRef
    payload: Any
    scenario_id: str | None = None
    spec: ScenarioSpec | None = None
    stage_id: str | None = None


class Prechecks:
    """The prechecks of an installation."""

    def __init__(
        self, definitions: Definitions, shapes: Shapes, evidence: Evidence, validation: ValidationSettings
    ) -> None:
        self._definitions = definitions
        self._shapes = shapes
        self._evidence = evidence
        self._validation = validation

    async def precheck(self, request: PrecheckRequest, *, principal: Principal) -> Prechecked:
        """What the stage, by default the first, would come to.

        Raises: `shape_not_found`, `payload_unfit`, `precheck_invalid`, `scenario_not_found`, `tenant_denied`,
        `stage_not_found`, `provider_not_offered`, and as `admitted`, `check_binding` and `precheck`.
        """
        shape = request.data_shape
        key = ShapeKey(request.tenant_id, request.namespace_id, shape.schema_id, shape.version)
        schema = (await self._shapes.get(key, principal)).schema
        _check_payload(schema, request.payload)
        scenario = await self._scenario(request, principal)
        if scenario.spec.default_tenant_id not in (None, request.tenant_id):
            raise TENANT_DENIED.error("the scenario is of another tenant")
        check_binding(scenario.spec, schema, self._validation)
        return precheck(
            scenario,
            request.stage_id,
            asserted_evidence(scenario.spec, request.payload),
            self._evidence.judged,
        )

    async def _scenario(self, request: PrecheckRequest, principal: Principal) -> Scenario:
        spec, scenario_id = request.spec, request.scenario_id
        if spec is None:
            if scenario_id is None:
                raise PRECHECK_INVALID.error("scenario_id or spec is required")
            return await self._definitions.find(
                request.namespace_id, scenario_id, request.tenant_id, principal=principal
            )
        if scenario_id not in (None, spec.scenario_id):
            raise PRECHECK_INVALID.error("scenario_id does not match spec")
        if spec.namespace_id != request.namespace_id:
            raise PRECHECK_INVALID.error("namespace_id does not match spec")
        self._evidence.offered.check_spec(principal, spec)
        normal = admitted(spec, self._evidence.contracts, self._validation)
        return Scenario(normal.spec, normal.spec_hash)


def _check_payload(schema: Any, payload: Any) -> None:
    fault = next(validator(schema).iter_errors(payload), None)
    if fault is not None:
        place = "".join(f"/{step}" for step in fault.instance_path)
        raise PAYLOAD_UNFIT.error("payload does not match schema", place=place or "/")


def asserted_evidence(spec: ScenarioSpec, payload: Any) -> dict[str, EvidenceResult]:
    """Evidence by condition: the member of that name, or the payload itself for the one condition that there is.

    Raises: `precheck_invalid`.
    """
    ids = [condition.condition_id for condition in spec.conditions]
    if isinstance(payload, dict):
        return {each: _asserted(payload[each]) for each in ids if each in payload}
    if len(ids) != 1:
        raise PRECHECK_INVALID.error("payload must be an object keyed by condition ids")
    return {ids[0]: _asserted(payload)}


def _asserted(value: Any) -> EvidenceResult:
    return EvidenceResult(JsonValue(value), "asserted")
