"""The verbs about runs: records of input and output, and thin handlers over `Runs`.

What it does: gives every surface the same commands. What it does not do: no presentation, no decision.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from interlock.base import ids
from interlock.base.bounds import PAGE_ITEMS_MAX
from interlock.base.errors import NotFound
from interlock.base.ids import shown
from interlock.base.part import CallContext, Command, Effect
from interlock.base.principal import PrincipalKind
from interlock.engine import events as e
from interlock.engine.config import FanOutJoin, RunConfig
from interlock.engine.contract import contract_of
from interlock.engine.document.inputs import read_input_file
from interlock.engine.errors import ATTRIBUTES_INVALID, INPUT_INVALID, RESOLUTION_UNCLEAR, RUN_NOT_FOUND, VALUE_UNKNOWN
from interlock.engine.meta import APPLY_SIDE_EFFECT
from interlock.engine.naming import run_id_of
from interlock.engine.offered import source_of
from interlock.engine.reports.records import RUNNING, Reason, RunFailure, RunReport, RunResult
from interlock.engine.runs import Runs
from interlock.engine.search.times import length_ms
from interlock.engine.views import ATTRIBUTES_MAX
from interlock.journal.journal import Journal, check_end
from interlock.journal.streams import stream_id

RunArgument = Annotated[str, Meta(description="The run's id, a UUID.")]
EXIT_WAITING = 8
PLAN_FORMS = "a document (plan.yaml), MODULE:PLAN or file.py:PLAN"


class StartInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to start."""

    plan: Annotated[str, Meta(description=f"The plan: {PLAN_FORMS}.")]
    input: Annotated[Raw | None, Meta(description="The run's input, a JSON object.")] = None
    input_file: Annotated[
        str | None, Meta(description="A file with the input, YAML or JSON; what `input` gives comes over it.")
    ] = None
    run_id: Annotated[str | None, Meta(description="An id of your own; the same id and input attach.")] = None
    detach: Annotated[bool, Meta(description="Return once the start is durable; drive it with `run resume`.")] = False
    dry_run: Annotated[bool, Meta(description="Skip every state that applies side effects.")] = False
    timeout: Annotated[
        Annotated[str, Meta(max_length=20)] | None,
        Meta(description="Fail the run if it has not ended after this time: 90s, 30m, 2h, 7d."),
    ] = None
    concurrency: Annotated[
        Annotated[int, Meta(ge=1, le=2**32 - 1)] | None,
        Meta(description="States that may run at once; 1 is one after the other."),
    ] = None
    attribute: Annotated[
        tuple[str, ...],
        Meta(max_length=ATTRIBUTES_MAX, description="What the run can be found by, KEY=VALUE. May be given again."),
    ] = ()


class RunInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run."""

    run: RunArgument


class ResumeInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run to drive on."""

    run: RunArgument
    plan: Annotated[str | None, Meta(description=f"Where its plan is, if it moved: {PLAN_FORMS}.")] = None
    steal: Annotated[bool, Meta(description="Take the run over from an owner that still lives.")] = False
    detach: Annotated[bool, Meta(description="Return at once how it stands; a worker drives it on.")] = False


class EventsInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events of a run."""

    run: RunArgument
    after: Annotated[int, Meta(ge=0, description="Events with a greater sequence number.")] = 0
    limit: Annotated[int, Meta(ge=1, le=PAGE_ITEMS_MAX, description="Events in a page.")] = 200
    contract: Annotated[bool, Meta(description="All events, in the wire shapes of the run-engine contract.")] = False


class RunEvent(Struct, frozen=True):
    """One event of a run; `data` is its record, null once erased."""

    seq: int
    at_ms: int
    type: str
    actor: str
    digest: str
    data: Any


class RunEvents(Struct, frozen=True):
    """A page of a run's events; `next` continues it. With `contract`, `items` are the contract's envelopes."""

    items: list[Any]
    next: int | None


class ResolveInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do about a parked step: exactly one of adopt, retry, abandon."""

    run: RunArgument
    step: Annotated[str, Meta(description="The parked step, as `run why` names it.")]
    reason: Annotated[str, Meta(min_length=1, max_length=2000, description="Why; recorded with your name.")]
    adopt: Annotated[Raw | None, Meta(description="The effect did happen, and this JSON is its result.")] = None
    retry: Annotated[bool, Meta(description="The effect did not happen: try it again.")] = False
    abandon: Annotated[bool, Meta(description="Give up: the run fails.")] = False


class Resolved(Struct, frozen=True):
    """The decision is durable; a worker or `run resume` goes on with the run."""

    run_id: str
    step: str
    action: str


class OutputInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run has come to."""

    run: RunArgument
    step: Annotated[str | None, Meta(description="One step, or one key of the context; all of it where absent.")] = None


class RunOutput(Struct, frozen=True):
    """The context of a run at its checkpoint: its input, and what its steps returned, by name."""

    run_id: str
    values: dict[str, Any]


class WhyReport(Struct, frozen=True):
    """Why a run is not moving: what is missing, and who can supply it. Empty when nothing is."""

    run_id: str
    reasons: list[Reason]


async def _start(ctx: CallContext, given: StartInput) -> RunResult:
    source = source_of(ctx, given.plan)
    plan = ctx.services.get(Runs).plans.load(source)
    run_id = run_id_of(ctx, given.run_id)
    had_ended = run_id is not None and await _has_ended(ctx, run_id)
    config = RunConfig() if plan.planned is None else plan.planned.run_config
    if given.dry_run:
        config = msgspec.structs.replace(config, skip_tags=tuple(dict.fromkeys([*config.skip_tags, APPLY_SIDE_EFFECT])))
    if given.concurrency is not None:
        mode = "Sequential" if given.concurrency == 1 else FanOutJoin.of(given.concurrency)
        config = msgspec.structs.replace(config, execution_mode=mode)
    result = await ctx.services.get(Runs).start(
        plan,
        _input(ctx, given),
        run_id=run_id,
        config=config,
        source=source,
        attributes=_attributes(given.attribute),
        timeout_ms=None if given.timeout is None else length_ms(given.timeout, "timeout"),
        detach=given.detach,
        principal=ctx.principal,
        begun=ctx.begun,
    )
    return await _with_reasons(ctx, msgspec.structs.replace(result, detached=given.detach, had_ended=had_ended))


def _input(ctx: CallContext, given: StartInput) -> Any:
    """The input of a line: that of a file, under that of the line itself. Raises: `run_input_invalid`."""
    value = None if given.input is None else msgspec.json.decode(given.input)
    if given.input_file is None:
        return value
    if ctx.principal.kind is not PrincipalKind.LOCAL:
        raise INPUT_INVALID.error("only the user of this machine may have a file read")
    return {**read_input_file(given.input_file), **({} if value is None else value)}


async def _has_ended(ctx: CallContext, run_id: str) -> bool:
    """Whether there is such a run, and it has ended: a verb that drives will run nothing."""
    try:
        return (await ctx.services.get(Runs).read.result(run_id, tenant=ctx.principal.tenant)).phase != RUNNING
    except NotFound:
        return False


def _attributes(pairs: tuple[str, ...]) -> dict[str, str]:
    """Attributes in the words of a line. Raises: `run_attributes_invalid`."""
    found = [pair.partition("=") for pair in pairs]
    attributes = {key: value for key, _, value in found}
    if len(attributes) != len(found) or not all(key and equals for key, equals, _ in found):
        raise ATTRIBUTES_INVALID.error("`attribute`: KEY=VALUE is expected, and each key once", place="attribute")
    return attributes


async def _with_reasons(ctx: CallContext, result: RunResult) -> RunResult:
    """The result with what the run waits for, and the lines that answer it; or what failed, and what it wrote last."""
    if result.error is not None:
        return msgspec.structs.replace(result, error=await with_output(ctx, result.run_id, result.error))
    if result.waiting is None or result.detached:
        return result
    reasons = await ctx.services.get(Runs).read.why(result.run_id, tenant=ctx.principal.tenant)
    return msgspec.structs.replace(result, reasons=tuple(reasons))


async def with_output(ctx: CallContext, run_id: str, error: RunFailure) -> RunFailure:
    """The failure with what the program of its step wrote last."""
    read = ctx.services.get(Runs).read
    output = await read.failed_output(run_id, error.state_id, tenant=ctx.principal.tenant)
    return msgspec.structs.replace(error, output=output)


async def _resume(ctx: CallContext, given: ResumeInput) -> RunResult:
    plan = None if given.plan is None else ctx.services.get(Runs).plans.load(source_of(ctx, given.plan))
    if given.detach:
        result = await ctx.services.get(Runs).read.result(given.run, tenant=ctx.principal.tenant)
        return msgspec.structs.replace(result, detached=True)
    had_ended = await _has_ended(ctx, given.run)
    result = await ctx.services.get(Runs).resume(given.run, plan=plan, steal=given.steal, principal=ctx.principal)
    return await _with_reasons(ctx, msgspec.structs.replace(result, had_ended=had_ended))


async def _status(ctx: CallContext, given: RunInput) -> RunReport:
    return await ctx.services.get(Runs).read.report(given.run, tenant=ctx.principal.tenant)


async def _output(ctx: CallContext, given: OutputInput) -> RunOutput:
    read = ctx.services.get(Runs).read
    values = await read.context(given.run, tenant=ctx.principal.tenant)
    if given.step is None:
        return RunOutput(given.run, values)
    if given.step not in values:
        raise VALUE_UNKNOWN.error(f"the run has no value named {shown(given.step)}", run_id=given.run)
    return RunOutput(given.run, {given.step: values[given.step]})


async def _why(ctx: CallContext, given: RunInput) -> WhyReport:
    reasons = await ctx.services.get(Runs).read.why(given.run, tenant=ctx.principal.tenant)
    return WhyReport(given.run, reasons)


async def _events(ctx: CallContext, given: EventsInput) -> RunEvents:
    journal = ctx.services.get(Journal)
    stream = stream_id(ctx.principal.tenant, e.RUN, ids.run_id(given.run))
    if given.contract:
        return await _contract_events(journal, stream, given)
    page = (await journal.page(stream, given.after))[: given.limit]
    if not page and given.after == 0:
        raise RUN_NOT_FOUND.error("there is no such run", run_id=given.run)
    items = [
        RunEvent(
            event.envelope.seq,
            event.envelope.at_ms,
            event.envelope.type,
            event.envelope.actor,
            event.digest,
            None if event.record is None else event.record,
        )
        for event in page
    ]
    return RunEvents(items, items[-1].seq if len(items) == given.limit else None)


async def _contract_events(journal: Journal, stream: str, given: EventsInput) -> RunEvents:
    """The envelopes after `after`, `limit` at most: they count anew, so that a page is found from the start.

    What follows a full page is not read, so that the run is held against its head where its end is reached.
    """
    found: list[Any] = []
    seq, end, last = 0, 0, given.after + given.limit
    [claimed] = await journal.store.events.heads([stream])
    async with aclosing(journal.read(stream)) as pages:
        async for page in pages:
            end = page[-1].envelope.seq
            for envelope in contract_of(given.run, page):
                seq += 1
                if seq > last:
                    return RunEvents(found, last)
                if seq > given.after:
                    found.append({**envelope, "seq": seq})
    check_end(stream, end, claimed)
    if seq == 0:
        raise RUN_NOT_FOUND.error("there is no such run", run_id=given.run)
    return RunEvents(found, None)


async def _resolve(ctx: CallContext, given: ResolveInput) -> Resolved:
    chosen = [
        action
        for action, wanted in (
            (e.Resolution.ADOPT, given.adopt is not None),
            (e.Resolution.RETRY, given.retry),
            (e.Resolution.ABANDON, given.abandon),
        )
        if wanted
    ]
    if len(chosen) != 1:
        raise RESOLUTION_UNCLEAR.error("choose exactly one of adopt, retry and abandon")
    adopt = None if given.adopt is None else msgspec.json.decode(given.adopt)
    await ctx.services.get(Runs).control.resolve(
        given.run,
        given.step,
        chosen[0],
        given.reason,
        adopt=adopt,
        principal=ctx.principal,
        command_id=ctx.command_id,
    )
    return Resolved(given.run, given.step, chosen[0].value)


def outcome_code(result: RunResult) -> int:
    """Exit code of a verb that drives: 0 completed or started detached, 1 failed or cancelled, 8 waiting."""
    if result.detached:
        return 0
    if result.phase == "running":
        return EXIT_WAITING
    return 0 if result.phase == "completed" else 1


_RUN = "01890a5d-ac96-774b-bcce-b302099a8057"

COMMANDS = (
    Command(
        "run",
        "start",
        StartInput,
        RunResult,
        _start,
        "Start a run and drive it until it ends or waits.",
        'interlock run start examples.hello:plan --input \'{"name": "Ada"}\'',
        "run.start",
        Effect.STARTS,
        positional=("plan",),
        exit_code=outcome_code,
        creates=True,
    ),
    Command(
        "run",
        "status",
        RunInput,
        RunReport,
        _status,
        "Show a run: its phase, its steps, and what it waits for.",
        f"interlock run status {_RUN}",
        "run.read",
        Effect.READS,
        positional=("run",),
    ),
    Command(
        "run",
        "events",
        EventsInput,
        RunEvents,
        _events,
        "Show the recorded events of a run.",
        f"interlock run events {_RUN} --after 10",
        "run.read",
        Effect.READS,
        positional=("run",),
    ),
    Command(
        "run",
        "output",
        OutputInput,
        RunOutput,
        _output,
        "Show what a run has come to: its values by name.",
        f"interlock run output {_RUN} greet",
        "run.read",
        Effect.READS,
        positional=("run", "step"),
    ),
    Command(
        "run",
        "resume",
        ResumeInput,
        RunResult,
        _resume,
        "Drive an interrupted run on, or watch it while another process does.",
        f"interlock run resume {_RUN}",
        "run.start",
        Effect.STARTS,
        positional=("run",),
        exit_code=outcome_code,
    ),
    Command(
        "run",
        "resolve",
        ResolveInput,
        Resolved,
        _resolve,
        "Decide a parked step: adopt a result, retry or abandon.",
        f"interlock run resolve {_RUN} publish --retry --reason 'the channel has no such file'",
        "run.resolve",
        Effect.CHANGES,
        positional=("run", "step"),
    ),
    Command(
        "run",
        "why",
        RunInput,
        WhyReport,
        _why,
        "Say why a run is not moving, and who or what can release it.",
        f"interlock run why {_RUN}",
        "run.read",
        Effect.READS,
        positional=("run",),
    ),
)
