"""The verb `run replay`: what was recorded, held against today's code.

What it does: takes the run and where its plan is, and answers with the report. What it does not do: it replays nothing
itself (`replayer`).

Rule: replaying runs the code of a plan, so it asks for a permission of its own, not only for that to read; naming a
plan imports its module, so only the user of this machine may (docs/threats.md, T3).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from interlock.base.errors import Category, ErrorCode
from interlock.base.part import CallContext, Command, Effect
from interlock.base.principal import PrincipalKind
from interlock.engine.commands import PLAN_FORMS
from interlock.engine.replay.report import ReplayReport
from interlock.engine.runs import Runs

EXIT_DIVERGED = 7
REPLAY_PLAN_REFUSED = ErrorCode(
    "replay_plan_refused", Category.REFUSED, "Replay with the plan of the run, or where the other plan's code is."
)
ERRORS = (REPLAY_PLAN_REFUSED,)


class ReplayInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run to replay, and with which code."""

    run: Annotated[str, Meta(description="The run's id, a UUID.")]
    plan: Annotated[str | None, Meta(description=f"Where its plan is, if it moved: {PLAN_FORMS}.")] = None


async def _replay(ctx: CallContext, given: ReplayInput) -> ReplayReport:
    if given.plan is not None and ctx.principal.kind is not PrincipalKind.LOCAL:
        raise REPLAY_PLAN_REFUSED.error("only the user of this machine may have a plan's code imported")
    plan = None if given.plan is None else ctx.services.get(Runs).plans.load(given.plan)
    return await ctx.services.get(Runs).replay(given.run, plan=plan, tenant=ctx.principal.tenant)


def _exit_code(report: ReplayReport) -> int:
    return 0 if report.identical else EXIT_DIVERGED


COMMANDS = (
    Command(
        "run",
        "replay",
        ReplayInput,
        ReplayReport,
        _replay,
        "Replay a run offline from its record, and say where it differs.",
        "interlock run replay 01890a5d-ac96-774b-bcce-b302099a8057 --plan release:plan",
        "run.replay",
        Effect.READS,
        local=True,
        positional=("run",),
        exit_code=_exit_code,
    ),
)
