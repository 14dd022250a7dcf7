"""The verbs that tell a run something: answers to its waits, and orders.

What it does: records of input and output, and thin handlers over `Control`; says of every order who will carry it out.
What it does not do: no rule of an order stands here (`tell`, `inbox`), and nothing is driven.

Rule: the answer says what is true after the order is durable: whether the run has taken it, else who will.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from interlock.base.errors import Conflict
from interlock.base.part import CallContext, Command, Effect
from interlock.engine.config import RetryPolicy
from interlock.engine.control.service import REASON_CHARACTERS_MAX, Control
from interlock.engine.decide import EngineSettings
from interlock.engine.errors import EDIT_UNCLEAR, RUN_ENDED, SIGNAL_UNCLEAR
from interlock.engine.reports.details import resume_line
from interlock.engine.reports.records import RUNNING, RunReport
from interlock.engine.runs import Runs

RunArgument = Annotated[str, Meta(description="The run's id, a UUID.")]
StepArgument = Annotated[str, Meta(description="The step, as `run status` names it.")]
Reason = Annotated[
    str, Meta(min_length=1, max_length=REASON_CHARACTERS_MAX, description="Why; recorded with your name.")
]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class SignalInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which wait to answer, by step and name or by its token, and with what."""

    run: RunArgument
    step: Annotated[str | None, Meta(description="The step that waits, or will.")] = None
    name: Annotated[str | None, Meta(description="The wait's name, as `run why` gives it.")] = None
    value: Annotated[Raw | None, Meta(description="The answer; null where absent.")] = None
    token: Annotated[str | None, Meta(description="The wait's token, instead of step and name.")] = None
    early: Annotated[bool, Meta(description="Keep it for a wait that the step will ask for later.")] = False


class OrderInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run, and why."""

    run: RunArgument
    reason: Reason


class CancelInput(OrderInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run to end, and how."""

    now: Annotated[bool, Meta(description="Take it from its owner and end it at once, even if that hangs.")] = False


class StepInput(OrderInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which step of a run, and why."""

    step: StepArgument


class RetryInput(StepInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which step to try again now."""

    reset: Annotated[bool, Meta(description="Give the step its whole retry budget again.")] = False


class EditInput(StepInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What else a step may take from now on: a retry policy, a time limit, or both."""

    max_attempts: Annotated[
        Annotated[int, Meta(ge=1, le=2**32 - 1)] | None, Meta(description="Attempts in all, the first one too.")
    ] = None
    backoff: Annotated[
        Literal["fixed", "exponential"] | None, Meta(description="How the pauses between attempts grow.")
    ] = None
    base_ms: Annotated[Milliseconds | None, Meta(description="The first pause, ms.")] = None
    max_ms: Annotated[Milliseconds | None, Meta(description="The longest pause of exponential, ms.")] = None
    timeout_ms: Annotated[
        Annotated[int, Meta(ge=1, le=2**53 - 1)] | None, Meta(description="Time that an attempt may take, ms.")
    ] = None


class Told(Struct, frozen=True):
    """An order that is durable: how the run stands, who drives it, and what happens next."""

    run_id: str
    order: str
    step: str | None
    phase: str
    waiting: str | None
    owner: str | None
    then: str
    next: str | None


async def _signal(ctx: CallContext, given: SignalInput) -> Told:
    if given.token is None:
        if given.step is None or given.name is None:
            raise SIGNAL_UNCLEAR.error("name the wait by its step and its name, or by --token")
        step, name = given.step, given.name
    elif given.step is None and given.name is None:
        step, name = None, given.token
    else:
        raise SIGNAL_UNCLEAR.error("name the wait by its step and its name, or by --token, not by both")
    value = None if given.value is None else msgspec.json.decode(given.value)
    changed = await _control(ctx).signal(
        given.run, step, name, value, early=given.early, principal=ctx.principal, command_id=ctx.command_id
    )
    return await _told(ctx, given.run, "signal", step, None if changed else "the wait has an answer: nothing changed")


async def _cancel(ctx: CallContext, given: CancelInput) -> Told:
    await _control(ctx).cancel(given.run, given.reason, principal=ctx.principal, command_id=ctx.command_id)
    runs = ctx.services.get(Runs)
    if given.now:
        try:
            await runs.cancel_now(given.run, given.reason, principal=ctx.principal)
        except Conflict as fault:  # it ended meanwhile, as it was told
            if fault.kind is not RUN_ENDED:
                raise
    return await _told(ctx, given.run, "cancel", None)


async def _pause(ctx: CallContext, given: OrderInput) -> Told:
    await _control(ctx).pause(given.run, given.reason, principal=ctx.principal, command_id=ctx.command_id)
    return await _told(ctx, given.run, "pause", None)


async def _unpause(ctx: CallContext, given: OrderInput) -> Told:
    await _control(ctx).unpause(given.run, given.reason, principal=ctx.principal, command_id=ctx.command_id)
    return await _told(ctx, given.run, "unpause", None)


async def _skip(ctx: CallContext, given: StepInput) -> Told:
    await _control(ctx).skip(given.run, given.step, given.reason, principal=ctx.principal, command_id=ctx.command_id)
    return await _told(ctx, given.run, "skip", given.step)


async def _retry(ctx: CallContext, given: RetryInput) -> Told:
    await _control(ctx).retry(
        given.run, given.step, given.reason, reset=given.reset, principal=ctx.principal, command_id=ctx.command_id
    )
    return await _told(ctx, given.run, "retry", given.step)


async def _edit(ctx: CallContext, given: EditInput) -> Told:
    await _control(ctx).edit(
        given.run,
        given.step,
        given.reason,
        retry=_policy(given),
        timeout_ms=given.timeout_ms,
        principal=ctx.principal,
        command_id=ctx.command_id,
    )
    return await _told(ctx, given.run, "edit", given.step)


def _policy(given: EditInput) -> RetryPolicy | None:
    """The retry policy in a line; None where it gives none. Raises: `edit_unclear`."""
    if given.max_attempts is None:
        if (given.backoff, given.base_ms, given.max_ms) != (None, None, None):
            raise EDIT_UNCLEAR.error("a back-off belongs to --max-attempts")
        if given.timeout_ms is None:
            raise EDIT_UNCLEAR.error("nothing is to be edited: give --max-attempts or --timeout-ms")
        return None
    base_ms = given.base_ms or 0
    if given.backoff == "exponential":
        return RetryPolicy.exponential(given.max_attempts, base_ms, base_ms if given.max_ms is None else given.max_ms)
    if given.max_ms is not None:
        raise EDIT_UNCLEAR.error("--max-ms belongs to --backoff exponential")
    return RetryPolicy.fixed(given.max_attempts, base_ms)


def _control(ctx: CallContext) -> Control:
    return ctx.services.get(Runs).control


async def _told(ctx: CallContext, run_id: str, order: str, step: str | None, note: str | None = None) -> Told:
    """How the run stands now that it was told, and what happens next."""
    report = await ctx.services.get(Runs).read.report(run_id, tenant=ctx.principal.tenant)
    waiting = None if report.waiting is None else report.waiting.kind
    poll_ms = ctx.services.get(EngineSettings).inbox_poll_ms
    then, line = f"the run has ended: {report.phase}", None
    if report.phase == RUNNING:
        then, line = _next(report, waiting, poll_ms)
    then = "; ".join(filter(None, [note, then]))
    return Told(run_id, order, step, report.phase, waiting, report.owner, then, line)


def _next(report: RunReport, waiting: str | None, poll_ms: int) -> tuple[str, str | None]:
    """Who carries on with a run that has not ended, and the line that helps."""
    if report.owner is not None:
        text = f"{report.owner} drives the run, and takes what it was told within {poll_ms} ms"
        return text, f"interlock run status {report.run_id}"
    match waiting:
        case "paused":
            return "the run is paused, and enters no step until `run unpause`", None
        case "parked":
            return "the run waits for a decision about a step", f"interlock run why {report.run_id}"
        case "backoff":
            return "a worker, or `run resume`, tries the failed step again when its pause is over", None
        case "suspended":
            left = ", ".join(f"{wait.step}/{wait.name}" for wait in report.waits[:3])
            return f"the run waits on, for {left}", f"interlock run why {report.run_id}"
        case _:
            return "nobody drives the run: a worker takes it, or `run resume`", resume_line(report.run_id)


_RUN = "01890a5d-ac96-774b-bcce-b302099a8057"


def _order(verb: str, record: type[Struct], handler: Any, summary: str, line: str, *positional: str) -> Command:
    return Command(
        "run",
        verb,
        record,
        Told,
        handler,
        summary,
        f"interlock run {verb} {_RUN} {line}",
        "run.signal" if verb == "signal" else "run.control",
        Effect.CHANGES,
        positional=("run", *positional),
    )


COMMANDS = (
    _order(
        "signal",
        SignalInput,
        _signal,
        "Answer what a run waits for, also before it asks.",
        "approve decision --value '{\"ok\": true}'",
        "step",
        "name",
    ),
    _order("cancel", CancelInput, _cancel, "End a run as cancelled.", "--reason 'wrong input'"),
    _order("pause", OrderInput, _pause, "Let a run enter no more steps.", "--reason 'the lab is down'"),
    _order("unpause", OrderInput, _unpause, "Let a paused run go on.", "--reason 'the lab is up'"),
    _order(
        "skip",
        StepInput,
        _skip,
        "Pass a step over: it completes without its handler.",
        "notify --reason 'everybody knows'",
        "step",
    ),
    _order(
        "retry",
        RetryInput,
        _retry,
        "Try a step that waits for another attempt again now.",
        "fetch --reset --reason 'it is up'",
        "step",
    ),
    _order(
        "edit",
        EditInput,
        _edit,
        "Give a step another retry policy or time limit; plan and manifest stay.",
        "fetch --max-attempts 20 --backoff exponential --base-ms 500 --max-ms 60000 --reason 'slow today'",
        "step",
    ),
)
