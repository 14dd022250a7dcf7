"""The decider of scenario runs: what each call makes of a run.

What it does: holds a call against the run as it stands, and says which records follow. What it does not do: it asks
for no evidence and reads no log; the service gives it the evidence of a stage, or the answer that is given again, and
it refuses those that the run has left behind (`scenario_run_moved`), so that they are made anew.

Rules (seed 000): a trigger of a run that has ended, and one that was decided, get the decision that there is; every
call but `start` is recorded; a stage opens only if every gate is True; an error while packets are issued on the way
into a stage fails the run where it stands; every other error records nothing of the trigger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Raw, Struct

from interlock.base.errors import InterlockError
from interlock.base.part import DecideContext, Decided, Decider, Decision, Refusal
from interlock.gates.control import events as e
from interlock.gates.control.advance import timer_of
from interlock.gates.control.calls import Call, given_digest, kept
from interlock.gates.control.deciding import INIT, TICK, decided, is_overdue, timed_out
from interlock.gates.control.errors import (
    SCENARIO_RUN_EXISTS,
    SCENARIO_RUN_INACTIVE,
    SCENARIO_RUN_MOVED,
    SCENARIO_RUN_NOT_FOUND,
    SUBMISSION_CONFLICT,
)
from interlock.gates.control.evaluation import gates_of
from interlock.gates.control.events import gates_closed
from interlock.gates.control.fold import SNAPSHOTS, ScenarioRun, evolve
from interlock.gates.control.keys import SUBMISSION_INDEX, TRIGGER_INDEX, call_key
from interlock.gates.control.packets import payload_hash
from interlock.gates.control.rules import InForce
from interlock.gates.control.scenario import Scenario
from interlock.gates.control.writing import Writing
from interlock.gates.errors import PROVIDER_MISSING
from interlock.gates.evidence.query import Gathered
from interlock.gates.records import (
    DecisionRecord,
    Held,
    Message,
    ProviderMissing,
    RunConfig,
    RunStatus,
    ScenarioStatus,
    StatusRequest,
    SubmissionRecord,
    SubmitRequest,
    Submitted,
    ToolCallError,
    TriggerEvent,
    TriggerResult,
)
from interlock.gates.values import Timestamp, UnixMillis, wire
from interlock.journal.runner import fold_of


class Given(Struct, frozen=True):
    """An answer that was given before, the event at which it stands, and how the run stood when it was looked up."""

    place: int
    answer: Any
    status: RunStatus


class StartRun(Struct, frozen=True):
    """Begin a run."""

    stream: str
    scenario: Any
    rules: InForce
    config: RunConfig
    started_at: Timestamp
    issue_entry_packets: bool


class Fire(Struct, frozen=True):
    """A trigger, or an agent's wish to go on: with the evidence for the stage `seen`, or what is given again."""

    stream: str
    scenario: Any
    rules: InForce
    call: Call
    event: TriggerEvent
    seen: str
    gathered: list[Gathered]
    missing: ProviderMissing | None = None
    given: Given | None = None


class AskStatus(Struct, frozen=True):
    """How a run stands. `last` is its last decision."""

    stream: str
    scenario: Any
    call: Call
    request: StatusRequest
    last: Given | None


class Submit(Struct, frozen=True):
    """Hand something in. `given` is what was handed in under that id before."""

    stream: str
    scenario: Any
    call: Call
    request: SubmitRequest
    given: Given | None


class StageTimeOver(Struct, frozen=True):
    """The timer of a stage has fired: its time is over, if the run still stands there."""

    stream: str
    scenario: Any
    rules: InForce
    at_ms: int


class EvidenceTooOld(Struct, frozen=True):
    """The timer by which gates of a stage close has fired."""

    stream: str
    scenario: Any
    stage_id: str
    at_ms: int


Command = StartRun | Fire | AskStatus | Submit | StageTimeOver | EvidenceTooOld


def _initial(stream: str) -> ScenarioRun:
    return ScenarioRun(stream)


def rows_of(command: Command) -> Sequence[tuple[str, str]]:
    """The rows of the index that tell whether a call was answered before."""
    match command:
        case Fire(stream=stream, event=event):
            return [(TRIGGER_INDEX, call_key(stream, event.trigger_id))]
        case Submit(stream=stream, request=request):
            return [(SUBMISSION_INDEX, call_key(stream, request.submission_id))]
        case _:
            return []


def _decide(states: Mapping[str, Any], command: Command, ctx: DecideContext) -> Decision:
    state: ScenarioRun = states[command.stream]
    if isinstance(command, StartRun):
        return _start(state, command)
    if state.config is None or state.document_id != command.scenario.spec_hash.value:
        return Refusal(SCENARIO_RUN_NOT_FOUND.error("there is no such run"))  # a run of another scenario is none
    match command:
        case StageTimeOver():
            return _stage_time_over(state, state.config, command)
        case EvidenceTooOld():
            return _evidence_too_old(state, command)
        case Fire():
            return _fire(state, state.config, command, ctx)
        case AskStatus():
            return _status(state, command)
        case Submit():
            return _submit(state, command, ctx)


def _start(state: ScenarioRun, command: StartRun) -> Decision:
    if state.exists:
        return Refusal(SCENARIO_RUN_EXISTS.error("run already exists"))
    scenario: Scenario = command.scenario
    config, stage = command.config, scenario.first
    timer_ms = timer_of(stage, command.started_at)
    begun = e.ScenarioRunStarted(
        Raw(wire(config)),
        scenario.spec_hash.value,
        stage.stage_id,
        Raw(wire(command.started_at)),
        None if timer_ms is None else e.StageTimer(timer_ms),
    )
    applied, artifacts = command.rules.unless(state.rules_id)
    if not command.issue_entry_packets:
        return Decided({command.stream: (begun, *applied)}, artifacts)
    event = TriggerEvent(
        trigger_id=INIT,
        tenant_id=config.tenant_id,
        namespace_id=config.namespace_id,
        run_id=config.run_id,
        kind="external_event",
        time=command.started_at,
        source_id="system",
    )
    writing = Writing(state, scenario, command.rules.rules.policy, config, event)
    try:
        writing.start(stage)
    except InterlockError as fault:
        return Refusal(fault)
    return Decided({command.stream: (begun, *applied, *writing.events)}, [*artifacts, *writing.artifacts])


def _fire(state: ScenarioRun, config: RunConfig, command: Fire, ctx: DecideContext) -> Decision:
    if command.missing is not None:
        return _provider_missing(state, command, command.missing)
    known = ctx.rows[rows_of(command)[0]]
    place = state.last_decision if state.status != "active" else None if known is None else int(known)
    if state.status != "active" and not place:
        return Refusal(SCENARIO_RUN_INACTIVE.error("the run has ended without a decision"))
    if place is not None:
        given = command.given
        if given is None or (given.place, given.status) != (place, state.status):
            return Refusal(SCENARIO_RUN_MOVED.error("the run has moved on"))
        answer = TriggerResult(given.answer.decision, given.answer.packets, state.status)
        return {command.stream: (command.call.recorded(state.calls + 1, answer, repeats=place),)}
    if command.seen != state.stage_id or command.given is not None:
        return Refusal(SCENARIO_RUN_MOVED.error("the run has moved on"))
    scenario: Scenario = command.scenario
    writing = Writing(state, scenario, command.rules.rules.policy, config, command.event)
    try:
        stage = scenario.stage(state.stage_id)
        overdue = is_overdue(state.entered_at, stage, command.event)
        for evidence in () if overdue else command.gathered:
            writing.evidence(evidence)
        gates = gates_of(stage, command.event.trigger_id, [each.record for each in command.gathered])
        answer = decided(scenario, stage, gates, writing, overdue=overdue)
    except InterlockError as fault:
        return Refusal(fault)
    call = command.call.recorded(state.calls + 1, answer)
    applied, artifacts = command.rules.unless(state.rules_id)
    return Decided({command.stream: (*applied, *writing.events, call)}, [*artifacts, *writing.artifacts])


def _stage_time_over(state: ScenarioRun, config: RunConfig, command: StageTimeOver) -> Decision:
    """The tick that a stage makes by itself; whatever comes of it takes the timer away.

    Nothing comes of a timer that a decision has moved since it was due.
    """
    if state.status != "active" or state.timer_ms != command.at_ms:
        return {command.stream: ()}
    event = TriggerEvent(
        trigger_id=f"{TICK}:{state.stage_id}:{state.decisions + 1}",
        tenant_id=config.tenant_id,
        namespace_id=config.namespace_id,
        run_id=config.run_id,
        kind="tick",
        time=UnixMillis(command.at_ms),
        source_id="system",
    )
    writing = Writing(state, command.scenario, command.rules.rules.policy, config, event)
    try:
        timed_out(command.scenario, command.scenario.stage(state.stage_id), writing)
    except InterlockError as fault:
        return {command.stream: (e.StageTimePassed(command.at_ms, fault.code),)}
    applied, artifacts = command.rules.unless(state.rules_id)
    return Decided({command.stream: (*applied, *writing.events)}, [*artifacts, *writing.artifacts])


def _evidence_too_old(state: ScenarioRun, command: EvidenceTooOld) -> Decision:
    """Say which gates have closed; none, where a decision has moved the timer since it was due."""
    until = state.until.get(command.stage_id, {})
    if command.at_ms != min(until.values(), default=None):
        return {command.stream: ()}
    return {command.stream: (gates_closed(command.stage_id, until),)}


def _provider_missing(state: ScenarioRun, command: Fire, missing: ProviderMissing) -> Refusal:
    names = ", ".join(missing.missing_providers)
    error = PROVIDER_MISSING.error(f"no provider for: {names}", providers=list(missing.missing_providers))
    call = command.call.recorded(state.calls + 1, None, ToolCallError("provider_missing", error.message, missing))
    return Refusal(error, {command.stream: (call,)})


def _status(state: ScenarioRun, command: AskStatus) -> Decision:
    answer = status_asked(state, command)
    if answer is None:
        return Refusal(SCENARIO_RUN_MOVED.error("the run has moved on"))
    return {command.stream: (command.call.recorded(state.calls + 1, answer),)}


def status_asked(state: ScenarioRun, command: AskStatus) -> ScenarioStatus | None:
    """How a run stands, if `command` has its last decision."""
    place = 0 if command.last is None else command.last.place
    if state.config is None or place != state.last_decision:
        return None
    last: DecisionRecord | None = None if command.last is None else command.last.answer
    summary = last.outcome.summary if last is not None and isinstance(last.outcome, Held) else None
    return ScenarioStatus(
        run_id=state.config.run_id,
        scenario_id=state.config.scenario_id,
        current_stage_id=state.stage_id,
        status=state.status,
        last_decision=last,
        issued_packet_ids=list(state.packet_ids),
        safe_summary=summary,
    )


def _submit(state: ScenarioRun, command: Submit, ctx: DecideContext) -> Decision:
    known = ctx.rows[rows_of(command)[0]]
    request = command.request
    if known is None:
        if command.given is not None:
            return Refusal(SCENARIO_RUN_MOVED.error("the run has moved on"))
        return _submitted(state, command)
    place, _, digest = known.decode("ascii").partition(" ")
    if digest != given_digest(request):
        error = SUBMISSION_CONFLICT.error("this submission id was used with other content")
        conflict = ToolCallError("submission_conflict", error.message, Message(request.submission_id))
        return Refusal(error, {command.stream: (command.call.recorded(state.calls + 1, None, conflict),)})
    if command.given is None or command.given.place != int(place):
        return Refusal(SCENARIO_RUN_MOVED.error("the run has moved on"))
    answer = Submitted(command.given.answer)
    return {command.stream: (command.call.recorded(state.calls + 1, answer, repeats=int(place)),)}


def _submitted(state: ScenarioRun, command: Submit) -> Decision:
    request = command.request
    record = SubmissionRecord(
        submission_id=request.submission_id,
        run_id=request.run_id,
        payload=request.payload,
        content_type=request.content_type,
        content_hash=payload_hash(request.payload),
        submitted_at=request.submitted_at,
        correlation_id=request.correlation_id,
    )
    keeping = kept(record)
    event = e.Submitted(given_digest(request), keeping.record, keeping.record_id, request.submission_id)
    call = command.call.recorded(state.calls + 1, Submitted(record))
    artifacts = () if keeping.artifact is None else (keeping.artifact,)
    return Decided({command.stream: (event, call)}, artifacts)


def _result(events: Mapping[str, Sequence[Struct]], _command: Command) -> Sequence[Struct]:
    """What was recorded; the service reads the answer out of it."""
    return next(iter(events.values()), ())


RUNS = Decider(
    name="gates.run",
    streams=lambda command: (command.stream,),
    initial=_initial,
    decide=_decide,
    evolve=evolve,
    result=_result,
    snapshots=SNAPSHOTS,
    rows=rows_of,
)
RUN_FOLD = fold_of(RUNS)
