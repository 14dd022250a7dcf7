"""Runs of scenarios that were really lived, for those who decide them again.

It fakes nothing but the providers: what a test says they answer goes through the same trust, comparators and deciders
as anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from interlock.app import App
from interlock.base.errors import InterlockError
from interlock.gates.comparators.compare import status_of
from interlock.gates.control.policy import DisclosurePolicy
from interlock.gates.control.rules import Rules
from interlock.gates.control.scenario import Scenario
from interlock.gates.evidence.port import CallMade
from interlock.gates.evidence.query import Gathered
from interlock.gates.evidence.records import EvidenceContext, EvidenceResult, failed
from interlock.gates.evidence.trust import ProviderRules, Requirements, age_fault, held_to_lane, required_lane, settled
from interlock.gates.logic.tree import And, Condition, Group, Not, Or, RequireGroup
from interlock.gates.records import (
    AgentTarget,
    ChannelTarget,
    EvidenceRecord,
    ExternalTarget,
    ProviderMissing,
    RunState,
    SessionTarget,
)
from interlock.gates.redecide.logs import Known, Logs
from interlock.gates.spec import (
    Branch,
    BranchRule,
    ConditionSpec,
    EvidenceQuery,
    Fixed,
    GateSpec,
    ScenarioSpec,
    StageSpec,
    Terminal,
    TimeoutSpec,
    TrustRequirement,
    spec_hash,
)
from interlock.gates.values import BytesValue, JsonValue, Logical
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import LINEAR, OPEN, Said, Scene, packet

TARGETS = [AgentTarget("a1"), SessionTarget("s1"), ExternalTarget("desk", "mail"), ChannelTarget("c1")]
LENIENT = ProviderRules("asserted")
ANSWERS = {
    "yes": EvidenceResult(JsonValue(True)),
    "no": EvidenceResult(JsonValue(False)),
    "nothing": EvidenceResult(),
    "asserted": EvidenceResult(JsonValue(True), lane="asserted"),
    "large": EvidenceResult(JsonValue("x" * 20_000)),
    "bytes": EvidenceResult(BytesValue([1, 2, 255])),
    "error": failed("provider_error", "the provider failed"),
}


class Told(Said):
    """Evidence as a provider might give it: `told` says the answer of each condition by its name in `ANSWERS`."""

    def __init__(self, requirements: ProviderRules = LENIENT, **told: str) -> None:
        super().__init__()
        self.requirements_of_all = requirements
        self.told = told
        self.order: list[int] = []
        self.calls: tuple[CallMade, ...] = ()

    def rules(self, spec: ScenarioSpec) -> dict[str, ProviderRules]:
        return {each.query.provider_id: self.requirements_of_all for each in spec.conditions}

    async def gather(
        self, conditions: Sequence[ConditionSpec], context: EvidenceContext, *, tenant: str
    ) -> list[Gathered]:
        found = [Gathered(self._settled(each, context), self.observed_ms, self.calls) for each in conditions]
        places = [each for each in self.order if each < len(found)]
        return [found[at] for at in dict.fromkeys([*places, *range(len(found))])]

    def _settled(self, condition: ConditionSpec, context: EvidenceContext) -> EvidenceRecord:
        answer = ANSWERS[self.told.get(condition.condition_id, "nothing")]
        asked = self.requirements_of_all
        result = settled(answer, Requirements(asked.anchor, asked.keys))
        if result.error is None:
            result = replace(result, error=age_fault(self.observed_ms, context.trigger_time, condition.max_age_ms))
        status = status_of(condition.comparator, result, condition.expected)
        record = EvidenceRecord(condition.condition_id, status, result)
        return held_to_lane(record, required_lane(self.requirements_of_all.floor, condition.trust))


def condition(name: str, **members: Any) -> ConditionSpec:
    given = {"comparator": "equals", "policy_tags": [], "expected": True, **members}
    return ConditionSpec(condition_id=name, query=EvidenceQuery("said", name), **given)


def release() -> ScenarioSpec:
    """A document in which every kind of requirement, of way on and of time limit stands."""
    verified = TrustRequirement("verified")
    a, b, c, d = (Condition(each) for each in "abcd")
    return ScenarioSpec(
        scenario_id="release",
        namespace_id=2,
        spec_version="1",
        stages=[
            StageSpec(
                "one",
                [packet("welcome"), packet("rules")],
                [
                    GateSpec("all", And((a, Or((b, Not(c))), a))),
                    GateSpec("some", RequireGroup(Group(2, (a, b, d)))),
                ],
                Branch([BranchRule("some", "true", "two")], "three"),
                "alternate_branch",
                TimeoutSpec(50, []),
            ),
            StageSpec(
                "two", [packet("go")], [GateSpec("sure", a, verified)], LINEAR, "advance_with_flag", TimeoutSpec(9, [])
            ),
            StageSpec("three", [], [], Fixed("four"), "fail"),
            StageSpec("four", [packet("end")], [GateSpec("last", Not(b))], Terminal(), "fail", TimeoutSpec(100, [])),
        ],
        conditions=[
            condition("a"),
            condition("b"),
            condition("c", trust=verified),
            condition("d", comparator="exists", expected=None),
        ],
        policies=[],
        schemas=[],
    )


class Life:
    """One run, call by call."""

    def __init__(
        self,
        told: Told,
        document: ScenarioSpec | None = None,
        policy: DisclosurePolicy = OPEN,
        app: App | None = None,
    ) -> None:
        self.told = told
        self.document = document or release()
        self.scene = Scene(app or memory_app(), told, policy)
        self.at = 0

    async def begin(self, *, packets: bool = True, **config: Any) -> None:
        await self.scene.begun(self.document, packets=packets, **{"targets": TARGETS, **config})

    async def call(self, what: str, name: str = "", **told: str) -> None:
        """One call; what the run refuses is part of its life."""
        self.at += 1
        self.told.told |= told
        try:
            match what:
                case "next":
                    await self.scene.next(name, self.at)
                case "status":
                    await self.scene.status(self.at)
                case "submit":
                    await self.scene.submit(name, {"n": name})
                case "change":
                    await self.scene.submit(name, {"n": self.at})
                case "missing":
                    self.told.absent = ProviderMissing(["gone"], ["gone.check"], blocked_by_policy=False)
                    await self.scene.trigger(name, self.at)
                case "late":
                    self.at += 200
                    await self.scene.trigger(name, self.at, kind="tick")
                case _:
                    await self.scene.trigger(name, self.at, kind=what)
        except InterlockError as fault:
            expected = {"submission_conflict", "provider_missing", "scenario_run_inactive", "gate_resolution_failed"}
            assert fault.code in expected, fault.code
        finally:
            self.told.absent = None

    async def state(self) -> RunState:
        found = await self.scene.state()
        assert isinstance(found, RunState)
        return found


async def long_life(told: Told | None = None) -> Life:
    """A run with every kind of call, from its start to its end and behind it."""
    life = Life(told or Told())
    await life.begin()
    await life.call("external_event", "t1", a="yes", b="nothing", c="error")
    await life.call("tick", "t2", b="no")
    await life.call("status")
    await life.call("submit", "s1")
    await life.call("submit", "s1")
    await life.call("change", "s1")
    await life.call("external_event", "t1")
    await life.call("missing", "t9")
    await life.call("next", "t3", b="yes", d="large")
    await life.call("backend_event", "t4", a="asserted")
    await life.call("late", "t5")
    await life.call("external_event", "t6")
    await life.call("status")
    await life.call("external_event", "t7", b="bytes")
    await life.call("next", "t8", b="no")
    await life.call("external_event", "t10")
    await life.call("status")
    return life


def scenario_of(spec: ScenarioSpec) -> Scenario:
    return Scenario(spec, spec_hash(spec))


def logs_of(state: RunState) -> Logs:
    return Logs(
        state.tenant_id,
        state.namespace_id,
        state.run_id,
        state.triggers,
        state.gate_evals,
        state.decisions,
        state.packets,
        state.submissions,
        state.tool_calls,
    )


def knowing(state: RunState, policy: DisclosurePolicy = OPEN, asked: ProviderRules = LENIENT) -> Known:
    rules = Rules(policy, {"said": asked})
    return Known(Logical(0), state.dispatch_targets, [rules] * len(state.triggers))


def lived(life: Callable[[], Any]) -> tuple[ScenarioSpec, RunState]:
    async def main() -> tuple[ScenarioSpec, RunState]:
        found: Life = await life()
        return found.document, await found.state()

    return run(main())
