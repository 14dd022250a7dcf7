"""Records of scenario runs, read back from the journal.

What it does: finds decisions, gates and submissions by their event, and puts a whole run together. What it does not do:
it decides nothing and keeps no state; only `whole` reads a run from its beginning.

Rules: whatever is read was verified by the chain; a record that is an artifact is verified by its id; a packet's
payload is that of the scenario's document.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from interlock.gates.control import events as e
from interlock.gates.control.errors import SCENARIO_RUN_NOT_FOUND
from interlock.gates.control.fold import ScenarioRun
from interlock.gates.control.keys import RUN_INDEX, run_key
from interlock.gates.control.scenario import Scenario
from interlock.gates.logic.status import Status
from interlock.gates.records import (
    Advanced,
    Completed,
    DecisionRecord,
    DispatchReceipt,
    GateEvalRecord,
    PacketEnvelope,
    PacketRecord,
    RunState,
    RunStatus,
    SubmissionRecord,
    ToolCallRecord,
    TriggerRecord,
)
from interlock.journal.chain import Recorded
from interlock.journal.errors import EVENT_CORRUPT
from interlock.journal.journal import Journal

Kind = TypeVar("Kind", bound=Struct)


RUNS_PAGE = 200
_OF_A_DECISION = (e.Triggered, e.EvidenceAsked, e.GateEvaluated, e.ScenarioDecided, e.PacketIssued)


class _Packet(Struct, frozen=True):
    """A packet as its event keeps it: without the payload."""

    decision_id: str
    envelope: PacketEnvelope
    receipts: list[DispatchReceipt]


class Answered(Struct, frozen=True):
    """A decision with what belongs to it; `observed` says when evidence was, by condition, where that is known.

    `opened`: the stage was left because every gate of it was evaluated, and is true.
    """

    decision: DecisionRecord
    packets: list[PacketRecord]
    status: RunStatus
    gates: list[GateEvalRecord]
    opened: bool
    observed: dict[str, int | None] = {}


class RunReading:
    """The records of scenario runs in one journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def is_of(self, tenant: str, namespace_id: int, scenario_id: str, tenant_id: int, run_id: str) -> bool:
        """Whether there is a run of that id, and of that scenario."""
        key = run_key(namespace_id, scenario_id, tenant_id, run_id)
        return await self._journal.store.index.get(tenant, RUN_INDEX, [key]) != [None]

    async def answer_at(self, stream: str, place: int, scenario: Scenario) -> Answered:
        """The decision that stands at `place`, or was made for the trigger that does. Raises: `event_corrupt`."""
        records: list[Struct] = []
        async with aclosing(self._from(stream, place)) as events:
            async for event in events:
                if not isinstance(event.record, _OF_A_DECISION) or (records and isinstance(event.record, e.Triggered)):
                    break
                records.append(event.record)
        answer = await self.answer(records, scenario)
        if answer is None:
            raise EVENT_CORRUPT.error(f"no decision stands at {place} of {stream}", stream=stream, seq=place)
        return answer

    async def answer(self, records: Sequence[Struct | None], scenario: Scenario) -> Answered | None:
        """The decision among the events of one call; None where there is none."""
        gates: list[GateEvalRecord] = []
        packets: list[PacketRecord] = []
        observed: dict[str, int | None] = {}
        decision: DecisionRecord | None = None
        status: RunStatus = "active"
        for record in records:
            match record:
                case e.EvidenceAsked():
                    observed[record.condition_id] = record.observed_ms
                case e.GateEvaluated():
                    gates.append(await self.record(record, GateEvalRecord))
                case e.ScenarioDecided():
                    decision, status = await self.record(record, DecisionRecord), record.status
                case e.PacketIssued():
                    packets.append(await self.packet(record, scenario))
                case _:
                    pass
        if decision is None:
            return None
        opened = _is_opened(scenario, decision, gates)
        return Answered(decision, packets, status, gates, opened, observed)

    async def answers(self, stream: str, scenario: Scenario) -> AsyncGenerator[Answered, None]:
        """Every decision of a run with what belongs to it, in order."""
        records: list[Struct | None] = []
        async with aclosing(self._from(stream, 1)) as events:
            async for event in events:
                if isinstance(event.record, _OF_A_DECISION) and not isinstance(event.record, e.Triggered):
                    records.append(event.record)
                elif records:
                    answer = await self.answer(records, scenario)
                    records = []
                    if answer is not None:
                        yield answer
        answer = await self.answer(records, scenario)
        if answer is not None:
            yield answer

    async def runs_of(self, scenario: Scenario, tenant: str) -> AsyncGenerator[tuple[str, str], None]:
        """Every run of a scenario, by its id and stream, in the order of tenants and runs."""
        prefix = after = run_key(scenario.spec.namespace_id, scenario.spec.scenario_id)
        while rows := await self._journal.store.index.scan(tenant, RUN_INDEX, prefix, after, RUNS_PAGE):
            for key, stream in rows:
                yield key.removeprefix(prefix).partition(":")[2], stream.decode()
            after = rows[-1][0]

    async def submission_at(self, stream: str, place: int) -> SubmissionRecord:
        """What was handed in at `place`. Raises: `event_corrupt`."""
        page = await self._journal.tail(stream, place - 1)
        if page and isinstance(page[0].record, e.Submitted):
            return await self.record(page[0].record, SubmissionRecord)
        raise EVENT_CORRUPT.error(f"no submission stands at {place} of {stream}", stream=stream, seq=place)

    async def submission(self, records: Sequence[Struct]) -> SubmissionRecord:
        """What was handed in by the events of one call."""
        [event] = [each for each in records if isinstance(each, e.Submitted)]
        return await self.record(event, SubmissionRecord)

    async def record(self, event: Any, kind: type[Kind]) -> Kind:
        """The record of an event, from its own bytes or its artifact. Raises: `artifact_not_found`, `…_corrupt`."""
        return msgspec.json.decode(await self.content(event), type=kind)

    async def content(self, event: Any) -> bytes:
        """The bytes of an event's record. Raises: `artifact_not_found`, `…_corrupt`."""
        if event.record_id is None:
            return bytes(event.record)
        [content] = await self._journal.store.artifacts.get([event.record_id])
        return content

    async def whole(self, stream: str, state: ScenarioRun, scenario: Scenario) -> RunState:
        """A run with all its logs, as of `state`. Costs as much as the run is long."""
        records: list[Struct | None] = []
        async with aclosing(self._journal.read(stream)) as pages:
            async for page in pages:
                records += [event.record for event in page]
        return await self.assembled(records, state, scenario)

    async def assembled(self, records: Sequence[Struct | None], state: ScenarioRun, scenario: Scenario) -> RunState:
        """A run with the logs that all of its events make."""
        config, entered_at = state.config, state.entered_at
        if config is None or entered_at is None:
            raise SCENARIO_RUN_NOT_FOUND.error("there is no such run")
        logs = _Logs()
        for record in records:
            await self._log(logs, record, scenario)
        return RunState(
            tenant_id=config.tenant_id,
            namespace_id=config.namespace_id,
            run_id=config.run_id,
            scenario_id=config.scenario_id,
            spec_hash=scenario.spec_hash,
            current_stage_id=state.stage_id,
            stage_entered_at=entered_at,
            status=state.status,
            dispatch_targets=config.dispatch_targets,
            triggers=logs.triggers,
            gate_evals=logs.gates,
            decisions=logs.decisions,
            packets=logs.packets,
            submissions=logs.submissions,
            tool_calls=logs.calls,
        )

    async def _log(self, logs: _Logs, record: Struct | None, scenario: Scenario) -> None:
        match record:
            case e.Triggered():
                logs.triggers.append(await self.record(record, TriggerRecord))
            case e.GateEvaluated():
                logs.gates.append(await self.record(record, GateEvalRecord))
            case e.ScenarioDecided():
                logs.decisions.append(await self.record(record, DecisionRecord))
            case e.PacketIssued():
                logs.packets.append(await self.packet(record, scenario))
            case e.Submitted():
                logs.submissions.append(await self.record(record, SubmissionRecord))
            case e.ToolCalled():
                logs.calls.append(msgspec.json.decode(record.record, type=ToolCallRecord))
            case _:
                pass

    async def packet(self, event: e.PacketIssued, scenario: Scenario) -> PacketRecord:
        """A packet with the payload that it discloses. Raises: as `record`."""
        kept = await self.record(event, _Packet)
        payload = scenario.packets[event.packet_id].payload
        return PacketRecord(kept.envelope, payload, kept.receipts, kept.decision_id)

    async def _from(self, stream: str, place: int) -> AsyncGenerator[Recorded, None]:
        """The events from `place` on, page by page."""
        after = place - 1
        while page := await self._journal.tail(stream, after):
            for event in page:
                yield event
            after = page[-1].envelope.seq


def _is_opened(scenario: Scenario, decision: DecisionRecord, gates: Sequence[GateEvalRecord]) -> bool:
    """Whether a stage was left because every gate is true, and not by its time."""
    outcome = decision.outcome
    if not isinstance(outcome, Advanced | Completed) or (isinstance(outcome, Advanced) and outcome.timeout):
        return False
    found = {gate.evaluation.gate_id: gate.evaluation.status for gate in gates}
    return all(found.get(gate.gate_id) is Status.TRUE for gate in scenario.stage(decision.stage_id).gates)


class _Logs:
    """The logs of a run, as they are read."""

    def __init__(self) -> None:
        self.triggers: list[TriggerRecord] = []
        self.gates: list[GateEvalRecord] = []
        self.decisions: list[DecisionRecord] = []
        self.packets: list[PacketRecord] = []
        self.submissions: list[SubmissionRecord] = []
        self.calls: list[ToolCallRecord] = []
