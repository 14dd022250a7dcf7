"""The namespace `gates`: how a run of a plan begins and triggers a scenario, recorded like any other answer.

What it does: serves requests `begin_v1` (define a document, or find a scenario, and start a run of it) and `trigger_v1`
(a tick that looks at the run's stage, and explains it; or the decision that left `stage`, where there is one). What it
does not do: it reaches nothing outside of this installation; evidence providers do, behind the scenario.

Rules: both are repeated without harm: a definition, a run and a trigger are found again under their ids, and a run
under that id with another scenario or configuration is refused; a trigger's id begins with that of the plan's run, so
that several may wait for one scenario. A document is read for the user of this machine alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from interlock.base.canonical import Json
from interlock.base.errors import Conflict
from interlock.base.ids import shown
from interlock.base.part import Services, TransportFactory
from interlock.base.principal import ENGINE
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.requests import read_request
from interlock.gates.config import GatesSettings
from interlock.gates.control.definitions import Definitions
from interlock.gates.control.errors import SCENARIO_CALL_INVALID, SCENARIO_RUN_EXISTS
from interlock.gates.control.explaining import closings, explained
from interlock.gates.control.fold import ScenarioRun
from interlock.gates.control.reading import Answered
from interlock.gates.control.scenario import Scenario
from interlock.gates.control.service import ScenarioRuns
from interlock.gates.errors import SCENARIO_INVALID
from interlock.gates.evidence.query import Evidence
from interlock.gates.records import DispatchTarget, RunConfig, TriggerEvent
from interlock.gates.scenario.check import linter
from interlock.gates.spec import ScenarioSpec
from interlock.gates.values import UnixMillis, plain
from interlock.journal.journal import Journal

NAMESPACE = "gates"
Id = Annotated[str, Meta(min_length=1, max_length=400)]


class BeginRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="begin_v1", tag_field="kind"):
    """Begin a run of a scenario: by its id, or by a document that is defined first."""

    run: Id
    tenant: Annotated[int, Meta(ge=1)]
    namespace: Annotated[int, Meta(ge=1)]
    scenario: Id | None = None
    document: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    packets: bool = False
    targets: list[DispatchTarget] = []


class TriggerRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="trigger_v1", tag_field="kind"):
    """Look at the stage of a run."""

    scenario: Id
    run: Id
    tenant: Annotated[int, Meta(ge=1)]
    namespace: Annotated[int, Meta(ge=1)]
    trigger: Id
    stage: Id | None = None


class GatesTransport:
    """The transport of the namespace `gates`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def effectful(self, request: Json) -> bool:
        """Never: what it writes is this installation's own, and found again under its id."""
        del request
        return False

    async def call(self, request: Json, context: TransportContext) -> Json:
        """Begin or trigger. Raises: what defining, starting and triggering raise."""
        kind = request.get("kind") if isinstance(request, dict) else None
        if kind == "begin_v1":
            return await self._begin(read_request(request, BeginRequest, SCENARIO_CALL_INVALID), context)
        return await self._trigger(read_request(request, TriggerRequest, SCENARIO_CALL_INVALID), context)

    async def close(self) -> None:
        """Nothing is held between calls."""

    async def _begin(self, order: BeginRequest, context: TransportContext) -> Json:
        spec_hash = None
        scenario_id, namespace_id = order.scenario, order.namespace
        if order.document is not None:
            spec = self._document(order.document, local=context.local_plan)
            defined = await self._services.get(Definitions).define(spec, principal=ENGINE)
            scenario_id, namespace_id, spec_hash = spec.scenario_id, spec.namespace_id, defined.spec_hash.value
        if scenario_id is None:
            raise SCENARIO_CALL_INVALID.error("name a scenario, or the document of one", member="scenario")
        config = RunConfig(order.tenant, namespace_id, order.run, scenario_id, order.targets, [])
        runs = self._services.get(ScenarioRuns)
        try:
            await runs.start(scenario_id, config, self._now(), issue_entry_packets=order.packets, principal=ENGINE)
        except Conflict as fault:
            if fault.kind is not SCENARIO_RUN_EXISTS:
                raise
            # The configuration names the scenario, whose document never changes.
            if not await runs.stands(config, principal=ENGINE):
                raise
        return {"scenario": scenario_id, "namespace": namespace_id, "run": order.run, "spec_hash": spec_hash}

    def _document(self, name: str, *, local: bool) -> ScenarioSpec:
        """A document of this machine, checked whole. Raises: `scenario_call_invalid`, `scenario_invalid`."""
        if not local or not os.path.isabs(name):  # noqa: PTH117 - nothing is looked at
            raise SCENARIO_CALL_INVALID.error(
                "only a plan of this machine's user may name a document", member="document"
            )
        validation = self._services.get(GatesSettings).validation
        linted = linter(self._services.get(Evidence), validation).file(Path(name), shown(Path(name).name, 100))
        if linted.normalised is None:
            first = next(each for each in linted.findings if each.level.value == "error")
            raise SCENARIO_INVALID.error(f"{first.file}, line {first.line}: {first.message}")
        return linted.normalised.spec

    async def _trigger(self, order: TriggerRequest, context: TransportContext) -> Json:
        runs = self._services.get(ScenarioRuns)
        event = TriggerEvent(
            trigger_id=f"{context.run_id}:{order.trigger}",
            tenant_id=order.tenant,
            namespace_id=order.namespace,
            run_id=order.run,
            kind="tick",
            time=self._now(),
            source_id=f"run:{context.run_id}",
        )
        named = (order.scenario, order.tenant, order.namespace, order.run, None)
        scenario, _, state = await runs.seen(*named, principal=ENGINE)
        answer = await _left(runs, scenario, state, order.stage)
        if answer is None:
            answer = await runs.trigger(order.scenario, event, principal=ENGINE)
            if order.stage not in (
                None,
                answer.decision.stage_id,
            ):  # somebody else may have opened it between the two looks
                _, _, state = await runs.seen(*named, principal=ENGINE)
                answer = await _left(runs, scenario, state, order.stage) or answer
        reasons: Any = []
        if answer.gates:
            stage = await explained(
                runs,
                self._services.get(Evidence),
                order.scenario,
                order.tenant,
                order.namespace,
                order.run,
                answer.decision.trigger_id,
                principal=ENGINE,
            )
            reasons = msgspec.json.decode(msgspec.json.encode(stage.gates))
        return {
            "decision": plain(answer.decision),
            "status": answer.status,
            "packets": [each.envelope.packet_id for each in answer.packets],
            "gates": reasons,
            "opened": _is_open(scenario, answer, runs.now_ms),
        }

    def _now(self) -> UnixMillis:
        return UnixMillis(self._services.get(Journal).now_ms())


async def _left(runs: ScenarioRuns, scenario: Scenario, state: ScenarioRun, stage_id: str | None) -> Answered | None:
    """The last decision that left a stage in which the run does not stand any more; None where there is none."""
    stands = state.stage_id == stage_id and state.status != "completed"  # in it again, or failed in it
    if stage_id not in state.left or stands:
        return None
    answer = await runs.read.answer_at(state.stream, state.left[stage_id], scenario)
    return msgspec.structs.replace(answer, status=state.status)


def _is_open(scenario: Scenario, answer: Answered, now_ms: int) -> bool:
    """Whether the decision's stage opened by its gates, and none of them has closed since."""
    return answer.opened and all(at_ms > now_ms for at_ms in closings(scenario, answer).values())


TRANSPORTS = (TransportFactory(NAMESPACE, GatesTransport),)
