"""The verbs of `scenario` about runs: records of input and output, and thin handlers over the services.

What it does: spells calls of the contract from what a person types, and answers with what they look for. What it does
not do: it decides nothing; `define` and `lint` stand with the documents (`scenario.commands`).

Rules: the caller supplies the time of a call, and for a person that is now unless they say otherwise; `status` and
`explain` record nothing, unlike the call of the wire.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

from interlock.base.errors import Conflict
from interlock.base.part import CallContext, Command, Effect
from interlock.engine.commands import EXIT_WAITING
from interlock.gates.control.asserted import DataShapeRef, PrecheckRequest, Prechecks
from interlock.gates.control.definitions import Definitions
from interlock.gates.control.errors import SCENARIO_CALL_INVALID
from interlock.gates.control.explaining import StageExplanation, explained
from interlock.gates.control.inputs import (
    ExplainInput,
    ListScenarioRuns,
    ListScenarios,
    NextInput,
    PrecheckInput,
    RunInput,
    ScenarioList,
    ScenarioRow,
    ScenarioRunList,
    StartInput,
    StatusInput,
    SubmitInput,
    TriggerInput,
)
from interlock.gates.control.looking import ScenarioRunReport, look
from interlock.gates.control.paging import cursor_of, name_after
from interlock.gates.control.reading import Answered
from interlock.gates.control.service import ScenarioRuns
from interlock.gates.control.targets import target_of
from interlock.gates.evidence.query import Evidence
from interlock.gates.records import (
    DecisionOutcome,
    GateEvaluation,
    Held,
    NextRequest,
    Prechecked,
    RunConfig,
    SubmissionRecord,
    SubmitRequest,
    TriggerEvent,
)
from interlock.gates.spec import JsonPayload
from interlock.gates.values import Logical, Timestamp, UnixMillis
from interlock.journal.errors import COMMAND_ID_CONFLICT
from interlock.journal.journal import Journal

_LOGICAL = re.compile(r"\Alogical:([0-9]{1,16})\Z")


class Opened(Struct, frozen=True):
    """What a trigger came to; `opened`: every gate of the stage was evaluated for it, and is true."""

    trigger: str
    decision: str
    outcome: DecisionOutcome
    stage: str
    status: str
    packets: list[str]
    gates: list[GateEvaluation]
    opened: bool


def answer_of(answer: Answered) -> Opened:
    """What a person wants to see of a decision."""
    outcome = answer.decision.outcome
    return Opened(
        answer.decision.trigger_id,
        answer.decision.decision_id,
        outcome,
        answer.decision.stage_id,
        answer.status,
        [each.envelope.packet_id for each in answer.packets],
        [each.evaluation for each in answer.gates],
        answer.opened,
    )


def decided_code(answer: Opened) -> int:
    """Exit code of a look: 0 the run went on, 1 it failed or went on past closed gates, 8 the stage stays closed."""
    if answer.status == "failed":
        return 1
    match answer.outcome:
        case Held():
            return EXIT_WAITING
        case _:
            return 0 if answer.opened else 1


def time_of(ctx: CallContext, given: str | None) -> Timestamp:
    """The time of a call. Raises: `scenario_call_invalid`."""
    if given is None:
        return UnixMillis(ctx.services.get(Journal).now_ms())
    if (logical := _LOGICAL.match(given)) is not None:
        return Logical(int(logical[1]))
    if given.removeprefix("-").isascii() and given.removeprefix("-").isdigit() and len(given) <= 16:
        return UnixMillis(int(given))
    raise SCENARIO_CALL_INVALID.error("a time is a number of milliseconds since 1970, or logical:N", member="time")


def _id(ctx: CallContext, given: str | None) -> str:
    """The id of a call: as given, or that of the command, or a new one."""
    return given or ctx.command_id or ctx.services.get(Journal).entropy.random_bytes(16).hex()


async def _list(ctx: CallContext, given: ListScenarios) -> ScenarioList:
    definitions = ctx.services.get(Definitions)
    found = await definitions.listed(
        given.namespace, given.tenant, name_after(ctx, given.cursor), given.limit, principal=ctx.principal
    )
    rows = [ScenarioRow(each.scenario_id, each.namespace_id, each.spec_hash.value) for each in found]
    return ScenarioList(rows, cursor_of(ctx, rows[-1].scenario) if len(rows) == given.limit else None)


async def _runs(ctx: CallContext, given: ListScenarioRuns) -> ScenarioRunList:
    rows = await ctx.services.get(ScenarioRuns).listed(
        given.scenario,
        given.tenant,
        given.namespace,
        name_after(ctx, given.cursor),
        given.limit,
        principal=ctx.principal,
    )
    return ScenarioRunList(rows, cursor_of(ctx, rows[-1].run) if len(rows) == given.limit else None)


async def _start(ctx: CallContext, given: StartInput) -> ScenarioRunReport:
    runs = ctx.services.get(ScenarioRuns)
    targets = [target_of(each) for each in given.to]
    config = RunConfig(given.tenant, given.namespace, given.run, given.scenario, targets, [])
    try:
        await runs.start(
            given.scenario,
            config,
            time_of(ctx, given.time),
            issue_entry_packets=given.packets,
            principal=ctx.principal,
            command_id=ctx.command_id,
        )
    except Conflict as fault:
        # The same command again, at another time that nobody gave.
        if (
            fault.kind is not COMMAND_ID_CONFLICT
            or given.time is not None
            or not await runs.stands(config, principal=ctx.principal)
        ):
            raise
    return await _report(ctx, given, None)


async def _trigger(ctx: CallContext, given: TriggerInput) -> Opened:
    event = TriggerEvent(
        trigger_id=_id(ctx, given.id),
        tenant_id=given.tenant,
        namespace_id=given.namespace,
        run_id=given.run,
        kind=given.kind,
        time=time_of(ctx, given.time),
        source_id=given.source or ctx.principal.id,
        payload=None if given.payload is None else JsonPayload(_json(given.payload)),
        correlation_id=given.correlation,
    )
    return answer_of(await ctx.services.get(ScenarioRuns).trigger(given.scenario, event, principal=ctx.principal))


async def _next(ctx: CallContext, given: NextInput) -> Opened:
    request = NextRequest(
        given.run,
        given.tenant,
        given.namespace,
        _id(ctx, given.id),
        given.agent,
        time_of(ctx, given.time),
        given.correlation,
    )
    return answer_of(await ctx.services.get(ScenarioRuns).next(given.scenario, request, principal=ctx.principal))


async def _submit(ctx: CallContext, given: SubmitInput) -> SubmissionRecord:
    request = SubmitRequest(
        given.run,
        given.tenant,
        given.namespace,
        _id(ctx, given.id),
        JsonPayload(_json(given.payload)),
        given.content_type,
        time_of(ctx, given.time),
        given.correlation,
    )
    return await ctx.services.get(ScenarioRuns).submit(given.scenario, request, principal=ctx.principal)


async def _status(ctx: CallContext, given: StatusInput) -> ScenarioRunReport:
    return await _report(ctx, given, given.at)


async def _precheck(ctx: CallContext, given: PrecheckInput) -> Prechecked:
    schema_id, _, version = given.shape.rpartition("@")
    request = PrecheckRequest(
        given.tenant,
        given.namespace,
        DataShapeRef(schema_id, version),
        _json(given.payload),
        given.scenario,
        stage_id=given.stage,
    )
    return await ctx.services.get(Prechecks).precheck(request, principal=ctx.principal)


async def _explain(ctx: CallContext, given: ExplainInput) -> StageExplanation:
    return await explained(
        ctx.services.get(ScenarioRuns),
        ctx.services.get(Evidence),
        given.scenario,
        given.tenant,
        given.namespace,
        given.run,
        given.trigger,
        principal=ctx.principal,
    )


async def _report(ctx: CallContext, given: RunInput, at_seq: int | None) -> ScenarioRunReport:
    runs = ctx.services.get(ScenarioRuns)
    return await look(runs, given.scenario, given.tenant, given.namespace, given.run, at_seq, principal=ctx.principal)


def _json(given: Raw) -> Any:
    return msgspec.json.decode(given)


_RUN = ("scenario", "run")
COMMANDS = (
    Command(
        "scenario",
        "list",
        ListScenarios,
        ScenarioList,
        _list,
        "List the scenarios of a namespace.",
        "interlock scenario list --namespace 1",
        "scenario.read",
        Effect.READS,
    ),
    Command(
        "scenario",
        "runs",
        ListScenarioRuns,
        ScenarioRunList,
        _runs,
        "List the runs of a scenario, and how each stands.",
        "interlock scenario runs release",
        "scenario.read",
        Effect.READS,
        positional=("scenario",),
    ),
    Command(
        "scenario",
        "start",
        StartInput,
        ScenarioRunReport,
        _start,
        "Begin a run of a scenario in its first stage.",
        "interlock scenario start release r1 --to agent:builder --packets",
        "scenario.run",
        Effect.STARTS,
        positional=_RUN,
    ),
    Command(
        "scenario",
        "trigger",
        TriggerInput,
        Opened,
        _trigger,
        "Look at the stage of a run, and decide; the same id gets the same decision.",
        "interlock scenario trigger release r1 --id build-7",
        "scenario.run",
        Effect.CHANGES,
        positional=_RUN,
        exit_code=decided_code,
    ),
    Command(
        "scenario",
        "next",
        NextInput,
        Opened,
        _next,
        "Ask to go on, as an agent does.",
        "interlock scenario next release r1 --agent builder",
        "scenario.run",
        Effect.CHANGES,
        positional=_RUN,
        exit_code=decided_code,
    ),
    Command(
        "scenario",
        "submit",
        SubmitInput,
        SubmissionRecord,
        _submit,
        "Hand something in to a run; the same id is kept once.",
        'interlock scenario submit release r1 --payload \'{"notes": "done"}\'',
        "scenario.run",
        Effect.CHANGES,
        positional=_RUN,
    ),
    Command(
        "scenario",
        "status",
        StatusInput,
        ScenarioRunReport,
        _status,
        "Show how a run stands, now or as of an earlier event.",
        "interlock scenario status release r1",
        "scenario.read",
        Effect.READS,
        positional=_RUN,
    ),
    Command(
        "scenario",
        "precheck",
        PrecheckInput,
        Prechecked,
        _precheck,
        "Say what a stage would come to if given data were true; nothing is asked and nothing written.",
        "interlock scenario precheck release --shape facts@v1 --payload '{\"tested\": true}'",
        "scenario.read",
        Effect.READS,
        positional=("scenario",),
    ),
    Command(
        "scenario",
        "explain",
        ExplainInput,
        StageExplanation,
        _explain,
        "Show why the gates of a run's stage are what they are.",
        "interlock scenario explain release r1",
        "scenario.read",
        Effect.READS,
        positional=_RUN,
    ),
)
