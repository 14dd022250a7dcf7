"""Scenarios in few words, and evidence that a test says: what tests of runs begin with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from interlock.app import App
from interlock.base.principal import local_principal
from interlock.gates.control.definitions import Definitions
from interlock.gates.control.policy import DisclosurePolicy
from interlock.gates.control.service import ScenarioRuns, SecretScan
from interlock.gates.control.turns import Turns
from interlock.gates.evidence.query import Gathered
from interlock.gates.evidence.records import EvidenceContext, EvidenceResult
from interlock.gates.evidence.trust import ProviderRules
from interlock.gates.logic.status import Status
from interlock.gates.logic.tree import Condition
from interlock.gates.records import (
    AgentTarget,
    EvidenceRecord,
    NextRequest,
    ProviderMissing,
    RunConfig,
    StatusRequest,
    SubmitRequest,
    TriggerEvent,
)
from interlock.gates.spec import (
    AdvanceTo,
    ConditionSpec,
    EvidenceQuery,
    GateSpec,
    JsonPayload,
    Linear,
    PacketSpec,
    ScenarioSpec,
    StageSpec,
)
from interlock.gates.values import JsonValue, Logical, Timestamp
from interlock.journal.queues import StreamQueues

ADA = local_principal("ada")
LINEAR, OPEN = Linear(), DisclosurePolicy()


def condition(name: str) -> ConditionSpec:
    return ConditionSpec(name, EvidenceQuery("said", name), "equals", [], expected=True)


def gate(name: str) -> GateSpec:
    """A gate of one condition, both of that name."""
    return GateSpec(name, Condition(name))


def packet(name: str, **members: Any) -> PacketSpec:
    return PacketSpec(name, "text", "application/json", ["public"], [], JsonPayload({"say": name}), **members)


def stage(name: str, *gates: str, to: AdvanceTo = LINEAR, packets: Sequence[str] = (), **members: Any) -> StageSpec:
    given = {"on_timeout": "fail", **members}
    return StageSpec(name, [packet(each) for each in packets], [gate(each) for each in gates], to, **given)


def spec(*stages: StageSpec, **members: Any) -> ScenarioSpec:
    names = dict.fromkeys(gate.gate_id for each in stages for gate in each.gates)
    given = {"scenario_id": "release", "namespace_id": 2, "spec_version": "1", **members}
    return ScenarioSpec(
        stages=list(stages), conditions=[condition(each) for each in names], policies=[], schemas=[], **given
    )


class Said:
    """Evidence that a test says: True, False, or nothing where nobody knows."""

    def __init__(self, **said: bool | None) -> None:
        self.said = said
        self.asked: list[tuple[str, list[str]]] = []
        self.absent: ProviderMissing | None = None
        self.observed_ms: int | None = None
        self.before: Callable[[], Any] | None = None

    def missing(self, _spec: ScenarioSpec) -> ProviderMissing | None:
        return self.absent

    def rules(self, _spec: ScenarioSpec) -> dict[str, ProviderRules]:
        return {"said": ProviderRules("verified")}

    async def gather(
        self, conditions: Sequence[ConditionSpec], context: EvidenceContext, *, tenant: str
    ) -> list[Gathered]:
        assert tenant == "default"
        self.asked.append((context.trigger_id, [each.condition_id for each in conditions]))
        if self.before is not None:
            await self.before()
        return [Gathered(self._record(each.condition_id), self.observed_ms) for each in conditions]

    def _record(self, name: str) -> EvidenceRecord:
        value = self.said.get(name)
        if value is None:
            return EvidenceRecord(name, Status.UNKNOWN, EvidenceResult())
        return EvidenceRecord(name, Status.TRUE if value else Status.FALSE, EvidenceResult(JsonValue(value)))


class Scene:
    """One process on a store, with scenarios."""

    def __init__(
        self,
        app: App,
        evidence: Said,
        policy: DisclosurePolicy = OPEN,
        secret_scan: SecretScan = "warn",  # noqa: S107 - what is done, not a secret
    ) -> None:
        self.app = app
        self.said = evidence
        queues = StreamQueues(per_stream_max=256, total_max=10_000, wait_ms_max=30_000)
        self.definitions = Definitions(app.journal, app.runner)
        self.runs = ScenarioRuns(
            app.journal, app.runner, self.definitions, evidence, Turns(queues), policy, secret_scan
        )

    async def begun(self, document: ScenarioSpec, run_id: str = "r1", *, packets: bool = False, **config: Any) -> Any:
        """The run of a scenario that is defined and started at logical time 0."""
        await self.definitions.define(document, principal=ADA)
        targets = config.pop("targets", [AgentTarget("a1")])
        given = RunConfig(1, document.namespace_id, run_id, document.scenario_id, targets, [])
        return await self.runs.start(
            document.scenario_id, given, Logical(0), issue_entry_packets=packets, principal=ADA
        )

    async def trigger(
        self, trigger_id: str, at: int | Timestamp = 1, *, run_id: str = "r1", kind: str = "external_event"
    ) -> Any:
        time = Logical(at) if isinstance(at, int) else at
        event = TriggerEvent(trigger_id, 1, 2, run_id, kind, time, "test")  # type: ignore[arg-type]
        return await self.runs.trigger("release", event, principal=ADA)

    async def next(self, trigger_id: str, at: int = 1, *, run_id: str = "r1") -> Any:
        return await self.runs.next("release", NextRequest(run_id, 1, 2, trigger_id, "a1", Logical(at)), principal=ADA)

    async def status(self, at: int = 9, *, run_id: str = "r1") -> Any:
        return await self.runs.status("release", StatusRequest(run_id, 1, 2, Logical(at)), principal=ADA)

    async def submit(self, submission_id: str, value: Any, *, run_id: str = "r1") -> Any:
        request = SubmitRequest(run_id, 1, 2, submission_id, JsonPayload(value), "application/json", Logical(3))
        return await self.runs.submit("release", request, principal=ADA)

    async def state(self, run_id: str = "r1") -> Any:
        return await self.runs.state("release", 1, 2, run_id, principal=ADA)


def outcome(answer: Any) -> dict[str, Any]:
    """The outcome of an answer, as it is on the wire."""
    found = msgspec.to_builtins(answer.decision.outcome)
    assert isinstance(found, dict)
    return found
