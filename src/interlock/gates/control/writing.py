"""Writing a decision: the records of a trigger, in their order.

What it does: collects the events of one trigger, and the artifacts that they name. What it does not do: it decides
nothing (`decide`).

Rule (seed 000): trigger, gates, decision, packets; where issuing packets fails, the decision is that the run failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Raw, Struct

from interlock.base.errors import InterlockError
from interlock.base.part import Artifact
from interlock.gates.control import events as e
from interlock.gates.control.advance import timer_of
from interlock.gates.control.calls import Kept, kept
from interlock.gates.control.closing import gate_ends
from interlock.gates.control.fold import ScenarioRun
from interlock.gates.control.packets import issue
from interlock.gates.control.policy import DisclosurePolicy
from interlock.gates.control.scenario import Scenario
from interlock.gates.evidence.query import Gathered
from interlock.gates.records import (
    Advanced,
    Completed,
    DecisionOutcome,
    DecisionRecord,
    Failed,
    GateEvalRecord,
    Held,
    PacketRecord,
    RunConfig,
    RunStatus,
    Started,
    TriggerEvent,
    TriggerRecord,
    TriggerResult,
)
from interlock.gates.spec import StageSpec
from interlock.gates.values import Timestamp, wire


class Writing:
    """The events of one trigger of a run, begun with the trigger."""

    def __init__(
        self,
        state: ScenarioRun,
        scenario: Scenario,
        policy: DisclosurePolicy,
        config: RunConfig,
        event: TriggerEvent,
    ) -> None:
        self.events: list[Struct] = []
        self.artifacts: list[Artifact] = []
        self._state = state
        self._scenario = scenario
        self._policy = policy
        self._config = config
        self._event = event
        self._gates: list[GateEvalRecord] = []
        self._observed: dict[str, int | None] = {}
        record = TriggerRecord(state.triggers + 1, event)
        self._keep(record, lambda each: e.Triggered(each.record, each.record_id, event.trigger_id))

    def _keep(self, record: Any, made: Callable[[Kept], Struct]) -> None:
        keeping = kept(record)
        if keeping.artifact is not None:
            self.artifacts.append(keeping.artifact)
        self.events.append(made(keeping))

    def evidence(self, evidence: Gathered) -> None:
        """When evidence was observed, and what was called for it; nothing where there is neither."""
        if evidence.calls or evidence.observed_ms is not None:
            calls = tuple(sorted(evidence.calls, key=lambda each: (each.namespace, each.request_digest)))
            self.events.append(e.EvidenceAsked(calls, evidence.record.condition_id, evidence.observed_ms))
        self.observe({evidence.record.condition_id: evidence.observed_ms})

    def observe(self, observed: Mapping[str, int | None]) -> None:
        """Learn when the evidence of conditions was observed."""
        self._observed |= observed

    def gate(self, gate: GateEvalRecord) -> None:
        """A gate as it was evaluated."""
        self._gates.append(gate)
        self._keep(gate, lambda each: e.GateEvaluated(gate.evaluation.gate_id, each.record, each.record_id))

    def start(self, stage: StageSpec) -> TriggerResult:
        """The first stage is entered with its packets. Raises: `policy_denied`, `policy_failed`."""
        packets = self._packets(stage)
        return self._decide(stage, Started(stage.stage_id), "active", stage.stage_id, packets)

    def advance(self, stage: StageSpec, following: str | None, *, timeout: bool) -> TriggerResult:
        """The stage is left for another, or for the end."""
        if following is None:
            return self._decide(stage, Completed(stage.stage_id), "completed", stage.stage_id)
        entered = self._scenario.stage(following)
        try:
            packets = self._packets(entered)
        except InterlockError as fault:
            return self.fail(stage, fault.message)
        outcome = Advanced(stage.stage_id, following, timeout)
        return self._decide(stage, outcome, "active", following, packets)

    def hold(self, stage: StageSpec, outcome: Held) -> TriggerResult:
        """The stage stays closed."""
        return self._decide(stage, outcome, "active", stage.stage_id)

    def fail(self, stage: StageSpec, reason: str) -> TriggerResult:
        """The run ends where it stands."""
        return self._decide(stage, Failed(reason), "failed", stage.stage_id)

    @property
    def _decision_id(self) -> str:
        return f"decision-{self._state.decisions + 1}"

    def _packets(self, stage: StageSpec) -> list[PacketRecord]:
        return issue(
            stage,
            scenario_id=self._scenario.spec.scenario_id,
            run_id=self._config.run_id,
            targets=self._config.dispatch_targets,
            policy=self._policy,
            issued_at=self._event.time,
            correlation_id=self._event.correlation_id,
            decision_id=self._decision_id,
        )

    def _decide(
        self,
        stage: StageSpec,
        outcome: DecisionOutcome,
        status: RunStatus,
        stage_id: str,
        packets: list[PacketRecord] | None = None,
    ) -> TriggerResult:
        record = DecisionRecord(
            decision_id=self._decision_id,
            seq=self._state.decisions + 1,
            trigger_id=self._event.trigger_id,
            stage_id=stage.stage_id,
            decided_at=self._event.time,
            outcome=outcome,
            correlation_id=self._event.correlation_id,
        )
        entered = isinstance(outcome, Advanced | Started)
        entered_at = self._entered_at(stage_id if entered else None)
        timer = self._timer(stage_id, entered_at, entered=entered, ended=status != "active")
        until = self._until(stage)
        at = Raw(wire(entered_at))
        self._keep(
            record, lambda each: e.ScenarioDecided(each.record, each.record_id, at, stage_id, status, timer, until)
        )
        for packet in packets or []:
            self._packet(packet)
        return TriggerResult(record, packets or [], status)

    def _timer(self, stage_id: str, entered_at: Timestamp, *, entered: bool, ended: bool) -> e.StageTimer | None:
        """What becomes of the timer of the stage: nothing, where the run stays and where there is and was none."""
        if not (entered or ended):
            return None
        at_ms = None if ended else timer_of(self._scenario.stage(stage_id), entered_at)
        return None if at_ms is None and self._state.timer_ms is None else e.StageTimer(at_ms)

    def _until(self, stage: StageSpec) -> e.GatesUntil | None:
        """When gates of the stage close by themselves; None: nothing about it changes."""
        ends = gate_ends(self._scenario, self._gates, self._observed, self._event.time)
        known = bool(self._gates) and stage.stage_id in self._state.until
        return e.GatesUntil(ends, stage.stage_id) if ends or known else None

    def _entered_at(self, entered: str | None) -> Timestamp:
        """When the stage was entered in which the run stands now."""
        before = self._state.entered_at
        return self._event.time if entered is not None or before is None else before

    def _packet(self, packet: PacketRecord) -> None:
        unpaid = {"decision_id": packet.decision_id, "envelope": packet.envelope, "receipts": packet.receipts}
        self._keep(unpaid, lambda each: e.PacketIssued(packet.envelope.packet_id, each.record, each.record_id))
