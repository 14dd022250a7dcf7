"""The verbs that put a run beside another, or beside another plan: `run fork`, `run diff`, `run migrate`.

What it does: gives every surface these commands. What it does not do: no presentation, no decision.

Rule: naming a plan imports its module, which runs its code, so only the user of this machine may (docs/threats.md, T3).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from interlock.base.part import CallContext, Command, Effect
from interlock.engine.commands import EXIT_WAITING, PLAN_FORMS, RunArgument, run_id_of, with_output
from interlock.engine.errors import MIGRATION_UNSEEN
from interlock.engine.lineage.diff import RunDifference
from interlock.engine.lineage.forking import ForkResult
from interlock.engine.lineage.migrate import Migration
from interlock.engine.offered import source_of
from interlock.engine.reports.records import RUNNING
from interlock.engine.runs import Runs


class ForkInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"step": "from"}):
    """Which run to fork, and where."""

    run: RunArgument
    step: Annotated[str | None, Meta(description="Where the fork begins; by default where the run stands.")] = None
    absorb: Annotated[
        tuple[str, ...], Meta(description="An effect, by fact key, that keeps its idempotency key. Give it repeatedly.")
    ] = ()
    again: Annotated[
        tuple[str, ...], Meta(description="An effect, by fact key, that is sent once more. Give it repeatedly.")
    ] = ()
    absorb_all: Annotated[bool, Meta(description="Absorb every effect that is not named.")] = False
    again_all: Annotated[bool, Meta(description="Send every effect again that is not named.")] = False
    input: Annotated[Raw | None, Meta(description="Another input, a JSON object.")] = None
    plan: Annotated[str | None, Meta(description=f"Another plan: {PLAN_FORMS}.")] = None
    run_id: Annotated[str | None, Meta(description="An id of your own; the same id attaches.")] = None
    detach: Annotated[bool, Meta(description="Return once the fork is durable; drive it with `run resume`.")] = False


class DiffInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which two runs to compare."""

    a: Annotated[str, Meta(description="A run's id, a UUID.")]
    b: Annotated[str, Meta(description="The id of the run that is held against it.")]


class MigrateInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run is to go on with which plan."""

    run: RunArgument
    plan: Annotated[str, Meta(description=f"The other plan: {PLAN_FORMS}.")]
    apply: Annotated[bool, Meta(description="Tell the run; without it the difference is only shown.")] = False
    expect: Annotated[str | None, Meta(description="The fingerprint that was shown.")] = None
    reason: Annotated[str, Meta(max_length=2000, description="Why; recorded with your name.")] = ""


async def _fork(ctx: CallContext, given: ForkInput) -> ForkResult:
    source = None if given.plan is None else source_of(ctx, given.plan)
    plan = None if source is None else ctx.services.get(Runs).plans.load(source)
    result = await ctx.services.get(Runs).fork(
        given.run,
        given.step,
        absorb=given.absorb,
        again=given.again,
        absorb_all=given.absorb_all,
        again_all=given.again_all,
        plan=plan,
        input=None if given.input is None else msgspec.json.decode(given.input),
        run_id=run_id_of(ctx, given.run_id),
        source=source,
        detach=given.detach,
        principal=ctx.principal,
        begun=ctx.begun,
    )
    if result.error is None:
        return result
    return msgspec.structs.replace(result, error=await with_output(ctx, result.run_id, result.error))


async def _diff(ctx: CallContext, given: DiffInput) -> RunDifference:
    return await ctx.services.get(Runs).diff(given.a, given.b, tenant=ctx.principal.tenant)


async def _migrate(ctx: CallContext, given: MigrateInput) -> Migration:
    runs = ctx.services.get(Runs)
    source = source_of(ctx, given.plan)
    plan = runs.plans.load(source)
    if not given.apply:
        return await runs.migration(given.run, plan, tenant=ctx.principal.tenant)
    if given.expect is None or not given.reason:
        raise MIGRATION_UNSEEN.error("--apply needs --expect FINGERPRINT, as it was shown, and --reason TEXT")
    return await runs.control.migrate(
        given.run,
        plan,
        expect=given.expect,
        reason=given.reason,
        source=source,
        principal=ctx.principal,
        command_id=ctx.command_id,
    )


def _fork_code(result: ForkResult) -> int:
    """As for `run start`: 0 completed or detached, 1 failed or cancelled, 8 waiting."""
    if result.detached:
        return 0
    if result.phase == RUNNING:
        return EXIT_WAITING
    return 0 if result.phase == "completed" else 1


_RUN, _OTHER = "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"

COMMANDS = (
    Command(
        "run",
        "fork",
        ForkInput,
        ForkResult,
        _fork,
        "Start a run that inherits what completed in another before a step.",
        f"interlock run fork {_RUN} --from publish --absorb-all",
        "run.start",
        Effect.STARTS,
        positional=("run",),
        exit_code=_fork_code,
    ),
    Command(
        "run",
        "diff",
        DiffInput,
        RunDifference,
        _diff,
        "Compare two runs: plan, input, steps, values, facts, answers. Exits with 1 if they differ.",
        f"interlock run diff {_RUN} {_OTHER}",
        "run.read",
        Effect.READS,
        positional=("a", "b"),
        exit_code=lambda found: 0 if found.is_same else 1,
    ),
    Command(
        "run",
        "migrate",
        MigrateInput,
        Migration,
        _migrate,
        "Show what another plan would mean for a run, and let the run go on with it.",
        f"interlock run migrate {_RUN} --plan release.py:plan",
        "run.migrate",
        Effect.CHANGES,
        positional=("run",),
        exit_code=lambda found: 0 if found.is_possible or found.is_applied else 1,
    ),
)
