"""Looking at a scenario run without recording that one looked: how it stands now, or stood at any event.

What it does: folds a run up to an event and says how it stood. What it does not do: it is no call of the contract
(`ScenarioRuns.status` is, and is recorded).
"""

from __future__ import annotations

from msgspec import Struct

from interlock.base.principal import Principal
from interlock.gates.control.errors import SCENARIO_CALL_INVALID, SCENARIO_RUN_NOT_FOUND
from interlock.gates.control.service import ScenarioRuns
from interlock.gates.records import DecisionOutcome, Held, RunStatus
from interlock.gates.values import Timestamp


class ScenarioRunReport(Struct, frozen=True):
    """How a run stands, as of the event `seq` of its stream."""

    run: str
    scenario: str
    spec_hash: str
    stage: str
    status: RunStatus
    entered_at: Timestamp
    seq: int
    triggers: int
    decision: str | None
    outcome: DecisionOutcome | None
    unmet_gates: list[str]
    packets: list[str]


async def look(
    runs: ScenarioRuns,
    scenario_id: str,
    tenant_id: int,
    namespace_id: int,
    run_id: str,
    at_seq: int | None,
    *,
    principal: Principal,
) -> ScenarioRunReport:
    """How a run stands, or stood at one of its events.

    Raises: `scenario_not_found`, `scenario_run_not_found`; `scenario_call_invalid` for an event that there is not yet.
    """
    scenario, seq, state = await runs.seen(scenario_id, tenant_id, namespace_id, run_id, at_seq, principal=principal)
    entered_at = state.entered_at
    if entered_at is None:
        raise SCENARIO_RUN_NOT_FOUND.error("there is no such run")
    if at_seq is not None and at_seq > seq:
        raise SCENARIO_CALL_INVALID.error(f"the run has {seq} events, and no event {at_seq}", member="at")
    decision = None
    if state.last_decision:
        decision = (await runs.read.answer_at(state.stream, state.last_decision, scenario)).decision
    outcome = None if decision is None else decision.outcome
    return ScenarioRunReport(
        run=run_id,
        scenario=scenario_id,
        spec_hash=state.document_id,
        stage=state.stage_id,
        status=state.status,
        entered_at=entered_at,
        seq=seq,
        triggers=state.triggers,
        decision=None if decision is None else decision.decision_id,
        outcome=outcome,
        unmet_gates=outcome.summary.unmet_gates if isinstance(outcome, Held) else [],
        packets=list(state.packet_ids),
    )
